//! What is due. Answered from the index `schedules_due` alone.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::Due;
use evergrant_contract::ids::{ProviderName, Version};
use evergrant_contract::ports::{Schedule, StoreError};

use super::PgStore;
use super::error::store_error;

#[async_trait]
impl Schedule for PgStore {
    async fn due(
        &self,
        provider: &ProviderName,
        now: Timestamp,
        after: Option<Due>,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        let rows = sqlx::query_file!(
            "src/store/sql/due.sql",
            provider.as_str(),
            now,
            after.map(|after| after.refresh_at),
            after.map(|after| after.connection.uuid()),
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let due = rows.into_iter().map(|row| Due {
            connection: row.connection_id.into(),
            version: Version::new(row.version),
            refresh_at: row.refresh_at,
        });
        Ok(due.collect())
    }

    async fn next_refresh_at(&self, provider: &ProviderName) -> Result<Option<Timestamp>, StoreError> {
        sqlx::query_scalar!(
            "SELECT min(refresh_at) FROM schedules WHERE provider = $1 AND refresh_at IS NOT NULL AND paused_at IS NULL",
            provider.as_str(),
        )
        .fetch_one(&self.pool)
        .await
        .map_err(store_error)
    }
}
