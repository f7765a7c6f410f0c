//! What is due.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::Due;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::{Schedule, StoreError};

use super::MemoryStore;

#[async_trait]
impl Schedule for MemoryStore {
    async fn due(
        &self,
        provider: &ProviderName,
        now: Timestamp,
        after: Option<Due>,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        let tables = self.tables()?;
        let mut due: Vec<Due> = tables
            .connections
            .values()
            .filter(|row| row.provider == *provider && row.is_due(now))
            .filter_map(|row| Some(Due { connection: row.id, version: row.version, refresh_at: row.refresh_at? }))
            .filter(|due| after.is_none_or(|after| place(due) > place(&after)))
            .collect();
        due.sort_by_key(place);
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(due)
    }

    async fn next_refresh_at(&self, provider: &ProviderName) -> Result<Option<Timestamp>, StoreError> {
        let tables = self.tables()?;
        Ok(tables
            .connections
            .values()
            .filter(|row| row.provider == *provider && row.paused.is_none())
            .filter_map(|row| row.refresh_at)
            .min())
    }
}

fn place(due: &Due) -> (Timestamp, evergrant_contract::ids::ConnectionId) {
    (due.refresh_at, due.connection)
}
