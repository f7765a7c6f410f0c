//! Connections as people and services use them.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::{
    AccessToken, Connection, ConnectionFilter, IfPresent, NewConnection, Reconnected, Stats, Stored,
};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::{Connections, StoreError};
use evergrant_contract::state::State;
use evergrant_contract::timing::to_millis;
use evergrant_contract::verdict::{AnswerTrace, Attempt};
use evergrant_vault::Field;

use super::PgStore;
use super::error::store_error;
use super::row::{ConnectionRow, total, word};

#[async_trait]
impl Connections for PgStore {
    async fn put(&self, connections: Vec<NewConnection>, if_present: IfPresent) -> Result<Vec<Stored>, StoreError> {
        self.put_all(&connections, if_present).await
    }

    async fn reconnect(&self, id: ConnectionId, consent: NewConnection) -> Result<Reconnected, StoreError> {
        self.reconnect_one(id, &consent).await
    }

    async fn find(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        let row = sqlx::query_file_as!(ConnectionRow, "src/store/sql/connection.sql", id.uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(store_error)?;
        row.map(Connection::try_from).transpose()
    }

    async fn list(
        &self,
        filter: &ConnectionFilter,
        after: Option<ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Connection>, StoreError> {
        self.page(filter, after, limit).await
    }

    async fn access_token(&self, id: ConnectionId) -> Result<Option<AccessToken>, StoreError> {
        let row = sqlx::query_file!("src/store/sql/access_token.sql", id.uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(store_error)?;
        Ok(row.and_then(|row| {
            // One that does not open is as good as none: a refresh brings another, or finds out what is wrong.
            let opened = self.vault.open(id, Field::AccessToken, row.access_token);
            let token = opened
                .inspect_err(|error| tracing::warn!(connection = %id, %error, "An access token cannot be opened"))
                .ok()?;
            // An unknown end counts as past.
            Some(AccessToken {
                token,
                expires_at: row.expires_at.unwrap_or_default(),
                version: Version::new(row.version),
            })
        }))
    }

    async fn make_due(&self, id: ConnectionId, now: Timestamp) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            // One that is due already keeps its place, and the jobs published for it stay good.
            "UPDATE schedules SET refresh_at = least(refresh_at, $2) WHERE connection_id = $1 AND refresh_at IS NOT NULL",
            id.uuid(),
            to_millis(now),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn disconnect(&self, id: ConnectionId) -> Result<bool, StoreError> {
        let ended = sqlx::query_scalar!(
            r#"WITH ended AS (
                   UPDATE schedules SET
                       state = 'disconnected', reason = 'by_user', version = version + 1, refresh_at = NULL,
                       lease_owner = NULL, lease_until = NULL, contested_at = NULL, failures = 0, suspicions = 0,
                       told = NULL
                   WHERE connection_id = $1 AND state <> 'disconnected'
                   RETURNING connection_id
               ),
               emptied AS (
                   UPDATE tokens t SET
                       access_token = NULL, refresh_token = NULL, unread_answer = NULL, key = NULL, expires_at = NULL
                   FROM ended WHERE t.connection_id = ended.connection_id
               )
               SELECT count(*) AS "ended!" FROM ended"#,
            id.uuid(),
        )
        .fetch_one(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(ended == 1)
    }

    async fn restore_decryptable(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.restore_all(now).await
    }

    async fn attempts(&self, id: ConnectionId, limit: u32) -> Result<Vec<Attempt>, StoreError> {
        let rows = sqlx::query!(
            "SELECT id, at, verdict, status, code, message, request_id, duration_ms, ambiguous
             FROM attempts WHERE connection_id = $1 ORDER BY attempts.id DESC LIMIT $2",
            id.uuid(),
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let attempts = rows.into_iter().map(|row| {
            let trace = AnswerTrace {
                status: row.status.and_then(|status| u16::try_from(status).ok()),
                code: row.code,
                message: row.message,
                request_id: row.request_id,
                duration_ms: u64::try_from(row.duration_ms).unwrap_or(0),
                ambiguous: row.ambiguous,
            };
            Ok(Attempt { at: row.at, verdict: word("attempts", "verdict", row.id, &row.verdict)?, trace })
        });
        attempts.collect()
    }

    async fn stats(&self, now: Timestamp, since: Timestamp) -> Result<Stats, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT s.state,
                      count(*) AS "total!",
                      count(*) FILTER (WHERE s.refresh_at <= $1 AND s.paused_at IS NULL) AS "due!",
                      count(s.paused_at) AS "paused!",
                      -- An unknown end counts as past.
                      count(*) FILTER (WHERE s.refresh_at IS NOT NULL AND coalesce(t.expires_at <= $1, true)) AS "expired!",
                      count(*) FILTER (WHERE t.refreshed_at >= $2) AS "refreshed!"
               FROM schedules s JOIN tokens t USING (connection_id)
               GROUP BY s.state"#,
            now,
            since,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let failed_jobs = sqlx::query_scalar!(r#"SELECT count(*) AS "open!" FROM failed_jobs WHERE state = 'open'"#)
            .fetch_one(&self.pool)
            .await
            .map_err(store_error)?;
        let mut stats = Stats {
            by_state: State::ALL.iter().map(|state| (*state, 0)).collect(),
            failed_jobs: total(failed_jobs),
            ..Stats::default()
        };
        for row in rows {
            stats.by_state.insert(word("schedules", "state", "(all)", &row.state)?, total(row.total));
            stats.total += total(row.total);
            stats.due += total(row.due);
            stats.expired += total(row.expired);
            stats.paused += total(row.paused);
            stats.refreshed += total(row.refreshed);
        }
        Ok(stats)
    }
}
