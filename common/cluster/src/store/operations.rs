//! What operators look at and what they do.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::failed_job::{FailedJob, FailedJobFilter, FailedJobKey, FailedJobState};
use evergrant_contract::ids::{AuditId, JobId, ProviderName};
use evergrant_contract::operations::{AuditEntry, Series, Tally};
use evergrant_contract::ports::{Operations, StoreError};
use evergrant_contract::timing::to_millis;
use uuid::Uuid;

use super::PgStore;
use super::error::store_error;
use super::row::{text, total, word};

#[async_trait]
impl Operations for PgStore {
    async fn failed_jobs(
        &self,
        filter: &FailedJobFilter,
        after: Option<FailedJobKey>,
        limit: u32,
    ) -> Result<Vec<FailedJob>, StoreError> {
        self.page_of_failed_jobs(filter, after, limit).await
    }

    async fn failed_job(&self, id: JobId) -> Result<Option<FailedJob>, StoreError> {
        self.one_failed_job(id).await
    }

    async fn count_failed_jobs(&self, filter: &FailedJobFilter, at_most: u64) -> Result<u64, StoreError> {
        self.number_of_failed_jobs(filter, at_most).await
    }

    async fn close_failed_job(&self, id: JobId, state: FailedJobState, audit: &AuditEntry) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "WITH closed AS (
                 UPDATE failed_jobs SET state = $2 WHERE id = $1 AND state = 'open' RETURNING id
             )
             INSERT INTO audit_log (id, at, actor, action, subject, reason, outcome)
             SELECT $3, $4, $5, $6, $7, $8, $9 FROM closed",
            id.uuid(),
            state.as_str(),
            audit.id.uuid(),
            to_millis(audit.at),
            text(&audit.actor),
            audit.action.as_str(),
            text(&audit.subject),
            text(&audit.reason),
            text(&audit.outcome),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO audit_log (id, at, actor, action, subject, reason, outcome)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            entry.id.uuid(),
            to_millis(entry.at),
            text(&entry.actor),
            entry.action.as_str(),
            text(&entry.subject),
            text(&entry.reason),
            text(&entry.outcome),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn audit_log(
        &self,
        subject: Option<&str>,
        after: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        // Before the first page stands what no id is.
        let (after, limit) = (after.map_or(Uuid::max(), AuditId::uuid), i64::from(limit));
        let rows = if let Some(subject) = subject {
            let about = sqlx::query_file_as!(AuditRow, "src/store/sql/audit_of.sql", text(subject), after, limit);
            about.fetch_all(&self.pool).await
        } else {
            let all = sqlx::query_file_as!(AuditRow, "src/store/sql/audit.sql", after, limit);
            all.fetch_all(&self.pool).await
        };
        rows.map_err(store_error)?.into_iter().map(AuditEntry::try_from).collect()
    }

    async fn add_activity(&self, tallies: &[Tally]) -> Result<(), StoreError> {
        if tallies.is_empty() {
            return Ok(());
        }
        let provider = |tally: &Tally| tally.provider.as_ref().map_or(String::new(), ToString::to_string);
        let levels = Series::ALL.iter().filter(|series| series.is_level());
        sqlx::query_file!(
            "src/store/sql/add_activity.sql",
            &tallies.iter().map(|tally| to_millis(tally.minute)).collect::<Vec<_>>(),
            &tallies.iter().map(|tally| tally.series.as_str()).collect::<Vec<_>>() as &[&str],
            &tallies.iter().map(provider).collect::<Vec<_>>(),
            &tallies.iter().map(|tally| text(&tally.label)).collect::<Vec<_>>(),
            &tallies.iter().map(|tally| i64::try_from(tally.count).unwrap_or(i64::MAX)).collect::<Vec<_>>(),
            &levels.map(|series| series.as_str()).collect::<Vec<_>>() as &[&str],
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn activity(&self, since: Timestamp, until: Timestamp) -> Result<Vec<Tally>, StoreError> {
        let rows = sqlx::query_file_as!(TallyRow, "src/store/sql/activity.sql", since, until)
            .fetch_all(&self.pool)
            .await
            .map_err(store_error)?;
        rows.into_iter().map(Tally::try_from).collect()
    }
}

struct AuditRow {
    id: Uuid,
    at: Timestamp,
    actor: String,
    action: String,
    subject: String,
    reason: String,
    outcome: String,
}

impl TryFrom<AuditRow> for AuditEntry {
    type Error = StoreError;

    fn try_from(row: AuditRow) -> Result<Self, StoreError> {
        let id = AuditId::from(row.id);
        Ok(Self {
            id,
            at: row.at,
            actor: row.actor,
            action: word("audit_log", "action", id, &row.action)?,
            subject: row.subject,
            reason: row.reason,
            outcome: row.outcome,
        })
    }
}

struct TallyRow {
    minute: Timestamp,
    series: String,
    provider: String,
    label: String,
    count: i64,
}

impl TryFrom<TallyRow> for Tally {
    type Error = StoreError;

    fn try_from(row: TallyRow) -> Result<Self, StoreError> {
        let name = Some(row.provider.as_str()).filter(|name| !name.is_empty());
        let provider: Option<ProviderName> =
            name.map(|name| word("activity", "provider", row.minute, name)).transpose()?;
        Ok(Self {
            minute: row.minute,
            series: word("activity", "series", row.minute, &row.series)?,
            provider,
            label: row.label,
            count: total(row.count),
        })
    }
}
