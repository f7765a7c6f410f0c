//! `evergrant connections`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use evergrant_contract::connection::{Connection, ConnectionFilter, Stats};
use evergrant_contract::controls::Order;
use evergrant_contract::ids::{AuditId, ConnectionId, ProviderName};
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::Store;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::Margin;
use evergrant_contract::verdict::Attempt;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;

use super::{actor, clock, keyring, one_line, refresh, refused, with_store};
use crate::cli::{ConnectionsCommand, CountArgs, DisconnectArgs, ImportArgs, ListArgs, ShowArgs};
use crate::clock::SystemChance;
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::import::{self, AppRules, Report, Rules, Summary};
use crate::output::{self, Output, Table};
use crate::{peers, providers};

pub(super) async fn run(config: &Config, command: &ConnectionsCommand) -> Result<(), Failed> {
    match command {
        ConnectionsCommand::List(args) => with_store(config, async |store| list(&*store, args).await).await,
        ConnectionsCommand::Show(args) => with_store(config, async |store| show(&*store, args).await).await,
        ConnectionsCommand::Stats(args) => with_store(config, async |store| stats(&*store, args).await).await,
        ConnectionsCommand::Import(args) => with_store(config, async |store| import(config, store, args).await).await,
        ConnectionsCommand::Refresh(args) => refresh::run(config, args).await,
        ConnectionsCommand::Disconnect(args) => with_store(config, async |store| disconnect(&*store, args).await).await,
    }
}

async fn list(store: &dyn Store, args: &ListArgs) -> Result<(), Failed> {
    let filter = args.filter.filter(clock().now());
    let is_filtered = args.after.is_some() || filter != ConnectionFilter::default();
    let rows = store.list(&filter, args.after, args.limit).await?;
    Ok(Output::stdout(args.output.json).data(&rows, |rows| list_text(rows, args.limit, is_filtered))?)
}

fn list_text(rows: &[Connection], limit: u32, is_filtered: bool) -> String {
    if rows.is_empty() && is_filtered {
        return "No such connections.".to_owned();
    }
    if rows.is_empty() {
        return "No connections. `evergrant connections import FILE` takes some over.".to_owned();
    }
    let mut table = Table::new(["id", "user", "provider", "state", "version", "expires", "next look", "last error"]);
    for row in rows {
        table.row([
            row.id.to_string(),
            row.user.to_string(),
            row.provider.to_string(),
            state_text(row),
            row.version.to_string(),
            output::time(row.expires_at),
            output::time(row.refresh_at),
            row.last_error.clone().unwrap_or_default(),
        ]);
    }
    let mut text = table.to_string();
    if let Some(last) = rows.last().filter(|_| rows.len() >= limit as usize) {
        let _ = writeln!(text, "\nThere may be more: --after {}", last.id);
    }
    text
}

/// The state and what stands beside it.
fn state_text(row: &Connection) -> String {
    let paused = row.paused.as_ref().map(|_| "paused");
    let beside: Vec<_> = row.reason.map(Reason::as_str).into_iter().chain(paused).collect();
    if beside.is_empty() { row.state.to_string() } else { format!("{} ({})", row.state, beside.join(", ")) }
}

/// A connection with its latest attempts.
#[derive(Serialize)]
struct Story {
    #[serde(flatten)]
    connection: Connection,
    attempts: Vec<Attempt>,
}

async fn show(store: &dyn Store, args: &ShowArgs) -> Result<(), Failed> {
    let connection = find(store, args.id).await?;
    let attempts = store.attempts(args.id, args.attempts).await?;
    Ok(Output::stdout(args.output.json).data(&Story { connection, attempts }, story_text)?)
}

/// The connection, or the exit code that says that there is none.
pub(super) async fn find(store: &dyn Store, id: ConnectionId) -> Result<Connection, Failed> {
    let found = store.find(id).await?;
    found.ok_or_else(|| Failed::new(Exit::NotFound, anyhow!("there is no connection {id}")))
}

