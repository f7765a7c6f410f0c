//! Jobs given up on.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::failed_job::FailedJob;
use evergrant_contract::ids::{ConnectionId, JobId, ProviderName};
use evergrant_contract::ports::{FailedJobs, StoreError};
use evergrant_contract::timing::to_millis;
use evergrant_contract::verdict::Attempt;
use sqlx::PgConnection;
use uuid::Uuid;

use super::PgStore;
use super::error::store_error;
use super::row::{corrupt, text, word};

/// Rows that one statement forgets.
const FORGOTTEN_AT_ONCE: i64 = 10_000;

#[async_trait]
impl FailedJobs for PgStore {
    async fn record(&self, job: FailedJob) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.map_err(store_error)?;
        insert(&mut connection, &[&job]).await.map_err(store_error)
    }

    async fn forget_before(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        loop {
            let rows = self.forget_some(before).await.map_err(store_error)?;
            if rows == 0 {
                return Ok(forgotten);
            }
            forgotten += rows;
        }
    }
}

impl PgStore {
    /// One statement a table, so that none holds its locks for long. How many rows.
    async fn forget_some(&self, before: Timestamp) -> Result<u64, sqlx::Error> {
        let jobs = sqlx::query!(
            "DELETE FROM failed_jobs WHERE id IN (
                 SELECT id FROM failed_jobs WHERE state IN ('replayed', 'discarded') AND failed_at < $1 LIMIT $2
             )",
            before,
            FORGOTTEN_AT_ONCE,
        );
        let attempts = sqlx::query!(
            "DELETE FROM attempts WHERE id IN (SELECT id FROM attempts WHERE at < $1 LIMIT $2)",
            before,
            FORGOTTEN_AT_ONCE,
        );
        let sessions = sqlx::query!(
            // No index has the end of a session: each of its tokens moves that, and is to be written in place.
            "DELETE FROM sessions WHERE id IN (
                 SELECT id FROM sessions WHERE least(ended_at, idle_until, ends_at) < $1 LIMIT $2
             )",
            before,
            FORGOTTEN_AT_ONCE,
        );
        let flows = sqlx::query!(
            "DELETE FROM flows WHERE state IN (SELECT state FROM flows WHERE expires_at < $1 LIMIT $2)",
            before,
            FORGOTTEN_AT_ONCE,
        );
        let activity = sqlx::query!(
            "DELETE FROM activity WHERE (minute, series, provider, label) IN (
                 SELECT minute, series, provider, label FROM activity WHERE minute < $1 LIMIT $2
             )",
            before,
            FORGOTTEN_AT_ONCE,
        );
        let messages = sqlx::query!(
            "DELETE FROM webhook_messages WHERE id IN (
                 SELECT m.id FROM webhook_messages m
                 WHERE m.at < $1 AND NOT EXISTS (
                     SELECT FROM webhook_deliveries d WHERE d.message_id = m.id AND d.state = 'pending'
                 )
                 LIMIT $2
             )",
            before,
            FORGOTTEN_AT_ONCE,
        );
        Ok(jobs.execute(&self.pool).await?.rows_affected()
            + attempts.execute(&self.pool).await?.rows_affected()
            + sessions.execute(&self.pool).await?.rows_affected()
            + flows.execute(&self.pool).await?.rows_affected()
            + activity.execute(&self.pool).await?.rows_affected()
            + messages.execute(&self.pool).await?.rows_affected())
    }
}

/// Keeps failed jobs; those that are kept already stay as they are.
pub(super) async fn insert(connection: &mut PgConnection, jobs: &[&FailedJob]) -> Result<(), sqlx::Error> {
    if jobs.is_empty() {
        return Ok(());
    }
    let attempts: Result<Vec<_>, _> = jobs.iter().map(|job| serde_json::to_value(legible(&job.attempts))).collect();
    sqlx::query!(
        "INSERT INTO failed_jobs
             (id, kind, connection_id, provider, payload, attempts, error, traceparent, failed_at, state)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::text[],
                              $8::text[], $9::timestamptz[], $10::text[])
             AS j (id, kind, connection_id, provider, payload, attempts, error, traceparent, failed_at, state)
         ORDER BY id
         ON CONFLICT (id) DO NOTHING",
        &jobs.iter().map(|job| job.id.uuid()).collect::<Vec<_>>(),
        &jobs.iter().map(|job| text(&job.kind)).collect::<Vec<_>>(),
        &jobs.iter().map(|job| job.connection.map(ConnectionId::uuid)).collect::<Vec<_>>() as &[Option<Uuid>],
        &jobs.iter().map(|job| job.provider.as_ref().map(ProviderName::as_str)).collect::<Vec<_>>()
            as &[Option<&str>],
        &jobs.iter().map(|job| text(&job.payload)).collect::<Vec<_>>(),
        &attempts.map_err(|error| sqlx::Error::Encode(error.into()))?,
        &jobs.iter().map(|job| text(&job.error)).collect::<Vec<_>>(),
        &jobs.iter().map(|job| job.traceparent.as_deref().map(text)).collect::<Vec<_>>() as &[Option<String>],
        &jobs.iter().map(|job| to_millis(job.failed_at)).collect::<Vec<_>>(),
        &jobs.iter().map(|job| job.state.as_str()).collect::<Vec<_>>() as &[&str],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The attempts without the one character that `jsonb` cannot hold.
fn legible(attempts: &[Attempt]) -> Vec<Attempt> {
    let mut attempts = attempts.to_vec();
    for Attempt { trace, .. } in &mut attempts {
        trace.message = text(&trace.message);
        trace.code = trace.code.as_deref().map(text);
        trace.request_id = trace.request_id.as_deref().map(text);
    }
    attempts
}

/// A failed job as the views of it select it.
pub(super) struct FailedJobRow {
    pub(super) id: Uuid,
    pub(super) kind: String,
    pub(super) connection_id: Option<Uuid>,
    pub(super) provider: Option<String>,
    pub(super) payload: String,
    pub(super) attempts: serde_json::Value,
    pub(super) error: String,
    pub(super) traceparent: Option<String>,
    pub(super) failed_at: Timestamp,
    pub(super) state: String,
}

impl TryFrom<FailedJobRow> for FailedJob {
    type Error = StoreError;

    fn try_from(row: FailedJobRow) -> Result<Self, StoreError> {
        let id = JobId::from(row.id);
        // The text of such an error may quote what it stumbled over: only the place is told.
        let unreadable = |error: serde_json::Error| {
            corrupt("failed_jobs", "attempts", id, format!("not a list of attempts, at column {}", error.column()))
        };
        Ok(Self {
            id,
            kind: row.kind,
            connection: row.connection_id.map(Into::into),
            provider: row.provider.map(|name| word("failed_jobs", "provider", id, &name)).transpose()?,
            payload: row.payload,
            attempts: serde_json::from_value(row.attempts).map_err(unreadable)?,
            error: row.error,
            traceparent: row.traceparent,
            failed_at: row.failed_at,
            state: word("failed_jobs", "state", id, &row.state)?,
        })
    }
}
