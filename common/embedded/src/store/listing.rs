//! Reading connections as people see them.

use evergrant_contract::connection::{Connection, ConnectionFilter};
use evergrant_contract::ids::{ConnectionId, ProviderName, UserId, Version};
use evergrant_contract::ports::StoreError;
use evergrant_contract::state::State;
use sqlx::SqlitePool;
use uuid::Uuid;

use super::columns::{Row, json_text, millis};
use super::error::Explain;

/// A connection as its three rows hold it.
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
}

/// The one list of columns, with the rest of the query behind it.
macro_rules! connections {
    ($rest:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            ConnectionRow,
            r#"SELECT c.id AS "id!: Uuid", c.user_id AS "user_id!", c.provider AS "provider!", c.account AS "account!",
                   c.label AS "label!", c.scopes AS "scopes!", s.state AS "state!", s.reason AS "reason?",
                   s.version AS "version!: i64", s.refresh_at AS "refresh_at?: i64", s.lease_until AS "lease_until?: i64",
                   s.failures AS "failures!: i64", t.expires_at AS "expires_at?: i64", t.refreshed_at AS "refreshed_at?: i64",
                   t.last_error AS "last_error?", t.key AS "key?", c.consent_at AS "consent_at?: i64",
                   c.refresh_expires_at AS "refresh_expires_at?: i64", c.created_at AS "created_at!: i64"
               FROM connections c
               JOIN schedules s ON s.connection_id = c.id
               JOIN tokens t ON t.connection_id = c.id "#
                + $rest,
            $($argument),+
        )
    };
}

pub(super) async fn find(readers: &SqlitePool, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
    let id = id.uuid();
    let row = connections!("WHERE c.id = ?", id).fetch_optional(readers).await.explain()?;
    row.map(ConnectionRow::read).transpose()
}

pub(super) async fn list(
    readers: &SqlitePool,
    filter: &ConnectionFilter,
    after: Option<ConnectionId>,
    limit: u32,
) -> Result<Vec<Connection>, StoreError> {
    let after = after.map_or(Uuid::nil(), ConnectionId::uuid);
    let states = (!filter.states.is_empty())
        .then(|| json_text(&filter.states.iter().map(|state| state.as_str()).collect::<Vec<_>>()));
    let provider = filter.provider.as_ref().map(ProviderName::as_str);
    let user = filter.user.as_ref().map(UserId::as_str);
    let expired_before = filter.expired_before.map(millis);
    let rows = connections!(
        "WHERE c.id > ?1
           AND (?2 IS NULL OR s.state IN (SELECT value FROM json_each(?2)))
           AND (?3 IS NULL OR c.provider = ?3)
           AND (?4 IS NULL OR c.user_id = ?4)
           AND (?5 IS NULL OR t.expires_at < ?5)
         ORDER BY c.id
         LIMIT ?6",
        after,
        states,
        provider,
        user,
        expired_before,
        limit,
    )
    .fetch_all(readers)
    .await
    .explain()?;
    rows.into_iter().map(ConnectionRow::read).collect()
}

impl ConnectionRow {
    fn read(self) -> Result<Connection, StoreError> {
        let key = self.id;
        let (connections, schedules) = (Row::of("connections", &key), Row::of("schedules", &key));
        let tokens = Row::of("tokens", &key);
        let state: State = schedules.word("state", &self.state)?;
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
            created_at: connections.time("created_at", self.created_at)?,
        })
    }
}
