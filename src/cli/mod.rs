//! The command line: what can be asked, and how it is explained. What is done about it stands in `cmd`.

#![expect(clippy::doc_markdown, reason = "these comments are the help, printed for people as they stand")]

mod access;
mod connections;
mod controls;
mod jobs;
mod keys;
mod stats;
#[cfg(test)]
mod tests;
mod top;
mod trial;
mod webhooks;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use access::{
    AddUserArgs, ApiKeysCommand, CreateKeyArgs, ListUsersArgs, RevokeKeyArgs, SetUserArgs, UserArgs, UsersCommand,
};
pub use connections::{
    ConnectionFilterArgs, ConnectionsCommand, CountArgs, DisconnectArgs, ImportArgs, ListArgs, OperatorArgs,
    RefreshArgs, ShowArgs, Since,
};
pub use controls::{
    DrainArgs, PauseArgs, PauseCommand, PausesArgs, ResumeArgs, ResumeCommand, ResumeWorkerArgs, WorkersCommand,
};
pub use jobs::{DiscardArgs, ExportArgs, JobArgs, JobFilterArgs, JobsCommand, ListJobsArgs, ReplayArgs, WhichJobsArgs};
pub use keys::{KeysCommand, ReencryptArgs, RetireKeyArgs, RotateKeyArgs};
pub use stats::StatsArgs;
pub use top::TopArgs;
pub use trial::{DemoArgs, SimArgs};
pub use webhooks::{
    ActOnWebhookArgs, CreateWebhookArgs, DeliveriesArgs, ReplayWebhookArgs, UpdateWebhookArgs, WebhookArgs,
    WebhooksCommand,
};

use crate::config::{Flag, LogFormat, Mode, Sources};

/// Keeps OAuth grants alive: a user connects an account once, and every service finds a valid access token from then on.
#[derive(Debug, Parser)]
#[command(name = "evergrant", version, max_term_width = 100, after_help = EPILOGUE)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EPILOGUE: &str = "\
Examples:
  evergrant demo                                    see it work; needs nothing
  evergrant serve                                   one process, SQLite, no services
  evergrant connections import users.csv            take over the original project's users
  EVERGRANT_MODE=cluster evergrant worker           one part of a cluster

Settings:
  Every setting can stand in a file (--config, else ./evergrant.toml) or in the environment; flags win over the \
environment and the environment over the file. docs/CONFIG.md lists them all. Secrets are never flags: other users of \
the machine could read them.
    FERNET_KEY, DATABASE_URL, AMQP_URL                        the key and the services
    AMAZON_CLIENT_ID, AMAZON_CLIENT_SECRET                    the app at Amazon
    REFRESH_INTERVAL, REFRESH_BUFFER, MAX_RETRIES             the pace
    EVERGRANT_<SECTION>_<KEY>                                 everything else

Exit codes:
  0  done
  1  failed
  2  the command line is wrong
  3  the configuration is refused
  4  the store, the broker or a server cannot be reached
  5  what was named does not exist";

/// What every command takes.
#[derive(Debug, Args)]
pub struct GlobalArgs {
    /// Configuration file (TOML); without it ./evergrant.toml is read if it is there.
    #[arg(long, global = true, value_name = "FILE", env = "EVERGRANT_CONFIG", hide_env_values = true)]
    #[arg(help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Shape of the system [env: EVERGRANT_MODE] [default: embedded].
    #[arg(long, global = true, help_heading = "Global options")]
    pub mode: Option<Mode>,
    /// Form of the log on standard error [env: EVERGRANT_LOG_FORMAT] [default: human].
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Global options")]
    pub log_format: Option<LogFormat>,
    /// Least level logged, or directives such as info,evergrant_workers=debug [env: RUST_LOG] [default: info].
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "Global options")]
    pub log_level: Option<String>,
    /// Folder for what must survive a restart [env: EVERGRANT_DATA_DIR] [default: ./evergrant-data].
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub data_dir: Option<PathBuf>,
}