fn story_text(Story { connection: row, attempts }: &Story) -> String {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let facts = [
        ("connection", row.id.to_string()),
        ("user", row.user.to_string()),
        ("provider", row.provider.to_string()),
        ("account", or_dash(&row.account)),
        ("label", or_dash(&row.label)),
        ("state", row.state.to_string()),
        ("reason", row.reason.map_or("-", |reason| reason.as_str()).to_owned()),
        ("version", row.version.to_string()),
        ("expires", output::time(row.expires_at)),
        ("next look", output::time(row.refresh_at)),
        ("refreshed", output::time(row.refreshed_at)),
        ("consent", output::time(row.consent_at)),
        ("consent ends", output::time(row.refresh_expires_at)),
        ("scopes", or_dash(&row.scopes)),
        ("failures", row.failures.to_string()),
        ("last error", row.last_error.clone().unwrap_or_else(|| "-".to_owned())),
        ("key", row.key.clone().unwrap_or_else(|| "-".to_owned())),
        ("leased until", output::time(row.leased_until)),
        (
            "paused",
            row.paused.as_ref().map_or("-".to_owned(), |Order { by, why, at }| {
                format!("since {} by {by}: {why}", output::time(Some(*at)))
            }),
        ),
        ("created", output::time(Some(row.created_at))),
    ];
    let mut text = columns(facts);
    if !attempts.is_empty() {
        let mut table = Table::new(["at", "verdict", "status", "code", "took", "message"]);
        for attempt in attempts {
            table.row([
                output::time(Some(attempt.at)),
                attempt.verdict.to_string(),
                attempt.trace.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
                attempt.trace.code.clone().unwrap_or_else(|| "-".to_owned()),
                format!("{} ms", attempt.trace.duration_ms),
                attempt.trace.message.clone(),
            ]);
        }
        let _ = write!(text, "\nAttempts that did not succeed, newest first:\n{table}");
    }
    text
}

/// A name and a value on each line.
fn columns<V: std::fmt::Display>(facts: impl IntoIterator<Item = (&'static str, V)>) -> String {
    facts.into_iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:<13} {value}");
        text
    })
}

async fn stats(store: &dyn Store, args: &CountArgs) -> Result<(), Failed> {
    let now = clock().now();
    let stats = store.stats(now, args.since.at(now)).await?;
    Ok(Output::stdout(args.output.json).data(&stats, stats_text)?)
}

fn stats_text(stats: &Stats) -> String {
    let by_state = stats.by_state.iter().map(|(state, count)| (state.as_str(), *count));
    let rest = [("due", stats.due), ("expired", stats.expired), ("refreshed", stats.refreshed)];
    let facts = std::iter::once(("connections", stats.total)).chain(by_state).chain(rest);
    columns(facts.chain([("failed jobs", stats.failed_jobs)]))
}

async fn disconnect(store: &dyn Store, args: &DisconnectArgs) -> Result<(), Failed> {
    let DisconnectArgs { id, operator, output } = args;
    find(store, *id).await?;
    let changed = store.disconnect(*id).await?;
    let entry = AuditEntry {
        id: AuditId::generate(),
        at: clock().now(),
        actor: actor(&operator.who),
        action: Action::DisconnectConnection,
        subject: id.to_string(),
        reason: one_line(&operator.why),
        outcome: if changed { "disconnected" } else { "already_disconnected" }.to_owned(),
    };
    store.audit(&entry).await?;
    let people = |_: &serde_json::Value| {
        if changed {
            format!("{id} is disconnected: its tokens are gone.")
        } else {
            format!("{id} was disconnected already.")
        }
    };
    Ok(Output::stdout(output.json)
        .data(&json!({ "connection": id, "state": State::Disconnected, "changed": changed }), people)?)
}

/// A row that could not be read.
#[derive(Serialize)]
struct BadRow {
    line: u64,
    reason: String,
}

