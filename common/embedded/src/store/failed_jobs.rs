//! Jobs given up on.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::failed_job::FailedJob;
use evergrant_contract::ids::{ConnectionId, ProviderName};
use evergrant_contract::ports::{FailedJobs, StoreError};
use sqlx::SqliteConnection;

use super::columns::{json_text, millis};
use super::error::Explain;
use super::writer::{Scope, Write};
use super::{SqliteStore, activity, flows, sessions, webhooks};

#[async_trait]
impl FailedJobs for SqliteStore {
    async fn record(&self, job: FailedJob) -> Result<(), StoreError> {
        self.writer.write(Record(job)).await
    }

    async fn forget_before(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.writer.write(ForgetBefore(before)).await
    }
}

/// Keeps a failed job, unless it is kept already.
pub(super) async fn insert(db: &mut SqliteConnection, job: &FailedJob) -> Result<(), StoreError> {
    let (id, connection) = (job.id.uuid(), job.connection.map(ConnectionId::uuid));
    let provider = job.provider.as_ref().map(ProviderName::as_str);
    let (attempts, failed_at, state) = (json_text(&job.attempts), millis(job.failed_at), job.state.as_str());
    let last = job.attempts.last();
    let (last_verdict, last_code) =
        (last.map(|last| last.verdict.as_str()), last.and_then(|last| last.trace.code.as_deref()));
    sqlx::query!(
        "INSERT INTO failed_jobs (id, kind, connection_id, provider, payload, attempts, last_verdict, last_code, error,
             traceparent, failed_at, state)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO NOTHING",
        id,
        job.kind,
        connection,
        provider,
        job.payload,
        attempts,
        last_verdict,
        last_code,
        job.error,
        job.traceparent,
        failed_at,
        state,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}

struct Record(FailedJob);

#[async_trait]
impl Write for Record {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        insert(scope.db, &self.0).await
    }
}

struct ForgetBefore(Timestamp);

#[async_trait]
impl Write for ForgetBefore {
    type Output = u64;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<u64, StoreError> {
        let before = millis(self.0);
        let jobs =
            sqlx::query!("DELETE FROM failed_jobs WHERE state IN ('replayed', 'discarded') AND failed_at < ?", before,)
                .execute(&mut *scope.db)
                .await
                .explain()?;
        let attempts =
            sqlx::query!("DELETE FROM attempts WHERE at < ?", before).execute(&mut *scope.db).await.explain()?;
        let sessions = sessions::forget_before(scope, self.0).await?;
        let flows = flows::forget_before(scope, self.0).await?;
        let minutes = activity::forget_before(scope, self.0).await?;
        let messages = webhooks::forget_before(scope, self.0).await?;
        Ok(jobs.rows_affected() + attempts.rows_affected() + sessions + flows + minutes + messages)
    }
}
