//! The refreshes that are waited for in this process, each of them once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evergrant_contract::ids::{ConnectionId, Version};
use tokio::sync::{Notify, watch};

use super::Waited;
use super::decide::RETRY_MIN;

/// What callers must have in common to share one flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) connection: ConnectionId,
    pub(super) observed: Version,
    /// A person who insists is never given the answer of somebody for whom no call was made.
    pub(super) insists: bool,
}

/// What a flight and those who wait for it share.
#[derive(Default)]
pub(super) struct Shared {
    /// Something was heard: the row is worth a look. A wake that comes while the flight is busy is not lost.
    pub(super) wake: Notify,
    progress: Mutex<Progress>,
}

/// How far a flight has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Progress {
    #[default]
    Begun,
    /// The store or the queue is away.
    Stuck,
    /// The refresh was asked for, by this flight or by somebody else: it goes on whatever becomes of the flight.
    AskedFor,
}

impl Shared {
    /// The store or the queue is away, which matters until the refresh has been asked for.
    pub(super) fn is_stuck(&self) {
        let mut progress = lock(&self.progress);
        if *progress == Progress::Begun {
            *progress = Progress::Stuck;
        }
    }

    /// The refresh goes on from here, whatever becomes of the flight.
    pub(super) fn is_asked_for(&self) {
        *lock(&self.progress) = Progress::AskedFor;
    }

    /// What those are told whose time is up.
    pub(super) fn too_late(&self) -> Waited {
        match *lock(&self.progress) {
            Progress::Stuck => Waited::Away { retry_after: RETRY_MIN },
            Progress::Begun | Progress::AskedFor => Waited::Pending { retry_after: RETRY_MIN },
        }
    }
}

/// A place in a flight.
#[derive(Clone)]
pub(super) struct Place {
    /// The outcome, once there is one.
    pub(super) outcome: watch::Receiver<Option<Waited>>,
    pub(super) shared: Arc<Shared>,
}

/// Every flight under way.
#[derive(Default)]
pub(super) struct Flights(Mutex<BTreeMap<Key, Place>>);

impl Flights {
    /// A place in the flight of this key, and its landing for the caller who has to start it: the first.
    pub(super) fn join(self: &Arc<Self>, key: Key) -> (Place, Option<Landing>) {
        let mut flights = lock(&self.0);
        if let Some(place) = flights.get(&key) {
            return (place.clone(), None);
        }
        let (sender, outcome) = watch::channel(None);
        let place = Place { outcome, shared: Arc::default() };
        flights.insert(key, place.clone());
        let landing = Landing { flights: Arc::clone(self), key, sender, shared: Arc::clone(&place.shared) };
        (place, Some(landing))
    }

    /// Makes every flight of a connection look at its row. How many there are.
    pub(super) fn wake(&self, connection: ConnectionId) -> usize {
        let key = |observed, insists| Key { connection, observed: Version::new(observed), insists };
        let flights = lock(&self.0);
        let of_connection = flights.range(key(i64::MIN, false)..=key(i64::MAX, true));
        of_connection.map(|(_, place)| place.shared.wake.notify_one()).count()
    }

    /// Makes every flight look at its row.
    pub(super) fn wake_all(&self) {
        for place in lock(&self.0).values() {
            place.shared.wake.notify_one();
        }
    }
}

/// Where a flight ends. However it does: one that panics is forgotten too, and those who wait learn that nothing comes.
pub(super) struct Landing {
    flights: Arc<Flights>,
    key: Key,
    sender: watch::Sender<Option<Waited>>,
    pub(super) shared: Arc<Shared>,
}

impl Landing {
    /// Tells everybody. Whoever comes from now on starts another flight.
    pub(super) fn land(self, waited: Waited) {
        self.forget();
        self.sender.send_replace(Some(waited));
    }

    fn forget(&self) {
        let mut flights = lock(&self.flights.0);
        if flights.get(&self.key).is_some_and(|place| Arc::ptr_eq(&place.shared, &self.shared)) {
            flights.remove(&self.key);
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.forget();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
