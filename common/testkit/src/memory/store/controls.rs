//! What operators hold back by hand.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::controls::{Drain, Ordered, Pause, PauseTarget, Pauses};
use evergrant_contract::ids::{ConnectionId, ProcessId};
use evergrant_contract::operations::AuditEntry;
use evergrant_contract::ports::{Controls, StoreError};

use super::MemoryStore;

#[async_trait]
impl Controls for MemoryStore {
    async fn pauses(&self) -> Result<Pauses, StoreError> {
        let tables = self.tables()?;
        let pauses = tables.pauses.iter().map(|(target, order)| Pause { target: target.clone(), order: order.clone() });
        Ok(Pauses::from(pauses.collect::<Vec<_>>()))
    }

    async fn paused_connections(&self, after: Option<ConnectionId>, limit: u32) -> Result<Vec<Pause>, StoreError> {
        let tables = self.tables()?;
        let rows = tables.connections.values().filter(|row| after.is_none_or(|after| row.id > after));
        let pauses =
            rows.filter_map(|row| Some(Pause { target: PauseTarget::Connection(row.id), order: row.paused.clone()? }));
        Ok(pauses.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }

    async fn count_paused_connections(&self) -> Result<u64, StoreError> {
        let paused = self.tables()?.connections.values().filter(|row| row.paused.is_some()).count();
        Ok(u64::try_from(paused).unwrap_or(u64::MAX))
    }

    async fn pause(&self, pause: &Pause, audit: &AuditEntry) -> Result<Ordered<Pause>, StoreError> {
        let mut tables = self.tables()?;
        let standing = match &pause.target {
            PauseTarget::Connection(id) => match tables.connections.get_mut(id) {
                None => return Ok(Ordered::NotFound),
                Some(row) if row.paused.is_some() => row.paused.clone(),
                Some(row) => {
                    row.paused = Some(pause.order.clone());
                    None
                }
            },
            target => {
                let standing = tables.pauses.get(target).cloned();
                if standing.is_none() {
                    tables.pauses.insert(target.clone(), pause.order.clone());
                }
                standing
            }
        };
        if let Some(order) = standing {
            return Ok(Ordered::Already(Pause { target: pause.target.clone(), order }));
        }
        tables.audit_log.insert(audit.id, audit.clone());
        Ok(Ordered::Done)
    }

    async fn resume(&self, target: &PauseTarget, audit: &AuditEntry) -> Result<Option<Pause>, StoreError> {
        let mut tables = self.tables()?;
        let ended = match target {
            PauseTarget::Connection(id) => tables.connections.get_mut(id).and_then(|row| row.paused.take()),
            target => tables.pauses.remove(target),
        };
        if ended.is_some() {
            tables.audit_log.insert(audit.id, audit.clone());
        }
        Ok(ended.map(|order| Pause { target: target.clone(), order }))
    }

    async fn drain(&self, process: ProcessId, drain: &Drain, audit: &AuditEntry) -> Result<Ordered<Drain>, StoreError> {
        let mut tables = self.tables()?;
        let Some(peer) = tables.peers.get_mut(&process) else { return Ok(Ordered::NotFound) };
        if let Some(standing) = &peer.drain {
            return Ok(Ordered::Already(standing.clone()));
        }
        peer.drain = Some(Drain { order: drain.order.clone(), done_at: None });
        tables.audit_log.insert(audit.id, audit.clone());
        Ok(Ordered::Done)
    }

    async fn undrain(&self, process: ProcessId, audit: &AuditEntry) -> Result<Option<Drain>, StoreError> {
        let mut tables = self.tables()?;
        let ended = tables.peers.get_mut(&process).and_then(|peer| peer.drain.take());
        if ended.is_some() {
            tables.audit_log.insert(audit.id, audit.clone());
        }
        Ok(ended)
    }

    async fn drain_of(&self, process: ProcessId) -> Result<Option<Drain>, StoreError> {
        Ok(self.tables()?.peers.get(&process).and_then(|peer| peer.drain.clone()))
    }

    async fn drained(&self, process: ProcessId, at: Timestamp) -> Result<(), StoreError> {
        let mut tables = self.tables()?;
        if let Some(drain) = tables.peers.get_mut(&process).and_then(|peer| peer.drain.as_mut()) {
            drain.done_at = drain.done_at.or(Some(at));
        }
        Ok(())
    }
}
