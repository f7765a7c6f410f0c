//! What is done for whom, day by day, and when connections were used.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, UserId};
use evergrant_contract::ports::{StoreError, Usage};
use evergrant_contract::usage::{Counts, Day, DayTotal, DayUse, Rank, UserTotal};

use super::MemoryStore;
use super::rows::{Row, Tables};

#[async_trait]
impl Usage for MemoryStore {
    async fn add_usage(&self, uses: &[DayUse]) -> Result<(), StoreError> {
        let mut tables = self.tables()?;
        for added in uses {
            let key = (added.day, added.provider.clone(), added.user.clone());
            let sum = tables.usage.entry(key).or_default();
            *sum = sum.plus(added.counts);
        }
        Ok(())
    }

    async fn usage_by_day(&self, since: Day, until: Day, user: Option<&UserId>) -> Result<Vec<DayTotal>, StoreError> {
        let tables = self.tables()?;
        let mut totals = BTreeMap::<_, (u64, Counts)>::new();
        for ((day, provider, of), counts) in &tables.usage {
            if (since..=until).contains(day) && user.is_none_or(|user| user == of) {
                let (users, sum) = totals.entry((*day, provider.clone())).or_default();
                (*users, *sum) = (*users + 1, sum.plus(*counts));
            }
        }
        let total = |((day, provider), (users, counts))| DayTotal { day, provider, users, counts };
        Ok(totals.into_iter().map(total).collect())
    }

    async fn usage_by_user(&self, since: Day, until: Day, by: Rank, limit: u32) -> Result<Vec<UserTotal>, StoreError> {
        let tables = self.tables()?;
        let mut totals = BTreeMap::<_, Counts>::new();
        for ((day, provider, user), counts) in &tables.usage {
            if (since..=until).contains(day) {
                let sum = totals.entry((user.clone(), provider.clone())).or_default();
                *sum = sum.plus(*counts);
            }
        }
        let total = |((user, provider), counts)| UserTotal { user, provider, counts };
        let mut totals: Vec<_> = totals.into_iter().map(total).filter(|total| rank(total.counts, by) > 0).collect();
        totals.sort_by_key(|total| Reverse(rank(total.counts, by)));
        totals.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(totals)
    }

    async fn forget_usage_before(&self, before: Day) -> Result<u64, StoreError> {
        let mut tables = self.tables()?;
        let had = tables.usage.len();
        tables.usage.retain(|(day, ..), _| *day >= before);
        Ok(u64::try_from(had - tables.usage.len()).unwrap_or(u64::MAX))
    }

    async fn note_used(&self, uses: &[(ConnectionId, Timestamp)]) -> Result<(), StoreError> {
        let mut tables = self.tables()?;
        for (id, at) in uses {
            if tables.connections.contains_key(id) {
                let last = tables.uses.entry(*id).or_insert(*at);
                *last = (*at).max(*last);
            }
        }
        Ok(())
    }

    async fn last_used(&self, id: ConnectionId) -> Result<Option<Timestamp>, StoreError> {
        let tables = self.tables()?;
        Ok(tables.connections.get(&id).map(|row| used(&tables, row)))
    }

    async fn unused_since(&self, since: Timestamp) -> Result<(u64, u64), StoreError> {
        let tables = self.tables()?;
        let refreshable = tables.connections.values().filter(|row| row.refresh_at.is_some());
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        let unused = refreshable.clone().filter(|row| used(&tables, row) < since).count();
        Ok((count(unused), count(refreshable.count())))
    }
}

fn used(tables: &Tables, row: &Row) -> Timestamp {
    let noted = tables.uses.get(&row.id).copied();
    noted.max(row.consent_at).map_or(row.created_at, |at| at.max(row.created_at))
}

const fn rank(counts: Counts, by: Rank) -> u64 {
    match by {
        Rank::Calls => counts.calls,
        Rank::Refreshes => counts.refreshes,
        Rank::Failures => counts.failures,
        Rank::Forced => counts.forced,
    }
}
