//! `evergrant connections`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use evergrant_contract::Timestamp;
use evergrant_contract::connection::ConnectionFilter;
use evergrant_contract::ids::{ConnectionId, ProviderName, UserId};
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::before;

use super::JsonArg;
use crate::import::Format;

/// What can be done with connections.
#[derive(Debug, Subcommand)]
pub enum ConnectionsCommand {
    /// List connections, in the order in which they were made.
    #[command(after_help = "Examples:\n  \
        evergrant connections list --state needs_reauth --state failing\n  \
        evergrant connections list --reason attempts_exhausted --text shop\n  \
        evergrant connections list --user 42 --json")]
    List(ListArgs),
    /// Show one connection and its last attempts.
    Show(ShowArgs),
    /// Count connections: by state, due, expired, refreshed since a time.
    #[command(after_help = "Examples:\n  evergrant connections stats --since 1h --json")]
    Stats(CountArgs),
    /// Take over connections from a file.
    ///
    /// Reads our own rows (user_id, provider, account, label, access_token, refresh_token, expires_at, scopes,
    /// consent_at) and the original project's `users` table (id, email, name, amazon_customer_id, auth_tokens), as one
    /// JSON object a line, a JSON array or CSV. Tokens may be in the clear or encrypted with one of the keys in
    /// FERNET_KEY. A connection that exists already is left alone, so an import can be repeated. A bad row is reported
    /// with its line and never stops the good ones; with any bad row the exit code is 1.
    #[command(after_help = "Examples:\n  \
        evergrant connections import users.csv\n  \
        psql -c \"COPY (SELECT * FROM users) TO STDOUT CSV HEADER\" | evergrant connections import -")]
    Import(ImportArgs),
    /// Refresh a connection now, even if its token is still good; or many, by the words of `connections list`.
    ///
    /// One: waits for the outcome, and exits 1 if the grant has ended or the provider does not answer in time.
    /// Many: asks for their refreshes and waits for none. They step aside for people who wait, and for workers that have
    /// enough to do. Those that have ended, are being refreshed, or whose provider app is paused, are left alone. Can be
    /// stopped at any time; it says where to go on from. Never spends a spent token.
    #[command(after_help = "Examples:\n  \
        evergrant connections refresh 018f0000-0000-7000-8000-000000000001\n  \
        evergrant connections refresh --state failing --provider amazon-eu --dry-run\n  \
        evergrant connections refresh --expired --rate 100 --why \"the outage is over\"\n  \
        evergrant connections refresh --all --yes")]
    Refresh(RefreshArgs),
    /// Disconnect one connection: its tokens are removed from the store for good.
    ///
    /// The grant at the provider stays; its user takes it away in the provider's own settings.
    Disconnect(DisconnectArgs),
}

/// Which connections. Everything that is named has to hold.
#[derive(Debug, Args)]
pub struct ConnectionFilterArgs {
    /// In this state; may be repeated: active, failing, suspect, needs_reauth, disconnected.
    #[arg(long = "state", value_name = "STATE", help_heading = "Filters")]
    pub states: Vec<State>,
    /// With this reason for not being active: grant_invalid, undecryptable, attempts_exhausted and others.
    #[arg(long, value_name = "REASON", help_heading = "Filters")]
    pub reason: Option<Reason>,
    /// Of this provider app.
    #[arg(long, value_name = "NAME", help_heading = "Filters")]
    pub provider: Option<ProviderName>,
    /// Of this user.
    #[arg(long, value_name = "ID", help_heading = "Filters")]
    pub user: Option<UserId>,
    /// Whose user, account or label begins with this, or whose id this is.
    #[arg(long, value_name = "TEXT", help_heading = "Filters")]
    pub text: Option<String>,
    /// Whose access token has ended.
    #[arg(long, help_heading = "Filters")]
    pub expired: bool,
}

impl ConnectionFilterArgs {
    /// The filter.
    pub fn filter(&self, now: Timestamp) -> ConnectionFilter {
        ConnectionFilter {
            states: self.states.clone(),
            reason: self.reason,
            provider: self.provider.clone(),
            user: self.user.clone(),
            text: self.text.clone(),
            expired_before: self.expired.then_some(now),
        }
    }
}

/// Why, and who says so.
#[derive(Debug, Args)]
pub struct OperatorArgs {
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub why: String,
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

/// What `connections list` takes.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which.
    #[command(flatten)]
    pub filter: ConnectionFilterArgs,
    /// The most to list.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// From behind this connection: the last one of the page before.
    #[arg(long, value_name = "ID")]
    pub after: Option<ConnectionId>,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `connections show` takes.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The connection.
    pub id: ConnectionId,
    /// The most attempts to show, newest first.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub attempts: u32,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `connections stats` takes.
#[derive(Debug, Args)]
pub struct CountArgs {
    /// Count as refreshed what was refreshed since: a time such as 2026-11-23T12:00:00Z, or how long ago, such as 10m.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub since: Since,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `connections import` takes.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file; `-` reads standard input.
    pub file: PathBuf,
    /// Layout of the file; without it the name and the first byte decide.
    #[arg(long)]
    pub format: Option<Format>,
    /// Provider app of rows that name none.
    #[arg(long, value_name = "NAME", default_value = "amazon-na")]
    pub provider: ProviderName,
    /// Read everything and store nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `connections refresh` takes.
#[derive(Debug, Args)]
pub struct RefreshArgs {
    /// This connection; without it, those that the filters name.
    #[arg(value_name = "ID", conflicts_with_all = [
        "states", "reason", "provider", "user", "text", "expired", "all", "dry_run", "limit", "rate", "after"
    ])]
    pub id: Option<ConnectionId>,
    /// Which.
    #[command(flatten)]
    pub filter: ConnectionFilterArgs,
    /// All connections: needed where no filter is given. Asks whether you are sure.
    #[arg(long)]
    pub all: bool,
    /// Do not ask.
    #[arg(long, requires = "all")]
    pub yes: bool,
    /// Only say what would come of it.
    #[arg(long)]
    pub dry_run: bool,
    /// The most to refresh; without it, all that the filters name.
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<NonZeroU32>,
    /// So many in a second, at most; without it, as fast as the workers take them.
    #[arg(long, value_name = "NUMBER")]
    pub rate: Option<NonZeroU32>,
    /// From behind this connection: where a command that was stopped says to go on from.
    #[arg(long, value_name = "ID")]
    pub after: Option<ConnectionId>,
    /// How long to wait for the outcome of one.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    pub wait: Duration,
    /// Why, and who says so.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `connections disconnect` takes.
#[derive(Debug, Args)]
pub struct DisconnectArgs {
    /// The connection.
    pub id: ConnectionId,
    /// Why, and who says so.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// A time in the past: an instant, or how long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// That long before now.
    Ago(Duration),
    /// At that time.
    At(Timestamp),
}

impl Since {
    /// The instant.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(length) => before(now, length),
            Self::At(time) => time,
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = || chrono::DateTime::parse_from_rfc3339(text).map(|time| Self::At(time.to_utc()));
        let unclear = |_| "a time such as 2026-11-23T12:00:00Z or a duration such as 10m is expected".to_owned();
        humantime::parse_duration(text).map(Self::Ago).or_else(|_| time().map_err(unclear))
    }
}
