//! Reads connections out of files: our own rows, and the `users` export of the original project.
//!
//! ```text
//! bytes --records--> fields of one row --row--> a new connection, a row without tokens, or a bad row with its reason;
//!                                           and the user, if it is a row of the original
//! ```
//!
//! Everything streams, a row is held to [`MAX_ROW`] bytes, and a bad row never stops the good ones. No reason ever shows
//! what a row holds: it may be a token in the wrong column.

mod load;
mod original;
mod ours;
mod people;
mod records;
mod row;
#[cfg(test)]
mod tests;
mod times;
mod tokens;

use std::io::{self, BufRead};
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::connection::NewConnection;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::people::User;
use evergrant_contract::ports::Chance;
use evergrant_contract::timing::Margin;
use evergrant_vault::Keyring;

pub use load::{LoadError, Report, Summary, count, load};
pub use records::Format;

/// No row is longer, in bytes. Two tokens and their company are a few kilobytes.
pub const MAX_ROW: usize = 1 << 20;

/// What is needed to make connections of rows.
pub struct Rules<'a> {
    /// Opens tokens that are encrypted.
    pub keyring: &'a Keyring,
    /// The provider app of rows that name none; all rows of the original project are such.
    pub default_provider: ProviderName,
    /// The time of the import.
    pub now: Timestamp,
    /// Spreads the first refreshes.
    pub chance: &'a dyn Chance,
    /// What is known of a provider app; `None`: there is no such app.
    pub app: &'a dyn Fn(&ProviderName) -> Option<AppRules>,
    /// When a consent given to this app at this time ends, if it does.
    pub consent_ends: &'a dyn Fn(&ProviderName, Timestamp) -> Option<Timestamp>,
}

/// What an import needs to know of a provider app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppRules {
    /// How early its tokens are refreshed.
    pub margin: Margin,
    /// How long its access tokens live, as far as the descriptor knows: a row tells only when one ends.
    pub lifetime: Duration,
}

/// One row of a file.
pub struct Row {
    /// The line on which it begins, counted from 1.
    pub line: u64,
    /// What it is.
    pub outcome: Outcome,
    /// Who may sign in, if the row says so: those of the original project do. `None` for bad rows.
    pub user: Option<Box<User>>,
}

/// What a row is.
pub enum Outcome {
    /// A connection to be made.
    Ready(Box<NewConnection>),
    /// A user without any token: nothing to keep alive, and nothing wrong.
    NoTokens,
    /// It cannot be read, for this reason.
    Bad(String),
}

/// Why reading a file ended early.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read any further.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The first line of a CSV file names no column that is needed.
    #[error(
        "the first line of the CSV file names neither a `user_id` nor an `auth_tokens` column; the columns are user_id, \
         provider, access_token, refresh_token, expires_at, scopes, or those of the original project's `users` table"
    )]
    Header,
}

/// Reads the rows of a file, one at a time. Without a format, the first bytes decide.
pub fn rows<'a>(
    input: impl BufRead + 'a,
    format: Option<Format>,
    rules: &'a Rules<'a>,
) -> Result<impl Iterator<Item = Result<Row, ImportError>> + 'a, ImportError> {
    let records = records::open(Box::new(input), format)?;
    Ok(records.map(|record| {
        let record = record?;
        let (outcome, user) = match record.fields {
            Ok(fields) => row::read(fields, rules),
            Err(reason) => (Outcome::Bad(reason), None),
        };
        Ok(Row { line: record.line, outcome, user })
    }))
}
