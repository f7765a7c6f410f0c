//! `evergrant connections`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, ProviderName, UserId};
use evergrant_contract::state::State;
use evergrant_contract::timing::before;

use super::JsonArg;
use crate::import::Format;

/// What can be done with connections.
#[derive(Debug, Subcommand)]
pub enum ConnectionsCommand {
    /// List connections, in the order in which they were made.
    #[command(after_help = "Examples:\n  \
        evergrant connections list --state needs_reauth --state failing\n  \
        evergrant connections list --user 42 --json")]
    List(ListArgs),
    /// Show one connection and its last attempts.
    Show(ShowArgs),
    /// Count connections: by state, due, expired, refreshed since a time.
    #[command(after_help = "Examples:\n  evergrant connections stats --since 1h --json")]
    Stats(StatsArgs),
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
    /// Refresh one connection now, even if its token is still good.
    ///
    /// Exits 1 if the grant has ended or the provider does not answer in time.
    Refresh(RefreshArgs),
    /// Disconnect one connection: its tokens are removed from the store for good.
    ///
    /// The grant at the provider stays; its user takes it away in the provider's own settings.
    Disconnect(DisconnectArgs),
}

/// What `connections list` takes.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// In this state; may be repeated: active, failing, suspect, needs_reauth, disconnected.
    #[arg(long = "state", value_name = "STATE")]
    pub states: Vec<State>,
    /// Of this provider app.
    #[arg(long, value_name = "NAME")]
    pub provider: Option<ProviderName>,
    /// Of this user.
    #[arg(long, value_name = "ID")]
    pub user: Option<UserId>,
    /// Whose access token has ended.
    #[arg(long)]
    pub expired: bool,
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
pub struct StatsArgs {
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
    /// The connection.
    pub id: ConnectionId,
    /// How long to wait for the outcome.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    pub wait: Duration,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `connections disconnect` takes.
#[derive(Debug, Args)]
pub struct DisconnectArgs {
    /// The connection.
    pub id: ConnectionId,
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
