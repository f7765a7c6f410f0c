//! How much there is, for metrics.

use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::census::{Backlog, Headcount};
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::{Census, StoreError};

use super::PgStore;
use super::begin::begin;
use super::error::store_error;
use super::row::{total, word};

#[async_trait]
impl Census for PgStore {
    async fn backlog(&self, provider: &ProviderName, now: Timestamp, at_most: u32) -> Result<Backlog, StoreError> {
        let row = sqlx::query_file!("src/store/sql/backlog.sql", provider.as_str(), now, i64::from(at_most))
            .fetch_one(&self.pool)
            .await
            .map_err(store_error)?;
        Ok(Backlog { due: total(row.due), oldest: row.oldest })
    }

    async fn expired(&self, provider: &ProviderName, now: Timestamp, at_most: u32) -> Result<u64, StoreError> {
        let expired = sqlx::query_scalar!(
            r#"SELECT count(*) AS "expired!"
               FROM (SELECT connection_id FROM schedules
                     WHERE provider = $1 AND refresh_at <= $2 AND paused_at IS NULL
                     ORDER BY refresh_at, connection_id
                     LIMIT $3) AS oldest
               JOIN tokens t USING (connection_id)
               -- An unknown end counts as past.
               WHERE coalesce(t.expires_at <= $2, true)"#,
            provider.as_str(),
            now,
            i64::from(at_most),
        );
        expired.fetch_one(&self.pool).await.map(total).map_err(store_error)
    }

    async fn headcount(&self, patience: Duration) -> Result<Vec<Headcount>, StoreError> {
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        // Given up by the server itself: to go away would leave it counting.
        sqlx::query_scalar!("SELECT set_config('statement_timeout', $1, true)", patience.as_millis().to_string())
            .fetch_one(&mut *transaction)
            .await
            .map_err(store_error)?;
        let rows = sqlx::query!(
            r#"SELECT provider, state, count(*) AS "connections!" FROM schedules GROUP BY provider, state"#
        )
        .fetch_all(&mut *transaction)
        .await
        .map_err(store_error)?;
        transaction.commit().await.map_err(store_error)?;
        rows.into_iter()
            .map(|row| {
                let provider = word("schedules", "provider", "(all)", &row.provider)?;
                let state = word("schedules", "state", "(all)", &row.state)?;
                Ok(Headcount { provider, state, connections: total(row.connections) })
            })
            .collect()
    }
}
