//! What operators look at and what they do.

use std::cmp::Reverse;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::failed_job::{FailedJob, FailedJobFilter, FailedJobKey, FailedJobState};
use evergrant_contract::ids::{AuditId, JobId};
use evergrant_contract::operations::{AuditEntry, Tally};
use evergrant_contract::ports::{Operations, StoreError};

use super::MemoryStore;
use super::rows::Tables;

#[async_trait]
impl Operations for MemoryStore {
    async fn failed_jobs(
        &self,
        filter: &FailedJobFilter,
        after: Option<FailedJobKey>,
        limit: u32,
    ) -> Result<Vec<FailedJob>, StoreError> {
        let tables = self.tables()?;
        let behind = |job: &&FailedJob| after.is_none_or(|after| job.key() < after);
        let jobs = tables.failed_jobs.values().filter(|job| passes(&tables, job, filter));
        let mut page: Vec<FailedJob> = jobs.filter(behind).cloned().collect();
        page.sort_by_key(|job| Reverse(job.key()));
        page.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(page)
    }

    async fn failed_job(&self, id: JobId) -> Result<Option<FailedJob>, StoreError> {
        Ok(self.tables()?.failed_jobs.get(&id).cloned())
    }

    async fn count_failed_jobs(&self, filter: &FailedJobFilter, at_most: u64) -> Result<u64, StoreError> {
        let tables = self.tables()?;
        let passing = tables.failed_jobs.values().filter(|job| passes(&tables, job, filter)).count();
        Ok(u64::try_from(passing).unwrap_or(u64::MAX).min(at_most))
    }

    async fn close_failed_job(&self, id: JobId, state: FailedJobState, audit: &AuditEntry) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let open = tables.failed_jobs.get_mut(&id).filter(|job| job.state == FailedJobState::Open);
        let closed = open.map(|job| job.state = state).is_some();
        if closed {
            tables.audit_log.insert(audit.id, audit.clone());
        }
        Ok(closed)
    }

    async fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.tables()?.audit_log.insert(entry.id, entry.clone());
        Ok(())
    }

    async fn audit_log(
        &self,
        subject: Option<&str>,
        after: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let tables = self.tables()?;
        let about =
            tables.audit_log.values().rev().filter(|entry| subject.is_none_or(|subject| entry.subject == subject));
        let behind = about.filter(|entry| after.is_none_or(|after| entry.id < after));
        Ok(behind.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect())
    }

    async fn add_activity(&self, tallies: &[Tally]) -> Result<(), StoreError> {
        let mut tables = self.tables()?;
        for tally in tallies {
            let key = (tally.minute, tally.series, tally.provider.clone(), tally.label.clone());
            let count = tables.activity.entry(key).or_default();
            *count = if tally.series.is_level() { tally.count.max(*count) } else { count.saturating_add(tally.count) };
        }
        Ok(())
    }

    async fn activity(&self, since: Timestamp, until: Timestamp) -> Result<Vec<Tally>, StoreError> {
        let tables = self.tables()?;
        let shown = tables.activity.iter().filter(|((minute, ..), _)| (since..until).contains(minute));
        Ok(shown
            .map(|((minute, series, provider, label), count)| Tally {
                minute: *minute,
                series: *series,
                provider: provider.clone(),
                label: label.clone(),
                count: *count,
            })
            .collect())
    }
}

fn passes(tables: &Tables, job: &FailedJob, filter: &FailedJobFilter) -> bool {
    let last = job.attempts.last();
    let user = || job.connection.and_then(|id| tables.connections.get(&id)).map(|row| &row.user);
    (filter.states.is_empty() || filter.states.contains(&job.state))
        && filter.kind.as_ref().is_none_or(|kind| job.kind == *kind)
        && filter.provider.as_ref().is_none_or(|provider| job.provider.as_ref() == Some(provider))
        && filter.verdict.is_none_or(|verdict| last.is_some_and(|last| last.verdict == verdict))
        && filter.code.as_ref().is_none_or(|code| last.is_some_and(|last| last.trace.code.as_ref() == Some(code)))
        && filter.user.as_ref().is_none_or(|wanted| user() == Some(wanted))
        && filter.connection.is_none_or(|connection| job.connection == Some(connection))
        && filter.since.is_none_or(|since| job.failed_at >= since)
        && filter.until.is_none_or(|until| job.failed_at < until)
        && filter.text.as_ref().is_none_or(|text| contains(&job.error, text))
}

/// Whatever the case of ASCII letters.
fn contains(text: &str, part: &str) -> bool {
    text.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
}
