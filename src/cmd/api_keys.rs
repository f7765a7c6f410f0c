//! `evergrant api-keys`.

use anyhow::anyhow;
use evergrant_api::new_api_key;
use evergrant_contract::people::{ApiKey, Scope, UserKey};
use evergrant_contract::ports::Store;
use evergrant_contract::timing::after;
use serde::Serialize;
use serde_json::json;

use super::{clock, with_store};
use crate::cli::{ApiKeysCommand, CreateKeyArgs, RevokeKeyArgs};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::output::{self, Output, Table};

/// A new key, shown once.
#[derive(Serialize)]
struct Created<'a> {
    api_key: &'a str,
    #[serde(flatten)]
    key: &'a ApiKey,
}

pub(super) async fn run(config: &Config, command: &ApiKeysCommand) -> Result<(), Failed> {
    with_store(config, async |store| match command {
        ApiKeysCommand::Create(args) => create(&*store, args).await,
        ApiKeysCommand::List(output) => list(&*store, output.json).await,
        ApiKeysCommand::Revoke(args) => revoke(&*store, args).await,
    })
    .await
}

async fn create(store: &dyn Store, args: &CreateKeyArgs) -> Result<(), Failed> {
    if let Some(user) = &args.user
        && store.user(UserKey::Id(user)).await?.is_none()
    {
        return Err(Failed::new(Exit::NotFound, anyhow!("there is no user {user}; `evergrant users list` shows them")));
    }
    let now = clock().now();
    let (mut key, text) = new_api_key(&args.name, args.scopes.clone(), args.user.clone(), now);
    key.expires_at = args.expires_in.map(|wait| after(now, wait));
    if !store.keep_api_key(&key).await? {
        return Err(anyhow!("a key named `{}` is in use; revoke it first, or take another name", args.name).into());
    }
    // The one place that shows a key: whoever runs this asked for it, and the store keeps only its digest.
    let created = Created { api_key: text.expose(), key: &key };
    Ok(Output::stdout(args.output.json).data(&created, |created| created.api_key.to_owned())?)
}

async fn list(store: &dyn Store, json: bool) -> Result<(), Failed> {
    let keys = store.api_keys().await?;
    Ok(Output::stdout(json).data(&keys, |keys| list_text(keys))?)
}

fn list_text(keys: &[ApiKey]) -> String {
    if keys.is_empty() {
        return "No API keys. `evergrant api-keys create NAME --scope tokens:read` makes one.".to_owned();
    }
    let now = clock().now();
    let mut table = Table::new(["id", "name", "scopes", "user", "made", "last used", "state"]);
    for key in keys {
        let state = match (key.revoked_at, key.expires_at) {
            (Some(at), _) => format!("revoked {}", output::time(Some(at))),
            (None, Some(at)) if !key.is_good(now) => format!("ended {}", output::time(Some(at))),
            (None, Some(at)) => format!("until {}", output::time(Some(at))),
            (None, None) => "good".to_owned(),
        };
        table.row([
            key.id.to_string(),
            key.name.clone(),
            key.scopes.iter().map(|scope| Scope::as_str(*scope)).collect::<Vec<_>>().join(" "),
            key.user.as_ref().map_or_else(|| "everybody's".to_owned(), ToString::to_string),
            output::time(Some(key.created_at)),
            key.used_at.map_or_else(|| "never".to_owned(), |at| output::time(Some(at))),
            state,
        ]);
    }
    table.to_string()
}

async fn revoke(store: &dyn Store, args: &RevokeKeyArgs) -> Result<(), Failed> {
    let Some(key) = store.api_key(args.id).await? else {
        let why = anyhow!("there is no API key {}; `evergrant api-keys list` shows them", args.id);
        return Err(Failed::new(Exit::NotFound, why));
    };
    let revoked = store.revoke_api_key(args.id, clock().now()).await?;
    let what = if revoked { "is revoked: it stops working within a second" } else { "was revoked before" };
    let text = |_: &serde_json::Value| format!("The key `{}` {what}.", key.name);
    Ok(Output::stdout(args.output.json).data(&json!({ "id": key.id, "revoked": revoked }), text)?)
}
