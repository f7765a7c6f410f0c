//! `evergrant connections refresh`: one forced refresh and its outcome, or many.

mod many;

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use evergrant_api::{Ask, ForceSettings, Waited, Waits};
use evergrant_contract::connection::Connection;
use evergrant_contract::ids::{AuditId, ConnectionId, ProcessId};
use evergrant_contract::job::{ForceReason, JobKind};
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::Clock;
use evergrant_contract::state::Reason;
use evergrant_vault::Keyring;
use evergrant_workers::{RefreshHandler, Workers};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::connections::find;
use super::{actor, clock, keyring, one_line, refused, unreachable};
use crate::cli::RefreshArgs;
use crate::clock::SystemChance;
use crate::config::Config;
use crate::exit::Failed;
use crate::output::{self, Output};
use crate::peers::{refuse_foreign_keys, this_process};
use crate::shape::Shape;
use crate::spool::FileSpool;
use crate::{providers, settings};

#[derive(Serialize)]
struct Refreshed {
    outcome: &'static str,
    #[serde(flatten)]
    connection: Connection,
}

pub(super) async fn run(config: &Config, args: &RefreshArgs) -> Result<(), Failed> {
    match args.id {
        Some(id) => one(config, id, args).await,
        None => many::run(config, args).await,
    }
}

async fn one(config: &Config, id: ConnectionId, args: &RefreshArgs) -> Result<(), Failed> {
    let keyring = keyring(config)?;
    let clock = clock();
    let shape = Shape::open(config, Arc::clone(&keyring), Arc::clone(&clock)).await.map_err(unreachable)?;
    let before = find(shape.store.as_ref(), id).await?;
    let stop = CancellationToken::new();
    // Where no other process takes jobs from our queue, this one does it. The lease in the row keeps it from being done twice.
    let worker = if !shape.queue_is_shared && before.state.is_refreshable() {
        let (handler, queue, stop) =
            (handler(config, &shape, keyring, &clock).await?, Arc::clone(&shape.queue), stop.clone());
        Some(tokio::spawn(async move { queue.work(JobKind::ForceRefresh, 1, Arc::new(handler), stop).await }))
    } else {
        None
    };
    let waited = wait(config, &shape, &clock, &before, args.wait, stop.clone()).await;
    stop.cancel();
    if let Some(worker) = worker {
        worker.await??;
    }
    let entry = AuditEntry {
        id: AuditId::generate(),
        at: clock.now(),
        actor: actor(&args.operator.who),
        action: Action::RefreshConnection,
        subject: id.to_string(),
        reason: one_line(&args.operator.why),
        outcome: waited.as_str().to_owned(),
    };
    shape.store.audit(&entry).await?;
    let row = find(shape.store.as_ref(), id).await?;
    let complaint = complaint(&waited, &row);
    shape.close().await;
    let refreshed = Refreshed { outcome: waited.as_str(), connection: row };
    Output::stdout(args.output.json).data(&refreshed, |refreshed| text(&waited, &refreshed.connection))?;
    complaint.map_or(Ok(()), |complaint| Err(anyhow!(complaint).into()))
}

/// As the API waits: it publishes, and publishes again what seems to be lost, until the row says what came of it.
async fn wait(
    config: &Config,
    shape: &Shape,
    clock: &Arc<dyn Clock>,
    row: &Connection,
    patience: Duration,
    stop: CancellationToken,
) -> Waited {
    let force = &config.force;
    let settings = ForceSettings { deadline: patience, waiters_max: 1, cool_down: force.cool_down, fresh: force.fresh };
    let (store, queue, events) = (Arc::clone(&shape.store), Arc::clone(&shape.queue), Arc::clone(&shape.events));
    let waits = Waits::new(store, queue, events, Arc::clone(clock), settings);
    tokio::spawn(Arc::clone(&waits).run(stop));
    let reason = ForceReason::Operator;
    waits.refresh(Ask { connection: row.id, observed: row.version, reason, patience: None, traceparent: None }).await
}

async fn handler(
    config: &Config,
    shape: &Shape,
    keyring: Arc<Keyring>,
    clock: &Arc<dyn Clock>,
) -> Result<RefreshHandler, Failed> {
    let process = ProcessId::generate();
    refuse_foreign_keys(shape.store.as_ref(), &this_process(process, "refresh", &keyring)).await?;
    let workers = Workers {
        process,
        settings: settings::worker(config),
        store: Arc::clone(&shape.store),
        queue: Arc::clone(&shape.queue),
        events: Arc::clone(&shape.events),
        spool: Arc::new(FileSpool::new(config.spool_path(), keyring)),
        providers: providers::configured(config, clock).map_err(refused)?,
        clock: Arc::clone(clock),
        chance: Arc::new(SystemChance),
        meter: Arc::default(),
        stop: CancellationToken::new(),
        abort: CancellationToken::new(),
    };
    let handler = workers.handler().map_err(refused)?;
    handler.look_at_apps().await?;
    Ok(handler)
}

/// Why it was not refreshed, and what comes next.
fn complaint(waited: &Waited, row: &Connection) -> Option<String> {
    Some(match waited {
        Waited::Refreshed(_) => return None,
        Waited::NeedsReauth(Reason::Undecryptable) => {
            "it is out of use until the key that wrote its tokens is given back in FERNET_KEY".to_owned()
        }
        Waited::NeedsReauth(_) => "the grant has ended: its user has to connect again".to_owned(),
        Waited::Unavailable { message, is_app_fault: true, .. } => format!("the app has a fault. {message}"),
        Waited::Unavailable { message, .. } if row.last_error.as_ref() == Some(message) => {
            format!("it was not refreshed, and is tried again later: {message}")
        }
        Waited::Unavailable { message, .. } => format!("it was not refreshed, and is tried again later. {message}"),
        Waited::Paused { message, .. } => format!("it was not asked for. {message}"),
        Waited::Pending { .. } => "no outcome yet; the job goes on. See that a worker runs".to_owned(),
        Waited::Away { .. } => "the store or the queue was away: `evergrant doctor` says which".to_owned(),
        Waited::NotFound => "there is no such connection any more".to_owned(),
        Waited::Rejected | Waited::Overloaded => "it was not asked for: try again in a moment".to_owned(),
    })
}

fn text(waited: &Waited, row: &Connection) -> String {
    if let Waited::Refreshed(version) = waited {
        return format!("{} is refreshed: version {version}, until {}", row.id, output::time(row.expires_at));
    }
    let reason = row.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let error = row.last_error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    format!("{} is {}{reason}{error}", row.id, row.state)
}
