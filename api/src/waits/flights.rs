//! The refreshes that are waited for in this process, each of them once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evergrant_contract::ids::{ConnectionId, Version};
use tokio::sync::{Notify, watch};

use super::Waited;

/// What callers must have in common to share one flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) connection: ConnectionId,
    pub(super) observed: Version,
    /// A person who insists is never given the answer of somebody for whom no call was made.
    pub(super) insists: bool,
}

/// The outcome, once there is one.
pub(super) type Outcome = watch::Receiver<Option<Waited>>;

/// Every flight under way.
#[derive(Default)]
pub(super) struct Flights(Mutex<BTreeMap<Key, Entry>>);

struct Entry {
    outcome: Outcome,
    wake: Arc<Notify>,
}

impl Flights {
    /// The outcome to wait for, and the landing of a flight that the caller has to start, if it is the first.
    pub(super) fn join(self: &Arc<Self>, key: Key) -> (Outcome, Option<Landing>) {
        let mut flights = self.lock();
        if let Some(entry) = flights.get(&key) {
            return (entry.outcome.clone(), None);
        }
        let (sender, outcome) = watch::channel(None);
        let wake = Arc::new(Notify::new());
        flights.insert(key, Entry { outcome: outcome.clone(), wake: Arc::clone(&wake) });
        (outcome, Some(Landing { flights: Arc::clone(self), key, sender, wake }))
    }

    /// Makes every flight of a connection look at its row. How many there are.
    pub(super) fn wake(&self, connection: ConnectionId) -> usize {
        let key = |observed, insists| Key { connection, observed: Version::new(observed), insists };
        let flights = self.lock();
        let of_connection = flights.range(key(i64::MIN, false)..=key(i64::MAX, true));
        of_connection.map(|(_, entry)| entry.wake.notify_one()).count()
    }

    /// Makes every flight look at its row.
    pub(super) fn wake_all(&self) {
        for entry in self.lock().values() {
            entry.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a flight ends. However it does: a flight that panics is forgotten too, and those who wait learn that nothing comes.
pub(super) struct Landing {
    flights: Arc<Flights>,
    key: Key,
    sender: watch::Sender<Option<Waited>>,
    wake: Arc<Notify>,
}

impl Landing {
    /// Wakes the flight. A wake that comes while it is busy is not lost.
    pub(super) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Tells everybody. Whoever comes from now on starts another flight.
    pub(super) fn land(self, waited: Waited) {
        self.flights.lock().remove(&self.key);
        self.sender.send_replace(Some(waited));
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        if flights.get(&self.key).is_some_and(|entry| Arc::ptr_eq(&entry.wake, &self.wake)) {
            flights.remove(&self.key);
        }
    }
}
