//! What operators look at and what they do.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::failed_job::{FailedJob, FailedJobFilter, FailedJobKey, FailedJobState};
use evergrant_contract::ids::{AuditId, JobId};
use evergrant_contract::operations::{AuditEntry, Tally};
use evergrant_contract::ports::{Operations, StoreError};

use super::columns::millis;
use super::error::Explain;
use super::writer::{Scope, Write};
use super::{SqliteStore, activity, audit, failed_job_list};

#[async_trait]
impl Operations for SqliteStore {
    async fn failed_jobs(
        &self,
        filter: &FailedJobFilter,
        after: Option<FailedJobKey>,
        limit: u32,
    ) -> Result<Vec<FailedJob>, StoreError> {
        failed_job_list::page(&self.readers, filter, after, limit).await
    }

    async fn failed_job(&self, id: JobId) -> Result<Option<FailedJob>, StoreError> {
        failed_job_list::find(&self.readers, id).await
    }

    async fn count_failed_jobs(&self, filter: &FailedJobFilter, at_most: u64) -> Result<u64, StoreError> {
        failed_job_list::count(&self.readers, filter, at_most).await
    }

    async fn close_failed_job(&self, id: JobId, state: FailedJobState, audit: &AuditEntry) -> Result<bool, StoreError> {
        self.writer.write(Close { id, state, audit: audit.clone() }).await
    }

    async fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.writer.write(Audit(entry.clone())).await
    }

    async fn audit_log(
        &self,
        subject: Option<&str>,
        after: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        audit::page(&self.readers, subject, after, limit).await
    }

    async fn add_activity(&self, tallies: &[Tally]) -> Result<(), StoreError> {
        if tallies.is_empty() {
            return Ok(());
        }
        self.writer.write(AddActivity(tallies.to_vec())).await
    }

    async fn activity(&self, since: Timestamp, until: Timestamp) -> Result<Vec<Tally>, StoreError> {
        activity::range(&self.readers, millis(since), millis(until)).await
    }
}

struct Close {
    id: JobId,
    state: FailedJobState,
    audit: AuditEntry,
}

#[async_trait]
impl Write for Close {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let (id, state) = (self.id.uuid(), self.state.as_str());
        let done = sqlx::query!("UPDATE failed_jobs SET state = ? WHERE id = ? AND state = 'open'", state, id)
            .execute(&mut *scope.db)
            .await
            .explain()?;
        let closed = done.rows_affected() == 1;
        if closed {
            audit::insert(scope.db, &self.audit).await?;
        }
        Ok(closed)
    }
}

struct Audit(AuditEntry);

#[async_trait]
impl Write for Audit {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        audit::insert(scope.db, &self.0).await
    }
}

struct AddActivity(Vec<Tally>);

#[async_trait]
impl Write for AddActivity {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        for tally in &self.0 {
            activity::add(scope.db, tally).await?;
        }
        Ok(())
    }
}
