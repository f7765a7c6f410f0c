//! Signed-in browsers, and consents under way. Each change is one statement whose row count says who made it.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{SessionId, UserId};
use evergrant_contract::people::{Flow, Session, SessionEnd};
use evergrant_contract::ports::{Sessions, StoreError};
use evergrant_contract::timing::to_millis;
use uuid::Uuid;

use super::PgStore;
use super::error::store_error;
use super::row::{corrupt, text, word};

#[async_trait]
impl Sessions for PgStore {
    async fn open_session(&self, session: &Session) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO sessions
                 (id, user_id, generation, rotated_at, created_at, idle_until, ends_at, ended_at, end_reason)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            session.id.uuid(),
            session.user.as_str(),
            session.generation,
            to_millis(session.rotated_at),
            to_millis(session.created_at),
            to_millis(session.idle_until),
            to_millis(session.ends_at),
            session.ended_at.map(to_millis),
            session.end_reason.map(SessionEnd::as_str),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query_file_as!(SessionRow, "src/store/sql/session.sql", id.uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(store_error)?;
        row.map(Session::try_from).transpose()
    }

    async fn advance_session(
        &self,
        id: SessionId,
        from_generation: i64,
        now: Timestamp,
        idle_until: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE sessions SET generation = generation + 1, rotated_at = $3, idle_until = $4
             WHERE id = $1 AND generation = $2 AND ended_at IS NULL",
            id.uuid(),
            from_generation,
            to_millis(now),
            to_millis(idle_until),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn end_session(&self, id: SessionId, reason: SessionEnd, now: Timestamp) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE sessions SET ended_at = $3, end_reason = $2 WHERE id = $1 AND ended_at IS NULL",
            id.uuid(),
            reason.as_str(),
            to_millis(now),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn end_sessions(&self, user: &UserId, reason: SessionEnd, now: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "UPDATE sessions SET ended_at = $3, end_reason = $2 WHERE user_id = $1 AND ended_at IS NULL",
            user.as_str(),
            reason.as_str(),
            to_millis(now),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(done.rows_affected())
    }

    async fn keep_flow(&self, flow: &Flow, now: Timestamp) -> Result<(), StoreError> {
        let purpose = serde_json::to_value(&flow.purpose)
            .map_err(|error| StoreError::Refused(format!("the purpose of a consent cannot be written: {error}")))?;
        sqlx::query!(
            "WITH expired AS (
                 -- Those that somebody else is forgetting are left to them, and a flood of them to the next consents:
                 -- whoever signs in does not wait for the housekeeping.
                 DELETE FROM flows WHERE state IN (
                     SELECT state FROM flows WHERE expires_at < $7 ORDER BY expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED
                 )
             )
             INSERT INTO flows (state, purpose, provider, redirect_uri, return_to, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &flow.state,
            purpose,
            flow.provider.as_str(),
            text(&flow.redirect_uri),
            text(&flow.return_to),
            to_millis(flow.expires_at),
            now,
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn take_flow(&self, state: &[u8; 32], now: Timestamp) -> Result<Option<Flow>, StoreError> {
        let taken = sqlx::query!(
            r#"DELETE FROM flows WHERE state = $1 AND expires_at > $2
               RETURNING encode(state, 'hex') AS "digest!", purpose, provider, redirect_uri, return_to, expires_at"#,
            state,
            now,
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        let Some(row) = taken else { return Ok(None) };
        // The text of such an error may quote what it stumbled over: only the place is told.
        let unreadable = |error: serde_json::Error| {
            corrupt("flows", "purpose", &row.digest, format!("not a purpose, at column {}", error.column()))
        };
        Ok(Some(Flow {
            state: *state,
            purpose: serde_json::from_value(row.purpose).map_err(unreadable)?,
            provider: word("flows", "provider", &row.digest, &row.provider)?,
            redirect_uri: row.redirect_uri,
            return_to: row.return_to,
            expires_at: row.expires_at,
        }))
    }
}

struct SessionRow {
    id: Uuid,
    user_id: String,
    generation: i64,
    rotated_at: Timestamp,
    created_at: Timestamp,
    idle_until: Timestamp,
    ends_at: Timestamp,
    ended_at: Option<Timestamp>,
    end_reason: Option<String>,
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let id = SessionId::from(row.id);
        Ok(Self {
            id,
            user: word("sessions", "user_id", id, &row.user_id)?,
            generation: row.generation,
            rotated_at: row.rotated_at,
            created_at: row.created_at,
            idle_until: row.idle_until,
            ends_at: row.ends_at,
            ended_at: row.ended_at,
            end_reason: row.end_reason.map(|reason| word("sessions", "end_reason", id, &reason)).transpose()?,
        })
    }
}
