//! Who is there and who leads.

use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::ids::ProcessId;
use evergrant_contract::ports::{Offices, Peer, StoreError};
use evergrant_contract::timing::{after, before};

use super::MemoryStore;
use super::rows::Holder;

#[async_trait]
impl Offices for MemoryStore {
    async fn lead(&self, office: &'static str, process: ProcessId, ttl: Duration) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let time = self.time();
        let is_taken = |holder: &Holder| holder.process != process && holder.until > time;
        let is_free = !tables.offices.get(office).is_some_and(is_taken);
        if is_free {
            tables.offices.insert(office, Holder { process, until: after(time, ttl) });
        }
        Ok(is_free)
    }

    async fn resign(&self, office: &'static str, process: ProcessId) -> Result<(), StoreError> {
        self.tables()?.offices.retain(|name, holder| *name != office || holder.process != process);
        Ok(())
    }

    async fn announce(&self, peer: &Peer) -> Result<(), StoreError> {
        let seen_at = self.time();
        let mut tables = self.tables()?;
        let drain = tables.peers.get(&peer.process).and_then(|known| known.drain.clone());
        tables.peers.insert(peer.process, Peer { seen_at, drain, ..peer.clone() });
        Ok(())
    }

    async fn depart(&self, process: ProcessId) -> Result<(), StoreError> {
        self.tables()?.peers.remove(&process);
        Ok(())
    }

    async fn peers(&self, within: Duration) -> Result<Vec<Peer>, StoreError> {
        let tables = self.tables()?;
        let since = before(self.time(), within);
        Ok(tables.peers.values().filter(|peer| peer.seen_at >= since).cloned().collect())
    }

    async fn keys_in_use(&self) -> Result<Vec<(String, u64)>, StoreError> {
        Ok(self.tables()?.keys_in_use().into_iter().collect())
    }
}
