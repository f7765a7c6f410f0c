//! Failed jobs as operators look for them.

use evergrant_contract::failed_job::{FailedJob, FailedJobFilter, FailedJobKey, FailedJobState};
use evergrant_contract::ids::{ConnectionId, JobId, ProviderName, UserId};
use evergrant_contract::ports::StoreError;
use evergrant_contract::timing::to_millis;
use evergrant_contract::verdict::VerdictKind;
use sqlx::PgConnection;

use super::PgStore;
use super::error::store_error;
use super::failed_jobs::FailedJobRow;
use super::row::{text, total};

impl PgStore {
    pub(super) async fn page_of_failed_jobs(
        &self,
        filter: &FailedJobFilter,
        after: Option<FailedJobKey>,
        limit: u32,
    ) -> Result<Vec<FailedJob>, StoreError> {
        let mut look = self.look().await?;
        let rows = page(&mut look, filter, after, limit).await.map_err(store_error)?;
        look.commit().await.map_err(store_error)?;
        rows.into_iter().map(FailedJob::try_from).collect()
    }

    pub(super) async fn number_of_failed_jobs(
        &self,
        filter: &FailedJobFilter,
        at_most: u64,
    ) -> Result<u64, StoreError> {
        let mut look = self.look().await?;
        let number = number(&mut look, filter, at_most).await.map_err(store_error)?;
        look.commit().await.map_err(store_error)?;
        Ok(total(number))
    }

    pub(super) async fn one_failed_job(&self, id: JobId) -> Result<Option<FailedJob>, StoreError> {
        let row = sqlx::query_as!(
            FailedJobRow,
            "SELECT id, kind, connection_id, provider, payload, attempts, error, traceparent, failed_at, state
             FROM failed_jobs WHERE id = $1",
            id.uuid(),
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        row.map(FailedJob::try_from).transpose()
    }
}

async fn page(
    connection: &mut PgConnection,
    filter: &FailedJobFilter,
    after: Option<FailedJobKey>,
    limit: u32,
) -> Result<Vec<FailedJobRow>, sqlx::Error> {
    sqlx::query_file_as!(
        FailedJobRow,
        "src/store/sql/failed_jobs.sql",
        after.map(|after| to_millis(after.failed_at)),
        after.map(|after| after.id.uuid()),
        i64::from(limit),
        &states(filter) as &[&str],
        filter.kind.as_deref().map(text),
        filter.provider.as_ref().map(ProviderName::as_str),
        filter.verdict.map(VerdictKind::as_str),
        filter.code.as_deref().map(text),
        filter.user.as_ref().map(UserId::as_str),
        filter.connection.map(ConnectionId::uuid),
        filter.since,
        filter.until,
        filter.text.as_deref().map(text),
    )
    .fetch_all(connection)
    .await
}

async fn number(connection: &mut PgConnection, filter: &FailedJobFilter, at_most: u64) -> Result<i64, sqlx::Error> {
    sqlx::query_file_scalar!(
        "src/store/sql/count_failed_jobs.sql",
        i64::try_from(at_most).unwrap_or(i64::MAX),
        &states(filter) as &[&str],
        filter.kind.as_deref().map(text),
        filter.provider.as_ref().map(ProviderName::as_str),
        filter.verdict.map(VerdictKind::as_str),
        filter.code.as_deref().map(text),
        filter.user.as_ref().map(UserId::as_str),
        filter.connection.map(ConnectionId::uuid),
        filter.since,
        filter.until,
        filter.text.as_deref().map(text),
    )
    .fetch_one(connection)
    .await
}

/// The states that are asked for, each once.
fn states(filter: &FailedJobFilter) -> Vec<&'static str> {
    let wanted = |state: &&FailedJobState| filter.states.is_empty() || filter.states.contains(state);
    FailedJobState::ALL.iter().filter(wanted).map(|state| state.as_str()).collect()
}
