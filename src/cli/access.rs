//! `evergrant users` and `evergrant api-keys`: who may use the API.

use std::time::Duration;

use clap::{Args, Subcommand};
use evergrant_contract::ids::{ApiKeyId, UserId};
use evergrant_contract::people::Scope;

use super::JsonArg;

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// Make a user who may sign in.
    ///
    /// With a password (asked for, or read from standard input) they sign in with their e-mail address; with the account
    /// at the provider, or when they sign in there for the first time, without one. Imports make users too.
    #[command(after_help = "Examples:\n  \
        evergrant users add ops@example.com --admin --password\n  \
        printf %s \"$PASSWORD\" | evergrant users add ops@example.com --admin --password")]
    Add(AddUserArgs),
    /// List users, in the order of their ids.
    List(ListUsersArgs),
    /// Change a user: name, rights, whether they may sign in, password.
    ///
    /// Somebody who may not sign in any more is out within a second, everywhere.
    Set(SetUserArgs),
    /// End every session of a user: they have to sign in again, everywhere.
    SignOut(UserArgs),
}

/// What `users add` takes.
#[derive(Debug, Args)]
pub struct AddUserArgs {
    /// E-mail address.
    #[arg(value_name = "EMAIL", value_parser = email)]
    pub email: String,
    /// What to call them.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub name: String,
    /// The id that their connections carry; without it, a new one.
    #[arg(long, value_name = "ID")]
    pub id: Option<UserId>,
    /// Their account at the sign-in provider, such as amzn1.account.AE...
    #[arg(long, value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    pub account: String,
    /// They see and do everything.
    #[arg(long)]
    pub admin: bool,
    /// Ask for a password, or read one from standard input if that is no terminal.
    #[arg(long)]
    pub password: bool,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `users list` takes.
#[derive(Debug, Args)]
pub struct ListUsersArgs {
    /// From behind this user.
    #[arg(long, value_name = "ID")]
    pub after: Option<UserId>,
    /// The most that are listed.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `users set` takes.
#[derive(Debug, Args)]
pub struct SetUserArgs {
    /// Whom.
    #[command(flatten)]
    pub user: UserArgs,
    /// A new name.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Whether they see and do everything.
    #[arg(long, value_name = "BOOL")]
    pub admin: Option<bool>,
    /// Whether they may sign in.
    #[arg(long, value_name = "BOOL")]
    pub active: Option<bool>,
    /// Ask for a new password, or read one from standard input if that is no terminal.
    #[arg(long)]
    pub password: bool,
}

/// A user, and how it is printed.
#[derive(Debug, Args)]
pub struct UserArgs {
    /// E-mail address or id.
    #[arg(value_name = "USER")]
    pub user: String,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub enum ApiKeysCommand {
    /// Make a key for a service. It is shown once, now, and never again.
    #[command(after_help = "Examples:\n  \
        evergrant api-keys create reports --scope tokens:read\n  \
        evergrant api-keys create dashboards --scope connections:read --scope amc:call --expires-in 90d")]
    Create(CreateKeyArgs),
    /// List keys: what they allow, when they were used last.
    List(JsonArg),
    /// Revoke a key: it stops working within a second, everywhere.
    Revoke(RevokeKeyArgs),
}

/// What `api-keys create` takes.
#[derive(Debug, Args)]
pub struct CreateKeyArgs {
    /// What to call it: the service that uses it.
    #[arg(value_name = "NAME", value_parser = name)]
    pub name: String,
    /// What it allows; may be repeated: connections:read, tokens:read, tokens:refresh, amc:call, ops.
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    pub scopes: Vec<Scope>,
    /// Only this user's connections; without it, everybody's.
    #[arg(long, value_name = "ID")]
    pub user: Option<UserId>,
    /// It stops working after this, such as 90d.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub expires_in: Option<Duration>,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `api-keys revoke` takes.
#[derive(Debug, Args)]
pub struct RevokeKeyArgs {
    /// Its id, as `api-keys list` shows it.
    #[arg(value_name = "ID")]
    pub id: ApiKeyId,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

fn email(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = text.len() <= 254 && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    match text.split_once('@') {
        Some((local, host)) if fits && !local.is_empty() && !host.is_empty() => Ok(text.to_owned()),
        _ => Err("an e-mail address was expected".to_owned()),
    }
}

fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=100).contains(&text.chars().count()) && !text.contains(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("a name of 1 to 100 characters was expected".to_owned()) }
}