async fn import(config: &Config, store: Arc<dyn Store>, args: &ImportArgs) -> Result<(), Failed> {
    let keyring = keyring(config)?;
    let me = peers::this_process(evergrant_contract::ids::ProcessId::generate(), "import", &keyring);
    peers::refuse_foreign_keys(store.as_ref(), &me).await?;
    let registry = providers::registry(config).map_err(refused)?;
    let buffer = config.scheduler.refresh_buffer;
    let app = |name: &ProviderName| {
        let descriptor = registry.get(name).ok()?;
        let margin = Margin { buffer, share_percent: descriptor.margin_share_percent };
        Some(AppRules { margin, lifetime: descriptor.default_lifetime })
    };
    let consent_ends = |name: &ProviderName, at| registry.get(name).ok()?.consent_lifetime.refresh_expires_at(at);
    let rules = Rules {
        keyring: &keyring,
        default_provider: args.provider.clone(),
        now: clock().now(),
        chance: &SystemChance,
        app: &app,
        consent_ends: &consent_ends,
    };
    let (file, size): (Box<dyn Read>, u64) = if args.file.as_os_str() == "-" {
        (Box::new(std::io::stdin()), 0)
    } else {
        let opened = File::open(&args.file).with_context(|| format!("{} cannot be opened", args.file.display()));
        let file = opened.map_err(|error| Failed::new(Exit::NotFound, error))?;
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        (Box::new(file), size)
    };
    let bar = progress_bar(size);
    let rows = import::rows(BufReader::with_capacity(1 << 16, bar.wrap_read(file)), args.format, &rules)?;
    let mut bad = Vec::new();
    let report = |report: Report<'_>| match report {
        Report::Bad { line, reason } => {
            bar.suspend(|| tracing::warn!(line, reason, "A row cannot be imported"));
            bad.push(BadRow { line, reason: reason.to_owned() });
        }
        Report::Refused { line, reason } => {
            bar.suspend(|| tracing::warn!(line, reason, "The user of a row cannot be imported"));
            bad.push(BadRow { line, reason: reason.to_owned() });
        }
        Report::Progress(summary) => bar.set_message(format!("{} rows", summary.rows())),
    };
    let summary =
        if args.dry_run { import::count(rows, report)? } else { import::load(rows, store.as_ref(), report).await? };
    bar.finish_and_clear();
    let printed = json!({ "summary": summary, "bad_rows": bad, "dry_run": args.dry_run });
    Output::stdout(args.output.json).data(&printed, |_| summary_text(&summary, args.dry_run))?;
    if summary.bad > 0 {
        return Err(anyhow!("{} of {} rows cannot be imported as they are", summary.bad, summary.rows()).into());
    }
    if summary.users_refused > 0 {
        return Err(anyhow!(
            "{} users were not made: `evergrant users list` shows who is there",
            summary.users_refused
        )
        .into());
    }
    Ok(())
}

fn progress_bar(size: u64) -> ProgressBar {
    if !output::is_watched() {
        return ProgressBar::hidden();
    }
    let bar = if size == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(size) };
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg} {elapsed}");
    bar.enable_steady_tick(Duration::from_millis(100));
    if let (Ok(style), true) = (style, size > 0) { bar.with_style(style) } else { bar }
}

fn summary_text(summary: &Summary, dry_run: bool) -> String {
    let verb = if dry_run { "would be imported" } else { "imported" };
    let rest = [
        (summary.without_refresh_token, "of these without a refresh token: needs a new consent"),
        (summary.kept, "there already: left alone"),
        (summary.without_tokens, "without any token: passed over"),
        (summary.users, "users: may sign in with Amazon"),
        (summary.admins, "of these admins, as they were before: see and do everything"),
        (summary.users_kept, "users there already: left alone"),
        (summary.users_refused, "users not made: see the warnings"),
        (summary.bad, "not readable: see the warnings"),
    ];
    let rest = rest.into_iter().filter(|(count, _)| *count > 0);
    std::iter::once((summary.inserted, verb)).chain(rest).fold(String::new(), |mut text, (count, what)| {
        let _ = writeln!(text, "{count:>7}  {what}");
        text
    })
}
