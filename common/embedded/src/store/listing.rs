//! Reading connections as people see them.

use evergrant_contract::connection::{Connection, ConnectionFilter};
use evergrant_contract::controls::Order;
use evergrant_contract::ids::{ConnectionId, ProviderName, UserId, Version};
use evergrant_contract::ports::StoreError;
use evergrant_contract::state::{Reason, State};
use sqlx::SqlitePool;
use uuid::Uuid;

use super::columns::{Row, json_text, millis};
use super::error::Explain;

/// A connection as its rows hold it.
struct ConnectionRow {
    id: Uuid,
    user_id: String,
    provider: String,
    account: String,
    label: String,
    scopes: String,
    state: String,
    reason: Option<String>,
    version: i64,
    refresh_at: Option<i64>,
    lease_until: Option<i64>,
    failures: i64,
    expires_at: Option<i64>,
    refreshed_at: Option<i64>,
    last_error: Option<String>,
    key: Option<String>,
    consent_at: Option<i64>,
    refresh_expires_at: Option<i64>,
    created_at: i64,
    paused_by: Option<String>,
    paused_why: Option<String>,
    paused_at: Option<i64>,
}

/// The one list of columns, with the rest of the query behind it.
macro_rules! connections {
    ($($rest:literal)+, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            ConnectionRow,
            r#"SELECT c.id AS "id!: Uuid", c.user_id AS "user_id!", c.provider AS "provider!", c.account AS "account!",
                   c.label AS "label!", c.scopes AS "scopes!", s.state AS "state!", s.reason AS "reason?",
                   s.version AS "version!: i64", s.refresh_at AS "refresh_at?: i64", s.lease_until AS "lease_until?: i64",
                   s.failures AS "failures!: i64", t.expires_at AS "expires_at?: i64", t.refreshed_at AS "refreshed_at?: i64",
                   t.last_error AS "last_error?", t.key AS "key?", c.consent_at AS "consent_at?: i64",
                   c.refresh_expires_at AS "refresh_expires_at?: i64", c.created_at AS "created_at!: i64",
                   p.ordered_by AS "paused_by?", p.why AS "paused_why?", p.at AS "paused_at?: i64"
               FROM connections c
               JOIN schedules s ON s.connection_id = c.id
               JOIN tokens t ON t.connection_id = c.id
               LEFT JOIN connection_pauses p ON p.connection_id = c.id "#
                $(+ $rest)+,
            $($argument),+
        )
    };
}

pub(super) async fn find(readers: &SqlitePool, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
    let id = id.uuid();
    let row = connections!("WHERE c.id = ?", id).fetch_optional(readers).await.explain()?;
    row.map(ConnectionRow::read).transpose()
}

/// A filter as the parameters of a query. Unnamed is NULL.
struct Wanted<'a> {
    after: Uuid,
    states: Option<String>,
    provider: Option<&'a str>,
    user: Option<&'a str>,
    expired_before: Option<i64>,
    reason: Option<&'static str>,
    /// A name that begins with `text` lies from there to before `text_end`.
    text: Option<&'a str>,
    text_end: Option<String>,
    id: Option<Uuid>,
}

impl<'a> Wanted<'a> {
    fn new(filter: &'a ConnectionFilter, after: Option<ConnectionId>) -> Self {
        let text = filter.text.as_deref().filter(|text| !text.is_empty());
        Self {
            after: after.map_or(Uuid::nil(), ConnectionId::uuid),
            states: (!filter.states.is_empty()).then(|| json_text(&filter.states)),
            provider: filter.provider.as_ref().map(ProviderName::as_str),
            user: filter.user.as_ref().map(UserId::as_str),
            expired_before: filter.expired_before.map(millis),
            reason: filter.reason.map(Reason::as_str),
            text,
            text_end: text.map(|text| format!("{text}{}", char::MAX)),
            id: text.and_then(|text| text.parse().ok()).map(ConnectionId::uuid),
        }
    }

    /// Only of these SQLite keeps a list.
    fn is_not_active(filter: &ConnectionFilter) -> bool {
        filter.reason.is_some() || (!filter.states.is_empty() && !filter.states.contains(&State::Active))
    }
}

