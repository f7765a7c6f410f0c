//! What is due, answered from one index.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::Due;
use evergrant_contract::ids::{ConnectionId, ProviderName, Version};
use evergrant_contract::ports::{Schedule, StoreError};
use uuid::Uuid;

use super::SqliteStore;
use super::columns::{Row, millis};
use super::error::Explain;

#[async_trait]
impl Schedule for SqliteStore {
    async fn due(
        &self,
        provider: &ProviderName,
        now: Timestamp,
        after: Option<Due>,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        let (provider, now) = (provider.as_str(), millis(now));
        let (after_at, after_id) =
            after.map_or((i64::MIN, Uuid::nil()), |due| (millis(due.refresh_at), due.connection.uuid()));
        let rows = sqlx::query!(
            r#"SELECT connection_id AS "id!: Uuid", version AS "version!: i64", refresh_at AS "refresh_at!: i64"
               FROM schedules
               WHERE provider = ?1 AND refresh_at <= ?2 AND paused_at IS NULL AND (refresh_at, connection_id) > (?3, ?4)
               ORDER BY refresh_at, connection_id
               LIMIT ?5"#,
            provider,
            now,
            after_at,
            after_id,
            limit,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        rows.into_iter()
            .map(|row| {
                let refresh_at = Row::of("schedules", &row.id).time("refresh_at", row.refresh_at)?;
                Ok(Due { connection: ConnectionId::from(row.id), version: Version::new(row.version), refresh_at })
            })
            .collect()
    }

    async fn next_refresh_at(&self, provider: &ProviderName) -> Result<Option<Timestamp>, StoreError> {
        let name = provider.as_str();
        let earliest = sqlx::query_scalar!(
            r#"SELECT min(refresh_at) AS "refresh_at?: i64" FROM schedules
               WHERE provider = ? AND refresh_at IS NOT NULL AND paused_at IS NULL"#,
            name,
        )
        .fetch_one(&self.readers)
        .await
        .explain()?;
        Row::of("schedules", provider).maybe_time("refresh_at", earliest)
    }
}
