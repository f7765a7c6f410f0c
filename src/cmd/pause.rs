//! `evergrant pause`, `resume` and `pauses`.

use std::fmt::Write as _;

use anyhow::anyhow;
use evergrant_contract::controls::{Order, Ordered, Pause, PauseTarget};
use evergrant_contract::ids::{AuditId, ProviderName};
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::Store;
use serde::Serialize;

use super::{actor, clock, one_line, refused, with_store};
use crate::cli::{PauseArgs, PauseCommand, PausesArgs, ResumeArgs, ResumeCommand};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::output::{self, Output, Table};
use crate::providers;

/// A pause as it is printed.
#[derive(Serialize)]
struct Shown {
    kind: &'static str,
    name: String,
    #[serde(flatten)]
    order: Order,
}

impl From<Pause> for Shown {
    fn from(Pause { target, order }: Pause) -> Self {
        Self { kind: target.kind(), name: target.name(), order }
    }
}

/// The pause that stands.
#[derive(Serialize)]
struct Paused {
    #[serde(flatten)]
    pause: Shown,
    was_paused: bool,
}

/// The pause that has ended.
#[derive(Serialize)]
struct Resumed {
    was_paused: bool,
    pause: Option<Shown>,
}

pub(super) async fn pause(config: &Config, args: &PauseArgs) -> Result<(), Failed> {
    let (target, why, who, output) = match &args.what {
        PauseCommand::Queue(args) => (PauseTarget::from(&args.which), &args.why, &args.who, args.output),
        PauseCommand::App(args) => (PauseTarget::from(&args.which), &args.why, &args.who, args.output),
        PauseCommand::Connection(args) => (PauseTarget::from(&args.which), &args.why, &args.who, args.output),
    };
    let order = order(why, &who.who);
    if order.why.is_empty() {
        return Err(Failed::new(Exit::Usage, anyhow!("--why is empty: whoever meets the pause is told why")));
    }
    with_store(config, async |store| {
        if let PauseTarget::App(provider) = &target {
            known(config, &*store, provider).await?;
        }
        let audit = line(&order, Action::Pause, target.subject(), "paused");
        let pause = Pause { target: target.clone(), order };
        let (pause, was_paused) = match store.pause(&pause, &audit).await? {
            Ordered::Done => (pause, false),
            Ordered::Already(standing) => (standing, true),
            Ordered::NotFound => {
                return Err(Failed::new(Exit::NotFound, anyhow!("there is no {target}")));
            }
        };
        let paused = Paused { pause: pause.into(), was_paused };
        Ok(Output::stdout(output.json).data(&paused, |paused| paused_text(&target, paused))?)
    })
    .await
}

fn paused_text(target: &PauseTarget, Paused { pause, was_paused }: &Paused) -> String {
    let Order { by, why, at } = &pause.order;
    if *was_paused {
        return format!("It is paused already: by {by} since {}, {why}", output::time(Some(*at)));
    }
    format!(
        "Paused: {target}. Processes that run know within a second; a refresh that is in hand is finished.\n\
         Tokens end unrefreshed while it lasts. To resume: evergrant resume {}",
        typed(target)
    )
}

pub(super) async fn resume(config: &Config, args: &ResumeArgs) -> Result<(), Failed> {
    let (target, operator, output) = match &args.what {
        ResumeCommand::Queue(args) => (PauseTarget::from(&args.which), &args.operator, args.output),
        ResumeCommand::App(args) => (PauseTarget::from(&args.which), &args.operator, args.output),
        ResumeCommand::Connection(args) => (PauseTarget::from(&args.which), &args.operator, args.output),
    };
    let audit = line(&order(&operator.why, &operator.who), Action::Resume, target.subject(), "resumed");
    with_store(config, async |store| {
        let ended = store.resume(&target, &audit).await?;
        let resumed = Resumed { was_paused: ended.is_some(), pause: ended.map(Shown::from) };
        Ok(Output::stdout(output.json).data(&resumed, |resumed| match &resumed.pause {
            Some(pause) => format!(
                "Resumed: {target}, paused since {} by {}. What is overdue is refreshed now, the longest overdue first.",
                output::time(Some(pause.order.at)),
                pause.order.by,
            ),
            None => format!("It is not paused: {target}"),
        })?)
    })
    .await
}

/// Everything that is paused.
#[derive(Serialize)]
struct Pauses {
    items: Vec<Shown>,
    connections: Vec<Shown>,
    connections_total: u64,
}

pub(super) async fn list(config: &Config, args: &PausesArgs) -> Result<(), Failed> {
    with_store(config, async |store| {
        let pauses = Pauses {
            items: store.pauses().await?.iter().cloned().map(Shown::from).collect(),
            connections: store.paused_connections(args.after, args.limit).await?.into_iter().map(Shown::from).collect(),
            connections_total: store.count_paused_connections().await?,
        };
        Ok(Output::stdout(args.output.json).data(&pauses, list_text)?)
    })
    .await
}

fn list_text(pauses: &Pauses) -> String {
    if pauses.items.is_empty() && pauses.connections_total == 0 {
        return "Nothing is paused.".to_owned();
    }
    let mut table = Table::new(["what", "which", "since", "by", "why"]);
    for Shown { kind, name, order } in pauses.items.iter().chain(&pauses.connections) {
        table.row([
            (*kind).to_owned(),
            name.clone(),
            output::time(Some(order.at)),
            order.by.clone(),
            order.why.clone(),
        ]);
    }
    let mut text = table.to_string();
    let shown = u64::try_from(pauses.connections.len()).unwrap_or(u64::MAX);
    if let Some(last) = pauses.connections.last().filter(|_| shown < pauses.connections_total) {
        let total = pauses.connections_total;
        let _ = writeln!(text, "\n{total} connections are paused. There may be more: --after {}", last.name);
    }
    text
}

/// What an operator orders now.
pub(super) fn order(why: &str, who: &str) -> Order {
    Order { by: actor(who), why: one_line(why), at: clock().now() }
}

/// The line of the audit log about an order.
pub(super) fn line(order: &Order, action: Action, subject: String, outcome: &str) -> AuditEntry {
    let Order { by, why, at } = order.clone();
    AuditEntry { id: AuditId::generate(), at, actor: by, action, subject, reason: why, outcome: outcome.to_owned() }
}

/// The target as it is typed.
fn typed(target: &PauseTarget) -> String {
    use evergrant_contract::job::JobKind::{ForceRefresh, RefreshDue};
    match target {
        PauseTarget::Queue(RefreshDue) => "queue due".to_owned(),
        PauseTarget::Queue(ForceRefresh) => "queue forced".to_owned(),
        PauseTarget::App(_) | PauseTarget::Connection(_) => target.to_string(),
    }
}

/// Whether there is such a provider app: a slip of the pen would pause nothing.
async fn known(config: &Config, store: &dyn Store, provider: &ProviderName) -> Result<(), Failed> {
    let configured = providers::apps(config, &clock()).map_err(refused)?;
    let was_held = store.apps().await?.iter().any(|app| app.provider == *provider);
    if was_held || configured.contains_key(provider) {
        return Ok(());
    }
    let names: Vec<_> = configured.keys().map(ToString::to_string).collect();
    let known = if names.is_empty() { "none is configured here".to_owned() } else { names.join(", ") };
    Err(Failed::new(Exit::NotFound, anyhow!("there is no provider app {provider}; known: {known}")))
}
