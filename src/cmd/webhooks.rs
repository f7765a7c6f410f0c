//! `evergrant webhooks`.

use anyhow::anyhow;
use evergrant_contract::ports::Store;
use evergrant_contract::timing::before;
use evergrant_contract::webhook::{Delivery, DeliveryFilter, Endpoint, EndpointChange, MessageKind};
use evergrant_webhooks::{By, Done, HookError, Hooks, NewEndpoint};
use serde::Serialize;
use serde_json::json;

use super::{actor, clock, one_line, refused, with_store};
use crate::cli::{
    ActOnWebhookArgs, CreateWebhookArgs, DeliveriesArgs, OperatorArgs, ReplayWebhookArgs, UpdateWebhookArgs,
    WebhookArgs, WebhooksCommand,
};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::output::{self, Output, Table};
use crate::webhooks;

pub(super) async fn run(config: &Config, command: &WebhooksCommand) -> Result<(), Failed> {
    with_store(config, async |store| {
        let hooks = webhooks::hooks(config, &store, &clock()).map_err(refused)?;
        match command {
            WebhooksCommand::Create(args) => create(&hooks, args).await,
            WebhooksCommand::List(output) => list(&*store, output.json).await,
            WebhooksCommand::Show(args) => show(&hooks, args).await,
            WebhooksCommand::Update(args) => update(&hooks, args).await,
            WebhooksCommand::Delete(args) => delete(&hooks, args).await,
            WebhooksCommand::Test(args) => test(&hooks, args).await,
            WebhooksCommand::RotateSecret(args) => rotate_secret(&hooks, args).await,
            WebhooksCommand::Deliveries(args) => deliveries(&*store, &hooks, args).await,
            WebhooksCommand::Replay(args) => replay(&hooks, args).await,
        }
    })
    .await
}

fn by(operator: &OperatorArgs) -> By {
    By { actor: actor(&operator.who), reason: one_line(&operator.why) }
}

fn failed(error: HookError) -> Failed {
    match error {
        HookError::NoEndpoint => {
            let why = anyhow!("there is no such webhook endpoint; `evergrant webhooks list` shows them");
            Failed::new(Exit::NotFound, why)
        }
        HookError::NoDelivery => Failed::new(Exit::NotFound, anyhow!(error)),
        HookError::Store(error) => error.into(),
        wrong => Failed::new(Exit::Usage, anyhow!(wrong)),
    }
}

/// A receiver with its secret, shown once.
#[derive(Serialize)]
struct WithSecret<'a> {
    secret: &'a str,
    #[serde(flatten)]
    endpoint: &'a Endpoint,
}

fn show_secret(done: &Done, json: bool) -> Result<(), Failed> {
    // The one place that shows it: whoever runs this has to give it to the receiver.
    let shown = WithSecret { secret: done.secret.expose(), endpoint: &done.endpoint };
    Ok(Output::stdout(json).data(&shown, |shown| format!("{}\n{}", shown.endpoint.id, shown.secret))?)
}

async fn create(hooks: &Hooks, args: &CreateWebhookArgs) -> Result<(), Failed> {
    let new = NewEndpoint { url: args.url.clone(), description: args.description.clone(), events: args.events.clone() };
    let done = hooks.create(new, &by(&args.operator)).await.map_err(failed)?;
    show_secret(&done, args.output.json)
}

async fn list(store: &dyn Store, json: bool) -> Result<(), Failed> {
    let endpoints = store.endpoints().await?;
    Ok(Output::stdout(json).data(&endpoints, |endpoints| list_text(endpoints))?)
}

fn list_text(endpoints: &[Endpoint]) -> String {
    if endpoints.is_empty() {
        return "No webhook endpoints. `evergrant webhooks create URL` makes one.".to_owned();
    }
    let mut table = Table::new(["id", "url", "events", "state", "failing since", "description"]);
    for endpoint in endpoints {
        let state = endpoint
            .disabled_reason
            .map_or_else(|| endpoint.state.to_string(), |reason| format!("{} ({reason})", endpoint.state));
        table.row([
            endpoint.id.to_string(),
            endpoint.url.clone(),
            events_text(&endpoint.events),
            state,
            output::time(endpoint.failing_since),
            endpoint.description.clone(),
        ]);
    }
    table.to_string()
}

