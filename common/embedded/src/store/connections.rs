//! Connections as people and services use them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::{
    AccessToken, Connection, ConnectionFilter, IfPresent, NewConnection, Reconnected, Stats, Stored,
};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::{Connections, StoreError};
use evergrant_contract::state::State;
use evergrant_contract::verdict::{AnswerTrace, Attempt};
use evergrant_vault::Field;
use uuid::Uuid;

use super::SqliteStore;
use super::columns::{Row, millis};
use super::error::Explain;
use super::listing;
use super::put::Put;
use super::quarantine::{self, Restore};
use super::reconnect::Reconnect;
use super::sealed;
use super::writer::{Scope, Write};

#[async_trait]
impl Connections for SqliteStore {
    async fn put(&self, connections: Vec<NewConnection>, if_present: IfPresent) -> Result<Vec<Stored>, StoreError> {
        self.writer.write(Put { connections, if_present }).await
    }

    async fn reconnect(&self, id: ConnectionId, consent: NewConnection) -> Result<Reconnected, StoreError> {
        self.writer.write(Reconnect { id, consent }).await
    }

    async fn find(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        listing::find(&self.readers, id).await
    }

    async fn list(
        &self,
        filter: &ConnectionFilter,
        after: Option<ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Connection>, StoreError> {
        listing::list(&self.readers, filter, after, limit).await
    }

    async fn access_token(&self, id: ConnectionId) -> Result<Option<AccessToken>, StoreError> {
        let key = id.uuid();
        let row = sqlx::query!(
            r#"SELECT s.version AS "version!: i64", t.access_token AS "access_token!", t.expires_at AS "expires_at?: i64"
               FROM schedules s
               JOIN tokens t ON t.connection_id = s.connection_id
               WHERE s.connection_id = ? AND s.refresh_at IS NOT NULL AND t.access_token IS NOT NULL"#,
            key,
        )
        .fetch_optional(&self.readers)
        .await
        .explain()?;
        let Some(row) = row else { return Ok(None) };
        // To its caller, a token that cannot be opened is none: it asks for a refresh, and that settles what is wrong.
        let Ok(token) = sealed::open(&self.keyring, id, Field::AccessToken, row.access_token) else {
            tracing::warn!(connection = %id, "No key of the keyring opens the stored access token");
            return Ok(None);
        };
        let expires_at = Row::of("tokens", &id).maybe_time("expires_at", row.expires_at)?;
        // A token without an end counts as expired.
        let expires_at = expires_at.unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Some(AccessToken { token, expires_at, version: Version::new(row.version) }))
    }

    async fn make_due(&self, id: ConnectionId, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.write(MakeDue { id, now }).await
    }

    async fn disconnect(&self, id: ConnectionId) -> Result<bool, StoreError> {
        self.writer.write(Disconnect(id)).await
    }

    async fn restore_decryptable(&self, now: Timestamp) -> Result<u64, StoreError> {
        let (mut restored, mut after) = (0, Uuid::nil());
        loop {
            let mut connections = quarantine::page(&self.readers, after).await?;
            let Some(last) = connections.last() else { return Ok(restored) };
            after = last.id;
            connections.retain(|found| found.opens(&self.keyring));
            if !connections.is_empty() {
                restored += self.writer.write(Restore { connections, now }).await?;
            }
        }
    }

    async fn attempts(&self, id: ConnectionId, limit: u32) -> Result<Vec<Attempt>, StoreError> {
        let key = id.uuid();
        let rows = sqlx::query!(
            r#"SELECT id AS "id!: i64", at AS "at!: i64", verdict AS "verdict!", status AS "status?: i64", code AS "code?",
                   message AS "message!", request_id AS "request_id?", duration_ms AS "duration_ms!: i64",
                   ambiguous AS "ambiguous!: bool"
               FROM attempts WHERE connection_id = ? ORDER BY id DESC LIMIT ?"#,
            key,
            limit,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        rows.into_iter()
            .map(|row| {
                let cell = Row::of("attempts", &row.id);
                let trace = AnswerTrace {
                    status: row.status.map(|status| cell.count("status", status)).transpose()?,
                    code: row.code,
                    message: row.message,
                    request_id: row.request_id,
                    duration_ms: cell.count("duration_ms", row.duration_ms)?,
                    ambiguous: row.ambiguous,
                };
                Ok(Attempt { at: cell.time("at", row.at)?, verdict: cell.word("verdict", &row.verdict)?, trace })
            })
            .collect()
    }

    async fn stats(&self, now: Timestamp, since: Timestamp) -> Result<Stats, StoreError> {
        let (now, since) = (millis(now), millis(since));
        // One statement sees one state of the database, so the numbers fit each other.
        let rows = sqlx::query!(
            r#"SELECT s.state AS "state!", count(*) AS "total!: u64",
                   count(*) FILTER (WHERE s.refresh_at <= ?1 AND s.paused_at IS NULL) AS "due!: u64",
                   count(s.paused_at) AS "paused!: u64",
                   count(*) FILTER (WHERE s.refresh_at IS NOT NULL AND coalesce(t.expires_at <= ?1, TRUE)) AS "expired!: u64",
                   count(*) FILTER (WHERE t.refreshed_at >= ?2) AS "refreshed!: u64"
               FROM schedules s
               JOIN tokens t ON t.connection_id = s.connection_id
               GROUP BY s.state"#,
            now,
            since,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        let failed_jobs = sqlx::query_scalar!(r#"SELECT count(*) AS "n!: u64" FROM failed_jobs WHERE state = 'open'"#)
            .fetch_one(&self.readers)
            .await
            .explain()?;
        let by_state: BTreeMap<State, u64> = State::ALL.iter().map(|state| (*state, 0)).collect();
        let mut stats = Stats { by_state, failed_jobs, ..Stats::default() };
        for row in rows {
            stats.by_state.insert(Row::of("schedules", &row.state).word("state", &row.state)?, row.total);
            stats.total += row.total;
            stats.due += row.due;
            stats.expired += row.expired;
            stats.paused += row.paused;
            stats.refreshed += row.refreshed;
        }
        Ok(stats)
    }
}

struct MakeDue {
    id: ConnectionId,
    now: Timestamp,
}

#[async_trait]
impl Write for MakeDue {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let (id, now) = (self.id.uuid(), millis(self.now));
        // One that is overdue stays so: the jobs made for it name its `refresh_at`.
        let done = sqlx::query!(
            "UPDATE schedules SET refresh_at = min(refresh_at, ?) WHERE connection_id = ? AND refresh_at IS NOT NULL",
            now,
            id,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(done.rows_affected() == 1)
    }
}

struct Disconnect(ConnectionId);

#[async_trait]
impl Write for Disconnect {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let id = self.0.uuid();
        let done = sqlx::query!(
            "UPDATE schedules SET state = 'disconnected', reason = 'by_user', version = version + 1, refresh_at = NULL,
                 lease_owner = NULL, lease_until = NULL, contested_at = NULL, failures = 0, suspicions = 0, told = NULL
             WHERE connection_id = ? AND state <> 'disconnected'",
            id,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query!(
            "UPDATE tokens SET access_token = NULL, refresh_token = NULL, key = NULL, expires_at = NULL,
                 last_error = NULL, unread_answer = NULL
             WHERE connection_id = ?",
            id,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(true)
    }
}
