//! `evergrant jobs`: failed jobs, looked at.

mod deal;

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::anyhow;
use evergrant_api::{cursor, place};
use evergrant_contract::connection::Connection;
use evergrant_contract::failed_job::{FailedJob, FailedJobFilter, FailedJobKey};
use evergrant_contract::ids::JobId;
use evergrant_contract::operations::AuditEntry;
use evergrant_contract::ports::Store;
use serde::Serialize;

use super::{clock, with_store};
use crate::cli::{ExportArgs, JobArgs, JobsCommand, ListJobsArgs};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::output::{self, Output, Table};

/// Failed jobs read at once.
const PAGE: u32 = 500;
/// Lines of the audit log that are shown.
const LINES: u32 = 100;

pub(super) async fn run(config: &Config, command: &JobsCommand) -> Result<(), Failed> {
    match command {
        JobsCommand::List(args) => with_store(config, async |store| list(&*store, args).await).await,
        JobsCommand::Show(args) => with_store(config, async |store| show(&*store, args).await).await,
        JobsCommand::Replay(args) => deal::replay(config, args).await,
        JobsCommand::Discard(args) => deal::discard(config, args).await,
        JobsCommand::Export(args) => with_store(config, async |store| export(&*store, args).await).await,
    }
}

/// One page.
#[derive(Serialize)]
struct Page {
    items: Vec<FailedJob>,
    /// What to give as `--after` for the next one.
    next: Option<String>,
}

async fn list(store: &dyn Store, args: &ListJobsArgs) -> Result<(), Failed> {
    let filter = args.filter.filter(args.states.clone(), clock().now());
    let after = args.after.as_deref().map(after).transpose()?;
    let mut items = store.failed_jobs(&filter, after, args.limit.saturating_add(1)).await?;
    let is_last = items.len() <= args.limit as usize;
    items.truncate(args.limit as usize);
    let next = items.last().filter(|_| !is_last).map(|job| cursor(job.key()));
    Ok(Output::stdout(args.output.json).data(&Page { items, next }, list_text)?)
}

fn after(text: &str) -> Result<FailedJobKey, Failed> {
    let wrong = || anyhow!("--after takes what the page before ended with, as it was");
    place(text).ok_or_else(|| Failed::new(Exit::Usage, wrong()))
}

fn list_text(page: &Page) -> String {
    if page.items.is_empty() {
        return "No such failed jobs.".to_owned();
    }
    let mut table = Table::new(["id", "failed", "state", "kind", "provider", "connection", "verdict", "code", "error"]);
    for job in &page.items {
        let last = job.attempts.last();
        table.row([
            job.id.to_string(),
            output::time(Some(job.failed_at)),
            job.state.to_string(),
            job.kind.clone(),
            or_dash(job.provider.as_ref()),
            or_dash(job.connection.as_ref()),
            or_dash(last.map(|attempt| attempt.verdict).as_ref()),
            or_dash(last.and_then(|attempt| attempt.trace.code.as_ref())),
            job.error.clone(),
        ]);
    }
    let mut text = table.to_string();
    if let Some(next) = &page.next {
        let _ = writeln!(text, "\nThere are more: --after {next}");
    }
    text
}

fn or_dash<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// A failed job with its connection as it is now, and what operators did.
#[derive(Serialize)]
struct Story {
    #[serde(flatten)]
    job: FailedJob,
    connection_now: Option<Connection>,
    audit: Vec<AuditEntry>,
}

async fn show(store: &dyn Store, args: &JobArgs) -> Result<(), Failed> {
    let job = find(store, args.id).await?;
    let connection_now = match job.connection {
        Some(id) => store.find(id).await?,
        None => None,
    };
    let audit = store.audit_log(Some(&args.id.to_string()), None, LINES).await?;
    Ok(Output::stdout(args.output.json).data(&Story { job, connection_now, audit }, story_text)?)
}

/// The failed job, or the exit code that says that there is none.
async fn find(store: &dyn Store, id: JobId) -> Result<FailedJob, Failed> {
    let found = store.failed_job(id).await?;
    found.ok_or_else(|| Failed::new(Exit::NotFound, anyhow!("there is no failed job {id}")))
}

fn story_text(Story { job, connection_now: row, audit }: &Story) -> String {
    let state = row.as_ref().map_or_else(
        || "-".to_owned(),
        |row| row.reason.map_or_else(|| row.state.to_string(), |reason| format!("{} ({reason})", row.state)),
    );
    let facts = [
        ("failed job", job.id.to_string()),
        ("state", job.state.to_string()),
        ("kind", job.kind.clone()),
        ("provider", or_dash(job.provider.as_ref())),
        ("connection", or_dash(job.connection.as_ref())),
        ("now", state),
        ("given up", output::time(Some(job.failed_at))),
        ("error", job.error.clone()),
        ("trace", or_dash(job.traceparent.as_ref())),
    ];
    let mut text = facts.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:<11} {}", value.replace(char::is_control, "?"));
        text
    });
    let pretty = serde_json::from_str::<serde_json::Value>(&job.payload).ok();
    let payload = pretty.and_then(|value| serde_json::to_string_pretty(&value).ok());
    let raw = || job.payload.replace(char::is_control, "?");
    let _ = writeln!(text, "\nPayload:\n{}", payload.unwrap_or_else(raw));
    if !job.attempts.is_empty() {
        let mut table = Table::new(["at", "verdict", "status", "code", "took", "message"]);
        for attempt in &job.attempts {
            table.row([
                output::time(Some(attempt.at)),
                attempt.verdict.to_string(),
                or_dash(attempt.trace.status.as_ref()),
                or_dash(attempt.trace.code.as_ref()),
                format!("{} ms", attempt.trace.duration_ms),
                attempt.trace.message.clone(),
            ]);
        }
        let _ = write!(text, "\nAttempts, oldest first:\n{table}");
    }
    if !audit.is_empty() {
        let mut table = Table::new(["at", "who", "did", "outcome", "why"]);
        for entry in audit {
            table.row([
                output::time(Some(entry.at)),
                entry.actor.clone(),
                entry.action.to_string(),
                entry.outcome.clone(),
                entry.reason.clone(),
            ]);
        }
        let _ = write!(text, "\nWhat operators did, newest first:\n{table}");
    }
    text
}

async fn export(store: &dyn Store, args: &ExportArgs) -> Result<(), Failed> {
    let filter: FailedJobFilter = args.filter.filter(args.states.clone(), clock().now());
    let (mut after, mut left) = (None, args.limit.map_or(u32::MAX, std::num::NonZero::get));
    let mut out = Output::stdout(true);
    while left > 0 {
        let page = store.failed_jobs(&filter, after, PAGE.min(left)).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key());
        left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
        for job in &page {
            out.json_line(job)?;
        }
    }
    Ok(std::io::stdout().flush()?)
}