fn events_text(events: &[MessageKind]) -> String {
    let words: Vec<_> = events.iter().map(|event| event.as_str()).collect();
    if words.is_empty() { "all".to_owned() } else { words.join(" ") }
}

async fn show(hooks: &Hooks, args: &WebhookArgs) -> Result<(), Failed> {
    let endpoint = hooks.show(args.id).await.map_err(failed)?;
    Ok(Output::stdout(args.output.json).data(&endpoint, |endpoint| list_text(std::slice::from_ref(endpoint)))?)
}

async fn update(hooks: &Hooks, args: &UpdateWebhookArgs) -> Result<(), Failed> {
    let change = EndpointChange {
        url: args.url.clone(),
        description: args.description.clone(),
        events: (args.all_events || !args.events.is_empty()).then(|| args.events.clone()),
        is_enabled: args.enabled,
    };
    let endpoint = hooks.update(args.which.id, change, &by(&args.operator)).await.map_err(failed)?;
    Ok(Output::stdout(args.which.output.json).data(&endpoint, |endpoint| list_text(std::slice::from_ref(endpoint)))?)
}

async fn delete(hooks: &Hooks, args: &ActOnWebhookArgs) -> Result<(), Failed> {
    hooks.delete(args.which.id, &by(&args.operator)).await.map_err(failed)?;
    let deleted = json!({ "id": args.which.id, "deleted": true });
    Ok(Output::stdout(args.which.output.json).data(&deleted, |_| "It is told nothing any more.".to_owned())?)
}

async fn test(hooks: &Hooks, args: &ActOnWebhookArgs) -> Result<(), Failed> {
    let answered = hooks.test(args.which.id, &by(&args.operator)).await.map_err(failed)?;
    let attempt = &answered.attempt;
    let shown = json!({ "is_delivered": answered.is_delivered, "attempt": attempt });
    Output::stdout(args.which.output.json).data(&shown, |_| {
        let status = attempt.status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
        format!("{status} after {} ms: {}", attempt.duration_ms, attempt.message)
    })?;
    if answered.is_delivered { Ok(()) } else { Err(anyhow!("the receiver did not take the test: see above").into()) }
}

async fn rotate_secret(hooks: &Hooks, args: &ActOnWebhookArgs) -> Result<(), Failed> {
    let done = hooks.rotate_secret(args.which.id, &by(&args.operator)).await.map_err(failed)?;
    show_secret(&done, args.which.output.json)
}

async fn deliveries(store: &dyn Store, hooks: &Hooks, args: &DeliveriesArgs) -> Result<(), Failed> {
    hooks.show(args.which.id).await.map_err(failed)?;
    let filter = DeliveryFilter { state: args.state, kind: args.event };
    let rows = store.deliveries(args.which.id, &filter, args.after, args.limit).await?;
    Ok(Output::stdout(args.which.output.json).data(&rows, |rows| deliveries_text(rows))?)
}

fn deliveries_text(rows: &[Delivery]) -> String {
    if rows.is_empty() {
        return "No such deliveries.".to_owned();
    }
    let mut table = Table::new(["message", "happened", "event", "state", "tries", "next try", "status", "answer"]);
    for row in rows {
        let last = row.last.as_ref();
        table.row([
            row.message.to_string(),
            output::time(Some(row.at)),
            row.kind.to_string(),
            row.state.to_string(),
            row.attempts.to_string(),
            output::time(row.due_at),
            last.and_then(|last| last.status).map_or_else(|| "-".to_owned(), |status| status.to_string()),
            last.map(|last| last.message.clone()).unwrap_or_default(),
        ]);
    }
    table.to_string()
}

async fn replay(hooks: &Hooks, args: &ReplayWebhookArgs) -> Result<(), Failed> {
    let (id, by) = (args.which.id, by(&args.operator));
    let replayed = match (args.message, args.since) {
        (Some(message), _) => hooks.replay(id, message, &by).await.map(|()| 1).map_err(failed)?,
        (None, since) => {
            let since = before(clock().now(), since.unwrap_or_default());
            hooks.replay_missed(id, since, &by).await.map_err(failed)?
        }
    };
    let text = |_: &serde_json::Value| format!("{replayed} due again; `webhooks deliveries` shows what comes of it.");
    Ok(Output::stdout(args.which.output.json).data(&json!({ "replayed": replayed }), text)?)
}
