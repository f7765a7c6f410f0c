//! `evergrant connections refresh`: one forced refresh, and its outcome.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use evergrant_contract::app::{App, AppState};
use evergrant_contract::connection::Connection;
use evergrant_contract::ids::ProcessId;
use evergrant_contract::job::{ForceReason, Job, Payload};
use evergrant_contract::ports::{Clock, JobHandler as _};
use evergrant_contract::state::Reason;
use evergrant_contract::timing::after;
use evergrant_workers::Workers;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::connections::find;
use super::{clock, keyring, refused, unreachable};
use crate::cli::RefreshArgs;
use crate::clock::SystemChance;
use crate::config::Config;
use crate::exit::Failed;
use crate::output::{self, Output};
use crate::peers::{refuse_foreign_keys, this_process};
use crate::shape::Shape;
use crate::spool::FileSpool;
use crate::{providers, settings};

/// Between two looks at the row.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Refreshed,
    Ended,
    NotNow,
    AppHeld,
    TimedOut,
}

#[derive(Serialize)]
struct Refreshed {
    outcome: Outcome,
    #[serde(flatten)]
    connection: Connection,
}

pub(super) async fn run(config: &Config, args: &RefreshArgs) -> Result<(), Failed> {
    let keyring = keyring(config)?;
    let clock = clock();
    let shape = Shape::open(config, Arc::clone(&keyring), Arc::clone(&clock)).await.map_err(unreachable)?;
    let before = find(shape.store.as_ref(), args.id).await?;
    if before.state.is_refreshable() {
        let job = force(&before, clock.as_ref(), args.wait);
        if shape.queue_is_shared {
            shape.queue.publish(vec![job]).await.map_err(unreachable)?;
        } else {
            refresh_here(config, &shape, Arc::clone(&keyring), Arc::clone(&clock), job).await?;
        }
    }
    let (outcome, row) = wait(&shape, &before, clock.as_ref(), args.wait).await?;
    let complaint = complaint(&shape, outcome, &row).await?;
    shape.close().await;
    Output::stdout(args.output.json).data(&Refreshed { outcome, connection: row }, text)?;
    complaint.map_or(Ok(()), |complaint| Err(anyhow!(complaint).into()))
}

/// Why it was not refreshed, and what comes next.
async fn complaint(shape: &Shape, outcome: Outcome, row: &Connection) -> Result<Option<String>, Failed> {
    let error = row.last_error.as_deref().unwrap_or_default();
    Ok(Some(match outcome {
        Outcome::Refreshed => return Ok(None),
        Outcome::Ended if row.reason == Some(Reason::Undecryptable) => {
            "it is out of use until the key that wrote its tokens is given back in FERNET_KEY".to_owned()
        }
        Outcome::Ended => "the grant has ended: its user has to connect again".to_owned(),
        Outcome::NotNow => format!("it was not refreshed, and is tried again later: {error}"),
        Outcome::AppHeld => {
            let (state, message) = held_app(shape, row).await?.map(|app| (app.state, app.message)).unzip();
            let (state, message) = (state.unwrap_or(AppState::Open), message.flatten().unwrap_or_default());
            format!("refreshes of {} are paused ({state}): {message}", row.provider)
        }
        Outcome::TimedOut => "no outcome yet; the job goes on. See that a worker runs".to_owned(),
    }))
}

async fn held_app(shape: &Shape, row: &Connection) -> Result<Option<App>, Failed> {
    let apps = shape.store.apps().await?;
    Ok(apps.into_iter().find(|app| app.provider == row.provider && app.state != AppState::Open))
}

fn force(row: &Connection, clock: &dyn Clock, wait: Duration) -> Job {
    let now = clock.now();
    Job::new(Payload::ForceRefresh {
        connection: row.id,
        observed_version: row.version,
        refresh_at: row.refresh_at.unwrap_or(now),
        reason: ForceReason::Operator,
        deadline: after(now, wait),
    })
}

/// Where no other process takes jobs from our queue, this one does the job. The lease in the row keeps it from being done twice.
async fn refresh_here(
    config: &Config,
    shape: &Shape,
    keyring: Arc<evergrant_vault::Keyring>,
    clock: Arc<dyn Clock>,
    job: Job,
) -> Result<(), Failed> {
    let process = ProcessId::generate();
    refuse_foreign_keys(shape.store.as_ref(), &this_process(process, "refresh", &keyring)).await?;
    let workers = Workers {
        process,
        settings: settings::worker(config),
        store: Arc::clone(&shape.store),
        queue: Arc::clone(&shape.queue),
        events: Arc::clone(&shape.events),
        spool: Arc::new(FileSpool::new(config.spool_path(), keyring)),
        providers: providers::configured(config, &clock).map_err(refused)?,
        clock,
        chance: Arc::new(SystemChance),
        stop: CancellationToken::new(),
        abort: CancellationToken::new(),
    };
    let handler = workers.handler().map_err(refused)?;
    handler.look_at_apps().await?;
    handler.handle(job).await;
    Ok(())
}

async fn wait(
    shape: &Shape,
    before: &Connection,
    clock: &dyn Clock,
    patience: Duration,
) -> Result<(Outcome, Connection), Failed> {
    let deadline = clock.monotonic() + patience;
    loop {
        let row = find(shape.store.as_ref(), before.id).await?;
        let outcome = match &row {
            row if !row.state.is_refreshable() => Some(Outcome::Ended),
            row if row.version > before.version => Some(Outcome::Refreshed),
            row if row.refresh_at != before.refresh_at => Some(Outcome::NotNow),
            row if held_app(shape, row).await?.is_some() => Some(Outcome::AppHeld),
            _ if clock.monotonic() >= deadline => Some(Outcome::TimedOut),
            _ => None,
        };
        if let Some(outcome) = outcome {
            return Ok((outcome, row));
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

fn text(refreshed: &Refreshed) -> String {
    let Refreshed { outcome, connection: row } = refreshed;
    match outcome {
        Outcome::Refreshed => {
            format!("{} is refreshed: version {}, until {}", row.id, row.version, output::time(row.expires_at))
        }
        Outcome::Ended | Outcome::NotNow | Outcome::AppHeld | Outcome::TimedOut => {
            let reason = row.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let error = row.last_error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            format!("{} is {}{reason}{error}", row.id, row.state)
        }
    }
}
