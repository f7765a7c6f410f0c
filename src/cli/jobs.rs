//! `evergrant jobs`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use evergrant_contract::Timestamp;
use evergrant_contract::failed_job::{FailedJobFilter, FailedJobState};
use evergrant_contract::ids::{ConnectionId, JobId, ProviderName, UserId};
use evergrant_contract::verdict::VerdictKind;

use super::{JsonArg, Since};

/// What can be done with failed jobs.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List failed jobs, newest first: those that are open, unless other states are named.
    #[command(after_help = "Examples:\n  \
        evergrant jobs list --since 1h --verdict transient\n  \
        evergrant jobs list --state open --state discarded --json")]
    List(ListJobsArgs),
    /// Show one failed job: its payload, every attempt, its connection now, and what operators did.
    Show(JobArgs),
    /// Replay failed jobs: refresh their connections again, as far as they still need it.
    ///
    /// Looks at each connection first: one that was refreshed since is left alone, and so is one that has ended, is being
    /// refreshed, or whose provider app is paused. Never spends a spent token. In a cluster the refreshes go to the
    /// workers through the broker; in the embedded mode the connections are made due, and the running
    /// `evergrant serve` takes them up within seconds. Can be stopped at any time and repeated: what was dealt with is
    /// closed. Exits 1 if anything was left open.
    #[command(after_help = "Examples:\n  \
        evergrant jobs replay 018f0000-0000-7000-8000-000000000001\n  \
        evergrant jobs replay --provider amazon-na --since 2h --dry-run\n  \
        evergrant jobs replay --all --rate 200 --reason \"the provider is well again\"")]
    Replay(ReplayArgs),
    /// Give failed jobs up for good. Their connections stay as they are.
    #[command(after_help = "Examples:\n  \
        evergrant jobs discard --until 30d --reason \"long mended\" --dry-run")]
    Discard(DiscardArgs),
    /// Print failed jobs as NDJSON, one a line with their whole history, newest first.
    #[command(after_help = "Examples:\n  evergrant jobs export --since 1d > failed.ndjson")]
    Export(ExportArgs),
}

/// Which failed jobs. Everything that is named has to hold.
#[derive(Debug, Args)]
pub struct JobFilterArgs {
    /// Of this kind: refresh_due, force_refresh.
    #[arg(long, value_name = "KIND", help_heading = "Filters")]
    pub kind: Option<String>,
    /// Of this provider app.
    #[arg(long, value_name = "NAME", help_heading = "Filters")]
    pub provider: Option<ProviderName>,
    /// Whose last attempt had this verdict: transient, throttled, grant_invalid, app_fault, unusable.
    #[arg(long, value_name = "VERDICT", help_heading = "Filters")]
    pub verdict: Option<VerdictKind>,
    /// Whose last attempt had this error code, such as server_error.
    #[arg(long, value_name = "CODE", help_heading = "Filters")]
    pub code: Option<String>,
    /// Of a connection of this user.
    #[arg(long, value_name = "ID", help_heading = "Filters")]
    pub user: Option<UserId>,
    /// Of this connection.
    #[arg(long, value_name = "ID", help_heading = "Filters")]
    pub connection: Option<ConnectionId>,
    /// Given up on since: a time such as 2026-11-23T12:00:00Z, or how long ago, such as 10m.
    #[arg(long, value_name = "TIME", help_heading = "Filters")]
    pub since: Option<Since>,
    /// Given up on before: a time, or how long ago.
    #[arg(long, value_name = "TIME", help_heading = "Filters")]
    pub until: Option<Since>,
    /// With this text in the error.
    #[arg(long, value_name = "TEXT", help_heading = "Filters")]
    pub text: Option<String>,
}

impl JobFilterArgs {
    /// The filter, for these states.
    pub fn filter(&self, states: Vec<FailedJobState>, now: Timestamp) -> FailedJobFilter {
        FailedJobFilter {
            states,
            kind: self.kind.clone(),
            provider: self.provider.clone(),
            verdict: self.verdict,
            code: self.code.clone(),
            user: self.user.clone(),
            connection: self.connection,
            since: self.since.map(|since| since.at(now)),
            until: self.until.map(|until| until.at(now)),
            text: self.text.clone(),
        }
    }
}

/// What `jobs list` takes.
#[derive(Debug, Args)]
pub struct ListJobsArgs {
    /// In this state; may be repeated: open, replayed, discarded.
    #[arg(long = "state", value_name = "STATE", default_value = "open")]
    pub states: Vec<FailedJobState>,
    /// Which.
    #[command(flatten)]
    pub filter: JobFilterArgs,
    /// The most to list.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// From behind this place: what the page before ended with.
    #[arg(long, value_name = "PLACE")]
    pub after: Option<String>,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// A failed job, and how it is printed.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// The failed job.
    #[arg(value_name = "ID")]
    pub id: JobId,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// Which failed jobs are to be dealt with, and why.
#[derive(Debug, Args)]
pub struct WhichJobsArgs {
    /// These failed jobs; without them, those that the filters name.
    #[arg(value_name = "ID", conflicts_with_all = ["kind", "provider", "verdict", "code", "user", "connection", "since", "until", "text", "all", "limit"])]
    pub ids: Vec<JobId>,
    /// Which.
    #[command(flatten)]
    pub filter: JobFilterArgs,
    /// All that are open: needed where no filter is given.
    #[arg(long)]
    pub all: bool,
    /// Only say what would come of it.
    #[arg(long)]
    pub dry_run: bool,
    /// The most to deal with, newest first; without it, all that the filters name.
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<NonZeroU32>,
    /// So many in a second, at most; without it, as fast as it goes.
    #[arg(long, value_name = "NUMBER")]
    pub rate: Option<NonZeroU32>,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
    /// Who does it, for the audit log.
    #[arg(
        long = "as",
        value_name = "NAME",
        env = "USER",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    pub who: String,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `jobs replay` takes.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Which, and why.
    #[command(flatten)]
    pub which: WhichJobsArgs,
    /// Replay one failed job with the payload in this file instead of its own; `-` reads standard input.
    #[arg(long, value_name = "FILE", requires = "ids")]
    pub payload: Option<PathBuf>,
}

/// What `jobs discard` takes.
#[derive(Debug, Args)]
pub struct DiscardArgs {
    /// Which, and why.
    #[command(flatten)]
    pub which: WhichJobsArgs,
}

/// What `jobs export` takes.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// In this state; may be repeated: open, replayed, discarded.
    #[arg(long = "state", value_name = "STATE", default_value = "open")]
    pub states: Vec<FailedJobState>,
    /// Which.
    #[command(flatten)]
    pub filter: JobFilterArgs,
    /// The most to print; without it, all.
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<NonZeroU32>,
}
