//! The events of this process, heard once for every stream that somebody holds open.
//!
//! One ring of the last events, and for each stream a place in it: a slow stream costs no memory, it only falls off the
//! ring and is told so. Rows are read when a stream needs them, once for all streams, and never while nobody listens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evergrant_contract::connection::Connection;
use evergrant_contract::event::Event;
use evergrant_contract::ids::{ConnectionId, ProcessId, UserId};
use evergrant_contract::ports::{Clock, EventBus, Heard, Store, StoreError};
use futures::StreamExt as _;
use moka::future::Cache;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// How many events are kept for streams that are behind, or come back.
pub(crate) const KEPT: usize = 1024;
/// How many connections' owners are remembered.
const OWNERS: u64 = 100_000;
/// A subscription that ended is taken up again after this.
const PAUSE: Duration = Duration::from_secs(1);

/// Hears the events once and keeps the last of them for the streams.
pub struct Hub {
    process: ProcessId,
    store: Arc<dyn Store>,
    events: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    ring: Mutex<Ring>,
    latest: watch::Sender<u64>,
    /// A connection's owner never changes.
    owners: Cache<ConnectionId, UserId>,
    room: Arc<Semaphore>,
}

/// The last events. Their numbers begin at 1.
#[derive(Default)]
struct Ring {
    entries: VecDeque<Arc<Entry>>,
    newest: u64,
}

/// Something that was heard.
pub(crate) struct Entry {
    heard: Heard,
    /// The row that it is about, read when the first stream needs it.
    row: OnceCell<Option<Arc<Connection>>>,
}

/// What is at a place in the ring.
pub(crate) enum At {
    /// This.
    Entry(Arc<Entry>),
    /// Nothing yet.
    End,
    /// Nothing any more: the place is behind everything that is kept.
    Forgotten,
}

/// What a stream is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// Something happened to a connection: the event, and the row as it stands.
    Connection(Event, Arc<Connection>),
    /// A provider app was held or opened.
    App(Event),
    /// Events may have been missed.
    Gap,
}

impl Hub {
    /// A hub that hears nothing yet.
    pub fn new(
        process: ProcessId,
        store: Arc<dyn Store>,
        events: Arc<dyn EventBus>,
        clock: Arc<dyn Clock>,
        streams_max: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            process,
            store,
            events,
            clock,
            ring: Mutex::default(),
            latest: watch::Sender::new(0),
            owners: Cache::new(OWNERS),
            room: Arc::new(Semaphore::new(streams_max.min(Semaphore::MAX_PERMITS))),
        })
    }

    /// Hears the events until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let hear = async {
            loop {
                let mut heard = self.events.subscribe().await;
                // What happened before this was heard by nobody.
                self.keep(Heard::Gap);
                while let Some(heard) = heard.next().await {
                    self.keep(heard);
                }
                self.clock.sleep(PAUSE).await;
            }
        };
        stop.run_until_cancelled(hear).await;
    }

    /// Room for one stream, as long as it is held; `None`: there are as many as there may be.
    pub(crate) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// The number of the newest event, and of every newer one as it comes.
    pub(crate) fn latest(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// What is at this place.
    pub(crate) fn at(&self, number: u64) -> At {
        let ring = self.ring();
        let Some(age) = ring.newest.checked_sub(number) else { return At::End };
        let from_front = usize::try_from(age).ok().and_then(|age| ring.entries.len().checked_sub(age + 1));
        from_front.and_then(|index| ring.entries.get(index)).map_or(At::Forgotten, |entry| At::Entry(Arc::clone(entry)))
    }

    /// What clients know an event by.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.process)
    }

    /// The place behind the event that a client knows by this id, if it is kept here.
    pub(crate) fn resume(&self, id: &str) -> Option<u64> {
        let (process, number) = id.rsplit_once('-')?;
        let number: u64 = number.parse().ok()?;
        let next = number.checked_add(1)?;
        let is_ours = process == self.process.to_string() && number <= *self.latest.borrow();
        (is_ours && !matches!(self.at(next), At::Forgotten)).then_some(next)
    }

    /// What a stream for the connections of `user`, or for those of all, is told of this. `None`: it is none of theirs.
    pub(crate) async fn tell(&self, entry: &Entry, user: Option<&UserId>) -> Result<Option<Told>, StoreError> {
        let event = match &entry.heard {
            Heard::Gap => return Ok(Some(Told::Gap)),
            Heard::Event(event) => event.clone(),
        };
        let Event::Connection { connection, .. } = event else { return Ok(Some(Told::App(event))) };
        if let Some(user) = user
            && self.owners.get(&connection).await.is_some_and(|owner| owner != *user)
        {
            return Ok(None);
        }
        let read = || async { self.store.find(connection).await.map(|row| row.map(Arc::new)) };
        let Some(row) = entry.row.get_or_try_init(read).await?.clone() else { return Ok(None) };
        self.owners.insert(connection, row.user.clone()).await;
        let is_theirs = user.is_none_or(|user| *user == row.user);
        Ok(is_theirs.then_some(Told::Connection(event, row)))
    }

    fn keep(&self, heard: Heard) {
        let mut ring = self.ring();
        if ring.entries.len() == KEPT {
            ring.entries.pop_front();
        }
        ring.entries.push_back(Arc::new(Entry { heard, row: OnceCell::new() }));
        ring.newest += 1;
        let newest = ring.newest;
        drop(ring);
        self.latest.send_modify(|latest| *latest = newest.max(*latest));
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
