//! `evergrant pause`, `resume`, `pauses` and `workers`: what operators hold back by hand.

use clap::{Args, Subcommand, ValueEnum};
use evergrant_contract::controls::PauseTarget;
use evergrant_contract::ids::{ConnectionId, ProcessId, ProviderName};
use evergrant_contract::job::JobKind;

use super::{JsonArg, OperatorArgs};

/// What `pause` takes.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// What to pause.
    #[command(subcommand)]
    pub what: PauseCommand,
}

/// What can be paused.
#[derive(Debug, Subcommand)]
pub enum PauseCommand {
    /// Pause scheduled or forced refreshes of everybody.
    #[command(after_help = "Examples:\n  evergrant pause queue due --why \"the database is being moved\"")]
    Queue(PauseOf<QueueArg>),
    /// Pause the connections of a provider app.
    #[command(after_help = "Examples:\n  evergrant pause app amazon-na --why \"the client secret is being changed\"")]
    App(PauseOf<AppArg>),
    /// Pause one connection.
    #[command(after_help = "Examples:\n  \
        evergrant pause connection 018f0000-0000-7000-8000-000000000001 --why \"its owner asked for it\"")]
    Connection(PauseOf<ConnectionArg>),
}

/// What pausing one of them takes.
#[derive(Debug, Args)]
pub struct PauseOf<T: Args> {
    /// Which.
    #[command(flatten)]
    pub which: T,
    /// Why: whoever meets the pause is told.
    #[arg(long, value_name = "TEXT")]
    pub why: String,
    /// Who does it.
    #[command(flatten)]
    pub who: WhoArg,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `resume` takes.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// What to resume.
    #[command(subcommand)]
    pub what: ResumeCommand,
}

/// What can be resumed.
#[derive(Debug, Subcommand)]
pub enum ResumeCommand {
    /// Resume scheduled or forced refreshes.
    Queue(ResumeOf<QueueArg>),
    /// Resume a provider app.
    App(ResumeOf<AppArg>),
    /// Resume one connection.
    Connection(ResumeOf<ConnectionArg>),
}

/// What resuming one of them takes.
#[derive(Debug, Args)]
pub struct ResumeOf<T: Args> {
    /// Which.
    #[command(flatten)]
    pub which: T,
    /// Why, and who does it.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// Who does it.
#[derive(Debug, Args)]
pub struct WhoArg {
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
}

/// A queue, by the word that people have for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueueWord {
    /// Scheduled refreshes: tokens end unrefreshed while it lasts.
    Due,
    /// Forced refreshes: whoever asks for one is told at once that they are paused.
    Forced,
}

/// Which queue.
#[derive(Debug, Clone, Args)]
pub struct QueueArg {
    /// Which queue.
    #[arg(value_name = "QUEUE")]
    pub queue: QueueWord,
}

/// Which provider app.
#[derive(Debug, Clone, Args)]
pub struct AppArg {
    /// The provider app, such as amazon-na.
    #[arg(value_name = "NAME")]
    pub app: ProviderName,
}

/// Which connection.
#[derive(Debug, Clone, Args)]
pub struct ConnectionArg {
    /// The connection's id.
    #[arg(value_name = "ID")]
    pub id: ConnectionId,
}

impl From<&QueueArg> for PauseTarget {
    fn from(arg: &QueueArg) -> Self {
        Self::Queue(match arg.queue {
            QueueWord::Due => JobKind::RefreshDue,
            QueueWord::Forced => JobKind::ForceRefresh,
        })
    }
}

impl From<&AppArg> for PauseTarget {
    fn from(arg: &AppArg) -> Self {
        Self::App(arg.app.clone())
    }
}

impl From<&ConnectionArg> for PauseTarget {
    fn from(arg: &ConnectionArg) -> Self {
        Self::Connection(arg.id)
    }
}

/// What `pauses` takes.
#[derive(Debug, Args)]
pub struct PausesArgs {
    /// Connections from behind this one.
    #[arg(long, value_name = "ID")]
    pub after: Option<ConnectionId>,
    /// The most connections that are listed.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What can be done with workers.
#[derive(Debug, Subcommand)]
pub enum WorkersCommand {
    /// List the live processes that take jobs.
    List(JsonArg),
    /// Take a worker out: it takes no new jobs, finishes those in hand, and stays up.
    ///
    /// A worker of a cluster says that it is not ready from then on. `workers list` shows when nothing is in hand any more:
    /// then it can be ended without anybody noticing. Its end is the order's end.
    #[command(after_help = "Examples:\n  \
        evergrant workers drain 018f0000-0000-7000-8000-000000000001 --why \"the host is being replaced\"")]
    Drain(DrainArgs),
    /// Let a drained worker take jobs again.
    Resume(ResumeWorkerArgs),
}

/// What `workers drain` takes.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// The process, as `workers list` shows it.
    #[arg(value_name = "ID")]
    pub process: ProcessId,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub why: String,
    /// Who does it.
    #[command(flatten)]
    pub who: WhoArg,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `workers resume` takes.
#[derive(Debug, Args)]
pub struct ResumeWorkerArgs {
    /// The process, as `workers list` shows it.
    #[arg(value_name = "ID")]
    pub process: ProcessId,
    /// Why, and who does it.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}
