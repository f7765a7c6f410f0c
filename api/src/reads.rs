//! Reads of connections, shared by those who ask at the same time.
//!
//! A dashboard with a hundred widgets asks a hundred times for one connection. Whoever asks while a read is under way joins
//! the *next* one: nobody is answered by a read that began before they asked, so an answer is never older than the question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evergrant_contract::connection::{AccessToken, Connection};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::{Store, StoreError};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};

/// What is left of reads that everybody walked away from is swept when there are more entries than this.
const SWEEP_ABOVE: usize = 1024;

/// Reads of connections and of their access tokens.
pub struct Reads {
    connections: Shelf<Option<Connection>>,
    access_tokens: Shelf<Option<AccessToken>>,
}

impl Reads {
    /// Reads out of this store.
    pub fn new(store: &Arc<dyn Store>) -> Self {
        let (rows, tokens) = (Arc::clone(store), Arc::clone(store));
        Self {
            connections: Shelf::new(move |id| {
                let store = Arc::clone(&rows);
                async move { store.find(id).await }.boxed()
            }),
            access_tokens: Shelf::new(move |id| {
                let store = Arc::clone(&tokens);
                async move { store.access_token(id).await }.boxed()
            }),
        }
    }

    /// The connection as it is now, or a moment later.
    pub(crate) async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        self.connections.get(id).await
    }

    /// Its access token as it is now, or a moment later.
    pub(crate) async fn access_token(&self, id: ConnectionId) -> Result<Option<AccessToken>, StoreError> {
        self.access_tokens.get(id).await
    }
}

type Answer<V> = Result<V, StoreError>;
type Reading<V> = Shared<BoxFuture<'static, Answer<V>>>;
type Read<V> = Arc<dyn Fn(ConnectionId) -> BoxFuture<'static, Answer<V>> + Send + Sync>;

/// The read of a connection that is under way, and the one that comes after it. Held weakly: a read lives as long as
/// somebody waits for it.
struct Slot<V> {
    now: WeakShared<BoxFuture<'static, Answer<V>>>,
    next: Option<WeakShared<BoxFuture<'static, Answer<V>>>>,
}

/// Reads of one kind.
struct Shelf<V> {
    read: Read<V>,
    slots: Arc<Mutex<HashMap<ConnectionId, Slot<V>>>>,
}

impl<V: Clone + Send + Sync + 'static> Shelf<V> {
    fn new(read: impl Fn(ConnectionId) -> BoxFuture<'static, Answer<V>> + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), slots: Arc::default() }
    }

    async fn get(&self, id: ConnectionId) -> Answer<V> {
        let reading = self.join(id);
        reading.await
    }

    fn join(&self, id: ConnectionId) -> Reading<V> {
        let mut slots = locked(&self.slots);
        if slots.len() > SWEEP_ABOVE {
            slots.retain(|_, slot| slot.now.upgrade().is_some());
        }
        let Some((slot, now)) = slots.get_mut(&id).and_then(|slot| slot.now.upgrade().map(|now| (slot, now))) else {
            let first = self.reading(id, None);
            slots.extend(weak(&first).map(|now| (id, Slot { now, next: None })));
            return first;
        };
        if let Some(next) = slot.next.as_ref().and_then(WeakShared::upgrade) {
            return next;
        }
        let next = self.reading(id, Some(now));
        slot.next = weak(&next);
        next
    }

    /// A read that begins when the one before it has ended.
    fn reading(&self, id: ConnectionId, before: Option<Reading<V>>) -> Reading<V> {
        let (read, slots) = (Arc::clone(&self.read), Arc::clone(&self.slots));
        let reading = async move {
            if let Some(before) = before {
                // Its answer is for those who asked before.
                let _ = before.await;
            }
            let answer = read(id).await;
            step(&mut locked(&slots), id);
            answer
        };
        reading.boxed().shared()
    }
}

/// A read has ended: the next one, if anybody waits for it, is the one under way.
fn step<V>(slots: &mut HashMap<ConnectionId, Slot<V>>, id: ConnectionId) {
    if let Some(slot) = slots.get_mut(&id) {
        match slot.next.take() {
            Some(next) => slot.now = next,
            None => drop(slots.remove(&id)),
        }
    }
}

/// A read that has not ended can be held weakly.
fn weak<V>(reading: &Reading<V>) -> Option<WeakShared<BoxFuture<'static, Answer<V>>>> {
    reading.downgrade()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// Counts reads; each answers with its number once it is let through.
    fn counting() -> (Arc<AtomicU32>, Arc<Semaphore>, Arc<Shelf<u32>>) {
        let (begun, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
        let (count, let_through) = (Arc::clone(&begun), Arc::clone(&gate));
        let shelf = Shelf::new(move |_| {
            let (count, let_through) = (Arc::clone(&count), Arc::clone(&let_through));
            async move {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let_through.acquire().await.unwrap().forget();
                Ok(number)
            }
            .boxed()
        });
        (begun, gate, Arc::new(shelf))
    }

    #[tokio::test]
    async fn a_thousand_who_ask_at_once_cost_two_reads_and_none_gets_an_old_answer() {
        let (begun, gate, shelf) = counting();
        let id = ConnectionId::generate();
        let mut first = shelf.join(id);
        assert!(futures::poll!(&mut first).is_pending());
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        let others: Vec<_> = (0..999).map(|_| shelf.join(id)).collect();
        gate.add_permits(10);
        assert_eq!(first.await.ok(), Some(1));
        assert!(join_all(others).await.into_iter().all(|answer| answer.ok() == Some(2)), "asked during the first read");
        assert_eq!(shelf.get(id).await.ok(), Some(3), "asked after both");
        assert!(locked(&shelf.slots).is_empty());
    }

    #[tokio::test]
    async fn whoever_walks_away_leaves_the_others_their_read() {
        let (_, gate, shelf) = counting();
        let id = ConnectionId::generate();
        let mut first = shelf.join(id);
        assert!(futures::poll!(&mut first).is_pending());
        let second = shelf.join(id);
        drop(first);
        gate.add_permits(10);
        assert_eq!(second.await.ok(), Some(2));
        let abandoned = shelf.join(id);
        drop(abandoned);
        assert_eq!(shelf.get(id).await.ok(), Some(3), "an abandoned read is begun anew");
    }
}
