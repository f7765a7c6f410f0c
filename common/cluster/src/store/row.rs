//! From columns to words, and back.

use std::fmt::Display;
use std::str::FromStr;

use evergrant_contract::Timestamp;
use evergrant_contract::connection::Connection;
use evergrant_contract::controls::Order;
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::StoreError;
use evergrant_contract::timing::to_millis;
use uuid::Uuid;

/// A column of a closed set of words or of names.
pub(super) fn word<T: FromStr<Err: Display>>(
    table: &'static str,
    column: &'static str,
    row: impl Display,
    text: &str,
) -> Result<T, StoreError> {
    text.parse().map_err(|error: T::Err| corrupt(table, column, row, error))
}

/// A column that the schema promises.
pub(super) fn required<T>(
    table: &'static str,
    column: &'static str,
    row: impl Display,
    value: Option<T>,
) -> Result<T, StoreError> {
    value.ok_or_else(|| corrupt(table, column, row, "it is missing"))
}

pub(super) fn corrupt(
    table: &'static str,
    column: &'static str,
    row: impl Display,
    problem: impl Display,
) -> StoreError {
    StoreError::Corrupt { table, column, row: row.to_string(), problem: problem.to_string() }
}

/// A counter column; absent and negative count as zero.
pub(super) fn count(column: Option<i32>) -> u32 {
    column.and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
}

/// A `count(*)`.
pub(super) fn total(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// A counter for an `integer` column.
pub(super) fn counter(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Text for a `text` column: PostgreSQL cannot store the character NUL, and a provider may well send one.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A connection as the views of it select it.
pub(super) struct ConnectionRow {
    pub(super) id: Uuid,
    pub(super) user_id: String,
    pub(super) provider: String,
    pub(super) account: String,
    pub(super) label: String,
    pub(super) scopes: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) version: i64,
    pub(super) refresh_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) refreshed_at: Option<Timestamp>,
    pub(super) consent_at: Option<Timestamp>,
    pub(super) refresh_expires_at: Option<Timestamp>,
    pub(super) failures: i32,
    pub(super) last_error: Option<String>,
    pub(super) key: Option<String>,
    pub(super) lease_until: Option<Timestamp>,
    pub(super) created_at: Timestamp,
    pub(super) paused_by: Option<String>,
    pub(super) paused_why: Option<String>,
    pub(super) paused_at: Option<Timestamp>,
}

impl TryFrom<ConnectionRow> for Connection {
    type Error = StoreError;

    fn try_from(row: ConnectionRow) -> Result<Self, StoreError> {
        let id = ConnectionId::from(row.id);
        let paused = match (row.paused_by, row.paused_why, row.paused_at) {
            (Some(by), Some(why), Some(at)) => Some(Order { by, why, at }),
            _ => None,
        };
        Ok(Self {
            id,
            user: word("connections", "user_id", id, &row.user_id)?,
            provider: word("connections", "provider", id, &row.provider)?,
            account: row.account,
            label: row.label,
            state: word("schedules", "state", id, &row.state)?,
            reason: row.reason.map(|reason| word("schedules", "reason", id, &reason)).transpose()?,
            version: Version::new(row.version),
            refresh_at: row.refresh_at,
            expires_at: row.expires_at,
            refreshed_at: row.refreshed_at,
            consent_at: row.consent_at,
            refresh_expires_at: row.refresh_expires_at,
            scopes: row.scopes,
            failures: count(Some(row.failures)),
            last_error: row.last_error,
            key: row.key,
            // The database's own time is finer than the times that we keep.
            leased_until: row.lease_until.map(to_millis),
            paused,
            created_at: to_millis(row.created_at),
        })
    }
}
