//! A store in memory. One file for each of the ports that it implements.

mod apps;
mod census;
mod connections;
mod controls;
mod failed_jobs;
mod keys;
mod leases;
mod offices;
mod operations;
mod people;
mod rows;
mod schedule;
mod usage;
mod webhooks;

use std::sync::{Arc, Mutex, MutexGuard};

use evergrant_contract::Timestamp;
use evergrant_contract::connection::{Settled, Settlement};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::{Clock, StoreError};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::after;

use self::rows::Tables;
use crate::lock;

/// What the memory store calls its only key.
pub const MEMORY_KEY: &str = "memory-key";

/// A store in memory that keeps plaintexts, with knobs for the failures that tests need.
///
/// Its own time starts with the clock's and follows the monotonic hand: a jump of the wall clock does not move a lease.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    /// The wall clock when the monotonic one stood at zero.
    epoch: Timestamp,
    tables: Arc<Mutex<Tables>>,
    /// The first encrypts, all decrypt.
    keys: Vec<String>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let epoch = evergrant_contract::timing::before(clock.now(), clock.monotonic());
        Arc::new(Self { clock, epoch, tables: Arc::default(), keys: vec![MEMORY_KEY.to_owned()] })
    }

    /// The same rows, seen with these keys: the first encrypts, all decrypt.
    #[must_use]
    pub fn with_keys(&self, keys: &[&str]) -> Arc<Self> {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Arc::new(Self { clock: Arc::clone(&self.clock), epoch: self.epoch, tables: Arc::clone(&self.tables), keys })
    }

    /// Makes the next `calls` calls fail with [`StoreError::Unavailable`], before they do anything.
    pub fn fail_next(&self, calls: u32) {
        lock(&self.tables).failing_calls = calls;
    }

    /// Takes the store away, or brings it back: while it is down every call fails with [`StoreError::Unavailable`].
    pub fn set_down(&self, down: bool) {
        lock(&self.tables).down = down;
    }

    /// Makes a connection's tokens unreadable, as if its key were lost.
    pub fn mark_undecryptable(&self, id: ConnectionId) {
        self.set_readable(id, false);
    }

    /// Gives the key back.
    pub fn mark_decryptable(&self, id: ConnectionId) {
        self.set_readable(id, true);
    }

    /// Every settlement that reached the store, in order, and what became of it.
    pub fn settlements(&self) -> Vec<(Settlement, Settled)> {
        lock(&self.tables).settlements.clone()
    }

    /// The stored refresh token.
    pub fn refresh_token(&self, id: ConnectionId) -> Option<Secret> {
        lock(&self.tables).connections.get(&id).and_then(|row| row.refresh_token.clone())
    }

    /// The kept body of a success that could not be used.
    pub fn unread_answer(&self, id: ConnectionId) -> Option<Secret> {
        lock(&self.tables).connections.get(&id).and_then(|row| row.unread_answer.clone())
    }

    fn set_readable(&self, id: ConnectionId, readable: bool) {
        let mut tables = lock(&self.tables);
        let row = tables.connections.get_mut(&id).expect("the connection must exist to lose or regain its key");
        row.readable = readable;
    }

    fn primary(&self) -> &str {
        self.keys.first().map_or(MEMORY_KEY, String::as_str)
    }

    fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The store's own time.
    fn time(&self) -> Timestamp {
        after(self.epoch, self.clock.monotonic())
    }

    /// The tables, unless the test wants this call to fail.
    fn tables(&self) -> Result<MutexGuard<'_, Tables>, StoreError> {
        let mut tables = lock(&self.tables);
        if tables.down {
            return Err(StoreError::Unavailable("the test took it down".into()));
        }
        if tables.failing_calls > 0 {
            tables.failing_calls -= 1;
            return Err(StoreError::Unavailable("the test made this call fail".into()));
        }
        Ok(tables)
    }
}
