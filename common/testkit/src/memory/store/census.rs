//! How much there is, for metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::census::{Backlog, Headcount};
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::{Census, Schedule as _, StoreError};

use super::MemoryStore;

#[async_trait]
impl Census for MemoryStore {
    async fn backlog(&self, provider: &ProviderName, now: Timestamp, at_most: u32) -> Result<Backlog, StoreError> {
        let due = self.due(provider, now, None, at_most).await?;
        let oldest = due.first().map(|due| due.refresh_at);
        Ok(Backlog { due: u64::try_from(due.len()).unwrap_or(u64::MAX), oldest })
    }

    async fn expired(&self, provider: &ProviderName, now: Timestamp, at_most: u32) -> Result<u64, StoreError> {
        let due = self.due(provider, now, None, at_most).await?;
        let tables = self.tables()?;
        let rows = due.iter().filter_map(|due| tables.connections.get(&due.connection));
        let expired = rows.filter(|row| row.expires_at.is_none_or(|at| at <= now)).count();
        Ok(u64::try_from(expired).unwrap_or(u64::MAX))
    }

    async fn headcount(&self, _patience: Duration) -> Result<Vec<Headcount>, StoreError> {
        let tables = self.tables()?;
        let mut counted: BTreeMap<_, u64> = BTreeMap::new();
        for row in tables.connections.values() {
            *counted.entry((row.provider.clone(), row.standing.state)).or_default() += 1;
        }
        let headcount = |((provider, state), connections)| Headcount { provider, state, connections };
        Ok(counted.into_iter().map(headcount).collect())
    }
}