/// Whether data is printed for people or for programs.
#[derive(Debug, Clone, Copy, Args)]
pub struct JsonArg {
    /// Print JSON instead of text for people.
    #[arg(long)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process: scheduler, workers and API.
    ///
    /// In the embedded mode this is the whole system. In a cluster each process may also run one part alone.
    Serve(ListenArgs),
    /// Run a scheduler: finds tokens that are about to end and publishes jobs.
    ///
    /// Several may run; one leads and a standby takes over within seconds. Cluster only.
    Scheduler(ListenArgs),
    /// Run a worker: takes jobs, refreshes tokens and writes the results.
    ///
    /// As many as wanted; a refresh token is spent by exactly one of them. Cluster only.
    Worker(ListenArgs),
    /// Run the API alone.
    ///
    /// Hands out access tokens, signs people in, takes forced refreshes and makes AMC calls. Cluster only.
    Api(ListenArgs),
    /// Bring the database to the version of this program.
    ///
    /// Applies the migrations that are missing, in order, and says which. Safe to repeat and to run from several
    /// processes at once.
    Migrate(JsonArg),
    /// Check everything that a start needs, and say what to do about what is wrong.
    ///
    /// Looks at the configuration, the store, the broker, the keys, the clock and the reach of each provider. Touches
    /// no connection. Exits 1 if anything would keep the system from working.
    Doctor(JsonArg),
    /// Ask a running process whether it is ready, for container health checks.
    ///
    /// Exits 0 if it is, 1 if it is up but not ready, 4 if nobody answers.
    Healthcheck(HealthcheckArgs),
    /// List, show, count, import, refresh or disconnect connections.
    #[command(subcommand)]
    Connections(ConnectionsCommand),
    /// List, show, replay, discard or export failed jobs.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Watch how things stand: connections, provider apps, backlog, queues, processes, pauses.
    ///
    /// Reads the store, and in a cluster the broker; runs where a worker would. `q` ends it.
    #[command(after_help = "Examples:\n  \
        evergrant top\n  \
        evergrant top --once")]
    Top(TopArgs),
    /// What was done for whom, day by day, and what that suggests.
    ///
    /// Refreshes, failures, tokens given out and the time left at refresh of the last days, by provider app and by user;
    /// connections that nobody uses; settings that would serve better.
    #[command(after_help = "Examples:\n  \
        evergrant stats\n  \
        evergrant stats --days 30 --by failures --top 20\n  \
        evergrant stats --user ada@example.com --json")]
    Stats(StatsArgs),
    /// Stop refreshing for a while: everybody, the connections of a provider app, or one connection.
    ///
    /// Holds in the whole cluster and through every restart, until it is resumed. No connection changes its state, no failed
    /// job is made, and nothing is lost; but tokens end unrefreshed.
    Pause(PauseArgs),
    /// End a pause: what is overdue is refreshed at once, the longest overdue first.
    Resume(ResumeArgs),
    /// Show what is paused, by whom and why.
    Pauses(PausesArgs),
    /// List the processes that take jobs, take one out, or back in.
    #[command(subcommand)]
    Workers(WorkersCommand),
    /// Make encryption keys, see which are in use, bring a new one into use, or give up an old one.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Make, list or change the people who may sign in.
    #[command(subcommand)]
    Users(UsersCommand),
    /// Make, list or revoke the keys of services.
    #[command(subcommand)]
    ApiKeys(ApiKeysCommand),
    /// Tell other systems what happens: make receivers of webhooks, try them out, see and repeat what they were told.
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// See it work: everything in one process against a simulated Amazon, with a few faults.
    ///
    /// Uses a throw-away database and real refreshes of tokens that live for a minute or two. Exits 1 if any token ended
    /// unrefreshed while the provider was healthy.
    Demo(DemoArgs),
    /// Run the simulated Amazon alone: consent page, token endpoint, profile and a few Ads and AMC endpoints.
    ///
    /// Point Evergrant at it with AMAZON_TOKEN_URL, AMAZON_AUTHORIZE_URL and AMAZON_API_URL.
    Sim(SimArgs),
}

/// What commands that serve http take.
#[derive(Debug, Args)]
pub struct ListenArgs {
    /// Address for the API, health and metrics [env: EVERGRANT_LISTEN] [default: 127.0.0.1:8001].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

/// What `healthcheck` takes.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// Address of the process; without it, where this configuration would listen.
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<SocketAddr>,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

impl Cli {
    /// Where the configuration comes from, with these flags on top.
    pub fn sources(&self) -> Sources {
        let global = &self.global;
        let listen = match &self.command {
            Command::Serve(args) | Command::Scheduler(args) | Command::Worker(args) | Command::Api(args) => args.listen,
            _ => None,
        };
        let flags = [
            ("--mode", "mode", global.mode.as_ref().map(word)),
            ("--log-format", "log.format", global.log_format.as_ref().map(word)),
            ("--log-level", "log.level", global.log_level.clone()),
            ("--data-dir", "data_dir", global.data_dir.as_ref().map(|path| path.display().to_string())),
            ("--listen", "listen", listen.map(|address| address.to_string())),
        ];
        let set = flags.into_iter().filter_map(|(flag, key, value)| Some(Flag { flag, key, value: value? }));
        Sources::of_process(global.config.clone(), set.collect())
    }
}

/// The word by which a value is chosen, on the command line and in the configuration alike.
fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
