//! `evergrant users`.

use std::io::{IsTerminal as _, Read as _, stdin};

use anyhow::{Context as _, anyhow};
use evergrant_api::hash_password;
use evergrant_contract::ids::UserId;
use evergrant_contract::people::{Saved, SessionEnd, User, UserKey};
use evergrant_contract::ports::Store;
use evergrant_contract::secret::Secret;
use serde_json::json;

use super::{clock, with_store};
use crate::cli::{AddUserArgs, ListUsersArgs, SetUserArgs, UserArgs, UsersCommand};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::output::{self, Output, Table};

/// More is no password.
const PASSWORD_MAX: u64 = 4096;

pub(super) async fn run(config: &Config, command: &UsersCommand) -> Result<(), Failed> {
    with_store(config, async |store| match command {
        UsersCommand::Add(args) => add(&*store, args).await,
        UsersCommand::List(args) => list(&*store, args).await,
        UsersCommand::Set(args) => set(&*store, args).await,
        UsersCommand::SignOut(args) => sign_out(&*store, args).await,
    })
    .await
}

async fn add(store: &dyn Store, args: &AddUserArgs) -> Result<(), Failed> {
    let hash = new_password(args.password)?;
    let id = args.id.clone().map_or_else(new_id, Ok)?;
    if store.user(UserKey::Id(&id)).await?.is_some() {
        return Err(anyhow!("there is a user {id} already; `evergrant users set` changes one").into());
    }
    let user = User {
        id,
        email: args.email.clone(),
        name: args.name.clone(),
        account: args.account.clone(),
        is_admin: args.admin,
        is_active: true,
        profile_ids: Vec::new(),
        marketplace_ids: Vec::new(),
        created_at: clock().now(),
    };
    save(store, &user).await?;
    if let Some(hash) = &hash {
        store.set_password(&user.id, Some(hash)).await?;
    }
    let how = if hash.is_some() { "with their e-mail address and password" } else { "with the sign-in provider" };
    let text = |user: &User| format!("{} ({}) may sign in {how}.", user.email, user.id);
    Ok(Output::stdout(args.output.json).data(&user, text)?)
}

async fn list(store: &dyn Store, args: &ListUsersArgs) -> Result<(), Failed> {
    let users = store.users(args.after.as_ref(), args.limit).await?;
    Ok(Output::stdout(args.output.json).data(&users, |users| list_text(users, args.limit))?)
}

fn list_text(users: &[User], limit: u32) -> String {
    if users.is_empty() {
        return "No users. `evergrant users add EMAIL` makes one; so does a first sign-in, and an import.".to_owned();
    }
    let mut table = Table::new(["id", "e-mail", "name", "account", "admin", "may sign in", "since"]);
    for user in users {
        let word = |is: bool| if is { "yes" } else { "no" }.to_owned();
        table.row([
            user.id.to_string(),
            user.email.clone(),
            user.name.clone(),
            user.account.clone(),
            word(user.is_admin),
            word(user.is_active),
            output::time(Some(user.created_at)),
        ]);
    }
    match users.last().filter(|_| users.len() >= limit as usize) {
        Some(last) => format!("{table}\nThere may be more: --after {}", last.id),
        None => table.to_string(),
    }
}

async fn set(store: &dyn Store, args: &SetUserArgs) -> Result<(), Failed> {
    let mut user = find(store, &args.user.user).await?;
    let hash = new_password(args.password)?;
    user.name = args.name.clone().unwrap_or(user.name);
    user.is_admin = args.admin.unwrap_or(user.is_admin);
    user.is_active = args.active.unwrap_or(user.is_active);
    save(store, &user).await?;
    if let Some(hash) = &hash {
        store.set_password(&user.id, Some(hash)).await?;
    }
    // A password is changed because somebody else may know it.
    if hash.is_some() || !user.is_active {
        store.end_sessions(&user.id, SessionEnd::ByOperator, clock().now()).await?;
    }
    Ok(Output::stdout(args.user.output.json).data(&user, |user| format!("{} is changed.", user.email))?)
}

async fn sign_out(store: &dyn Store, args: &UserArgs) -> Result<(), Failed> {
    let user = find(store, &args.user).await?;
    let ended = store.end_sessions(&user.id, SessionEnd::ByOperator, clock().now()).await?;
    let text = |_: &serde_json::Value| match ended {
        0 => format!("{} had no session.", user.email),
        1 => format!("One session of {} is ended.", user.email),
        ended => format!("{ended} sessions of {} are ended.", user.email),
    };
    Ok(Output::stdout(args.output.json).data(&json!({ "user": user.id, "sessions_ended": ended }), text)?)
}

async fn find(store: &dyn Store, text: &str) -> Result<User, Failed> {
    let by_email = store.user(UserKey::Email(text)).await?;
    let user = match (by_email, text.parse::<UserId>()) {
        (None, Ok(id)) => store.user(UserKey::Id(&id)).await?,
        (found, _) => found,
    };
    user.ok_or_else(|| Failed::new(Exit::NotFound, anyhow!("there is no user `{text}`")))
}

async fn save(store: &dyn Store, user: &User) -> Result<(), Failed> {
    match store.save_user(user).await? {
        Saved::Done => Ok(()),
        Saved::EmailTaken => Err(anyhow!("another user has the e-mail address {}", user.email).into()),
        Saved::AccountTaken => Err(anyhow!("another user has the account {}", user.account).into()),
    }
}

fn new_id() -> anyhow::Result<UserId> {
    uuid::Uuid::new_v4().to_string().parse().context("a new id")
}

/// A password from a person or a pipe, hashed. Never from a flag: other users of the machine could read it.
fn new_password(wanted: bool) -> Result<Option<Secret>, Failed> {
    if !wanted {
        return Ok(None);
    }
    let password = if stdin().is_terminal() {
        let first = Secret::new(rpassword::prompt_password("Password: ").context("no password was read")?);
        let again = Secret::new(rpassword::prompt_password("The same again: ").context("no password was read")?);
        if !first.same_as(&again) {
            return Err(anyhow!("the two are not the same").into());
        }
        first
    } else {
        let mut text = String::new();
        stdin().take(PASSWORD_MAX).read_to_string(&mut text).context("no password was read from standard input")?;
        let text = Secret::new(text);
        Secret::new(text.expose().trim_end_matches(['\r', '\n']))
    };
    Ok(Some(hash_password(&password).map_err(anyhow::Error::from)?))
}
