//! Signed-in browsers, and consents under way.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{SessionId, UserId};
use evergrant_contract::people::{Flow, Session, SessionEnd};
use evergrant_contract::ports::{Sessions, StoreError};
use uuid::Uuid;

use super::SqliteStore;
use super::columns::{Row, millis};
use super::error::Explain;
use super::flows::{KeepFlow, TakeFlow};
use super::writer::{Scope, Write};

#[async_trait]
impl Sessions for SqliteStore {
    async fn open_session(&self, session: &Session) -> Result<(), StoreError> {
        self.writer.write(Open(session.clone())).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let key = id.uuid();
        let row = sqlx::query_as!(
            SessionRow,
            r#"SELECT id AS "id!: Uuid", user_id AS "user_id!", generation AS "generation!: i64",
                   rotated_at AS "rotated_at!: i64", created_at AS "created_at!: i64", idle_until AS "idle_until!: i64",
                   ends_at AS "ends_at!: i64", ended_at AS "ended_at?: i64", end_reason AS "end_reason?"
               FROM sessions WHERE id = ?"#,
            key,
        )
        .fetch_optional(&self.readers)
        .await
        .explain()?;
        row.map(SessionRow::read).transpose()
    }

    async fn advance_session(
        &self,
        id: SessionId,
        from_generation: i64,
        now: Timestamp,
        idle_until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.writer.write(Advance { id, from_generation, now, idle_until }).await
    }

    async fn end_session(&self, id: SessionId, reason: SessionEnd, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.write(End { id, reason, now }).await
    }

    async fn end_sessions(&self, user: &UserId, reason: SessionEnd, now: Timestamp) -> Result<u64, StoreError> {
        self.writer.write(EndAll { user: user.clone(), reason, now }).await
    }

    async fn keep_flow(&self, flow: &Flow, now: Timestamp) -> Result<(), StoreError> {
        self.writer.write(KeepFlow { flow: flow.clone(), now }).await
    }

    async fn take_flow(&self, state: &[u8; 32], now: Timestamp) -> Result<Option<Flow>, StoreError> {
        self.writer.write(TakeFlow { state: *state, now }).await
    }
}

/// A session as the row holds it.
struct SessionRow {
    id: Uuid,
    user_id: String,
    generation: i64,
    rotated_at: i64,
    created_at: i64,
    idle_until: i64,
    ends_at: i64,
    ended_at: Option<i64>,
    end_reason: Option<String>,
}

impl SessionRow {
    fn read(self) -> Result<Session, StoreError> {
        let cell = Row::of("sessions", &self.id);
        Ok(Session {
            id: self.id.into(),
            user: cell.word("user_id", &self.user_id)?,
            generation: self.generation,
            rotated_at: cell.time("rotated_at", self.rotated_at)?,
            created_at: cell.time("created_at", self.created_at)?,
            idle_until: cell.time("idle_until", self.idle_until)?,
            ends_at: cell.time("ends_at", self.ends_at)?,
            ended_at: cell.maybe_time("ended_at", self.ended_at)?,
            end_reason: self.end_reason.map(|reason| cell.word("end_reason", &reason)).transpose()?,
        })
    }
}

struct Open(Session);

#[async_trait]
impl Write for Open {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        let session = &self.0;
        let (id, user) = (session.id.uuid(), session.user.as_str());
        let (rotated_at, created_at) = (millis(session.rotated_at), millis(session.created_at));
        let (idle_until, ends_at) = (millis(session.idle_until), millis(session.ends_at));
        let (ended_at, end_reason) = (session.ended_at.map(millis), session.end_reason.map(SessionEnd::as_str));
        sqlx::query!(
            "INSERT INTO sessions
                 (id, user_id, generation, rotated_at, created_at, idle_until, ends_at, ended_at, end_reason)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            id,
            user,
            session.generation,
            rotated_at,
            created_at,
            idle_until,
            ends_at,
            ended_at,
            end_reason,
        )
        .execute(&mut *scope.db)
        .await
        .map(drop)
        .explain()
    }
}

struct Advance {
    id: SessionId,
    from_generation: i64,
    now: Timestamp,
    idle_until: Timestamp,
}

#[async_trait]
impl Write for Advance {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let (id, now, idle_until) = (self.id.uuid(), millis(self.now), millis(self.idle_until));
        let done = sqlx::query!(
            "UPDATE sessions SET generation = generation + 1, rotated_at = ?, idle_until = ?
             WHERE id = ? AND generation = ? AND ended_at IS NULL",
            now,
            idle_until,
            id,
            self.from_generation,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(done.rows_affected() == 1)
    }
}

struct End {
    id: SessionId,
    reason: SessionEnd,
    now: Timestamp,
}

#[async_trait]
impl Write for End {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let (id, reason, now) = (self.id.uuid(), self.reason.as_str(), millis(self.now));
        let done = sqlx::query!(
            "UPDATE sessions SET ended_at = ?, end_reason = ? WHERE id = ? AND ended_at IS NULL",
            now,
            reason,
            id,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(done.rows_affected() == 1)
    }
}

struct EndAll {
    user: UserId,
    reason: SessionEnd,
    now: Timestamp,
}

#[async_trait]
impl Write for EndAll {
    type Output = u64;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<u64, StoreError> {
        let (user, reason, now) = (self.user.as_str(), self.reason.as_str(), millis(self.now));
        let done = sqlx::query!(
            "UPDATE sessions SET ended_at = ?, end_reason = ? WHERE user_id = ? AND ended_at IS NULL",
            now,
            reason,
            user,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(done.rows_affected())
    }
}

/// Removes those that had ended or expired before this. How many.
pub(super) async fn forget_before(scope: &mut Scope<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let before = millis(before);
    let done = sqlx::query!("DELETE FROM sessions WHERE ended_at < ?1 OR idle_until < ?1 OR ends_at < ?1", before)
        .execute(&mut *scope.db)
        .await
        .explain()?;
    Ok(done.rows_affected())
}
