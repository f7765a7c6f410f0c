//! How much there is, for metrics.

use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::census::{Backlog, Headcount};
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::{Census, StoreError};

use super::SqliteStore;
use super::columns::{Row, millis};
use super::error::Explain;

#[async_trait]
impl Census for SqliteStore {
    async fn backlog(&self, provider: &ProviderName, now: Timestamp, at_most: u32) -> Result<Backlog, StoreError> {
        let (name, now) = (provider.as_str(), millis(now));
        let row = sqlx::query!(
            r#"SELECT count(*) AS "due!: u64", min(refresh_at) AS "oldest?: i64"
               FROM (SELECT refresh_at FROM schedules
                     WHERE provider = ?1 AND refresh_at <= ?2 AND paused_at IS NULL
                     ORDER BY refresh_at, connection_id
                     LIMIT ?3)"#,
            name,
            now,
            at_most,
        )
        .fetch_one(&self.readers)
        .await
        .explain()?;
        let oldest = Row::of("schedules", provider).maybe_time("refresh_at", row.oldest)?;
        Ok(Backlog { due: row.due, oldest })
    }

    async fn expired(&self, provider: &ProviderName, now: Timestamp, at_most: u32) -> Result<u64, StoreError> {
        let (name, now) = (provider.as_str(), millis(now));
        sqlx::query_scalar!(
            r#"SELECT count(*) AS "expired!: u64"
               FROM (SELECT connection_id FROM schedules
                     WHERE provider = ?1 AND refresh_at <= ?2 AND paused_at IS NULL
                     ORDER BY refresh_at, connection_id
                     LIMIT ?3) AS oldest
               JOIN tokens t ON t.connection_id = oldest.connection_id
               -- An unknown end counts as past.
               WHERE coalesce(t.expires_at <= ?2, TRUE)"#,
            name,
            now,
            at_most,
        )
        .fetch_one(&self.readers)
        .await
        .explain()
    }

    /// SQLite cannot be told to give up; a file that one machine has is read in a moment.
    async fn headcount(&self, _patience: Duration) -> Result<Vec<Headcount>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT provider AS "provider!", state AS "state!", count(*) AS "connections!: u64"
               FROM schedules GROUP BY provider, state"#
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        rows.into_iter()
            .map(|row| {
                let cell = Row::of("schedules", &"(all)");
                let (provider, state) = (cell.word("provider", &row.provider)?, cell.word("state", &row.state)?);
                Ok(Headcount { provider, state, connections: row.connections })
            })
            .collect()
    }
}