/// Everything that a filter may name, with what it named as arguments.
///
/// `$way` repeats the condition whose index leads to the fewest rows; behind an `IS NULL OR` SQLite cannot use one.
macro_rules! narrowed {
    ($way:literal, $wanted:ident, $limit:ident) => {
        connections!(
            "WHERE c.id > ?1
               AND (?2 IS NULL OR s.state IN (SELECT value FROM json_each(?2)))
               AND (?3 IS NULL OR c.provider = ?3)
               AND (?4 IS NULL OR c.user_id = ?4)
               AND (?5 IS NULL OR t.expires_at < ?5)
               AND (?6 IS NULL OR s.reason = ?6)
               AND (?7 IS NULL
                   OR (c.user_id COLLATE NOCASE >= ?7 AND c.user_id COLLATE NOCASE < ?8)
                   OR (c.account COLLATE NOCASE >= ?7 AND c.account COLLATE NOCASE < ?8)
                   OR (c.label COLLATE NOCASE >= ?7 AND c.label COLLATE NOCASE < ?8)
                   OR c.id = ?9) "
            $way
            "ORDER BY c.id LIMIT ?10",
            $wanted.after,
            $wanted.states,
            $wanted.provider,
            $wanted.user,
            $wanted.expired_before,
            $wanted.reason,
            $wanted.text,
            $wanted.text_end,
            $wanted.id,
            $limit,
        )
    };
}

pub(super) async fn list(
    readers: &SqlitePool,
    filter: &ConnectionFilter,
    after: Option<ConnectionId>,
    limit: u32,
) -> Result<Vec<Connection>, StoreError> {
    let wanted = Wanted::new(filter, after);
    let rows = if wanted.user.is_some() {
        narrowed!("AND c.user_id = ?4 ", wanted, limit).fetch_all(readers).await
    } else if wanted.text.is_some() {
        narrowed!(
            "AND c.id IN (
                 SELECT id FROM connections WHERE user_id COLLATE NOCASE >= ?7 AND user_id COLLATE NOCASE < ?8 AND id > ?1
                 UNION SELECT id FROM connections WHERE account COLLATE NOCASE >= ?7 AND account COLLATE NOCASE < ?8 AND id > ?1
                 UNION SELECT id FROM connections WHERE label COLLATE NOCASE >= ?7 AND label COLLATE NOCASE < ?8 AND id > ?1
                 UNION SELECT ?9) ",
            wanted,
            limit
        )
        .fetch_all(readers)
        .await
    } else if Wanted::is_not_active(filter) {
        narrowed!(
            "AND c.id IN (SELECT connection_id FROM schedules INDEXED BY schedules_not_active WHERE state <> 'active') ",
            wanted,
            limit
        )
        .fetch_all(readers)
        .await
    } else {
        narrowed!("", wanted, limit).fetch_all(readers).await
    };
    rows.explain()?.into_iter().map(ConnectionRow::read).collect()
}

impl ConnectionRow {
    fn read(self) -> Result<Connection, StoreError> {
        let key = self.id;
        let (connections, schedules) = (Row::of("connections", &key), Row::of("schedules", &key));
        let tokens = Row::of("tokens", &key);
        let state: State = schedules.word("state", &self.state)?;
        let paused_at = Row::of("connection_pauses", &key).maybe_time("at", self.paused_at)?;
        let paused = match (self.paused_by, self.paused_why, paused_at) {
            (Some(by), Some(why), Some(at)) => Some(Order { by, why, at }),
            _ => None,
        };
        Ok(Connection {
            id: self.id.into(),
            user: connections.word("user_id", &self.user_id)?,
            provider: connections.word("provider", &self.provider)?,
            account: self.account,
            label: self.label,
            state,
            reason: self.reason.map(|reason| schedules.word("reason", &reason)).transpose()?,
            version: Version::new(self.version),
            refresh_at: schedules.maybe_time("refresh_at", self.refresh_at)?,
            expires_at: tokens.maybe_time("expires_at", self.expires_at)?,
            refreshed_at: tokens.maybe_time("refreshed_at", self.refreshed_at)?,
            consent_at: connections.maybe_time("consent_at", self.consent_at)?,
            refresh_expires_at: connections.maybe_time("refresh_expires_at", self.refresh_expires_at)?,
            scopes: self.scopes,
            failures: schedules.count("failures", self.failures)?,
            last_error: self.last_error,
            key: self.key,
            leased_until: schedules.maybe_time("lease_until", self.lease_until)?,
            paused,
            created_at: connections.time("created_at", self.created_at)?,
        })
    }
}
