//! Jobs given up on.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::failed_job::{FailedJob, FailedJobState};
use evergrant_contract::ports::{FailedJobs, StoreError};

use super::MemoryStore;

#[async_trait]
impl FailedJobs for MemoryStore {
    async fn record(&self, job: FailedJob) -> Result<(), StoreError> {
        self.tables()?.failed_jobs.entry(job.id).or_insert(job);
        Ok(())
    }

    async fn forget_before(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut tables = self.tables()?;
        let kept = |tables: &super::Tables| {
            let attempts: usize = tables.connections.values().map(|row| row.attempts.len()).sum();
            tables.failed_jobs.len() + attempts + tables.sessions.len() + tables.flows.len() + tables.activity.len()
        };
        let messages = tables.forget_messages_before(before);
        let rows_before = kept(&tables);
        tables.failed_jobs.retain(|_, job| job.state == FailedJobState::Open || job.failed_at >= before);
        for row in tables.connections.values_mut() {
            row.attempts.retain(|attempt| attempt.at >= before);
        }
        tables.sessions.retain(|_, session| {
            let end = session.ended_at.into_iter().chain([session.idle_until, session.ends_at]).min();
            end.is_none_or(|end| end >= before)
        });
        tables.flows.retain(|_, flow| flow.expires_at >= before);
        tables.activity.retain(|(minute, ..), _| *minute >= before);
        Ok(u64::try_from(rows_before - kept(&tables) + messages).unwrap_or(u64::MAX))
    }
}
