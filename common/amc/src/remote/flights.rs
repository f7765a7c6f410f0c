//! What was got and what is being got: however many ask for the same, one of them goes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, Version};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;

use crate::tokens::{Held, TokenError};

/// The most tokens that are kept. Beyond it those that have ended go, and if none has, all: they are a question away.
const KEPT_MAX: usize = 10_000;

/// What can be asked of Evergrant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Question {
    Token { min_validity: Duration },
    Refused { observed: Version },
}

type Key = (ConnectionId, Question);
type Outcome = Result<Held, TokenError>;
type Flight = BoxFuture<'static, Outcome>;

#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    kept: HashMap<ConnectionId, Held>,
    /// Weakly: a flight that nobody waits for any more ends.
    flying: HashMap<Key, (u64, WeakShared<Flight>)>,
    begun: u64,
}

impl Flights {
    /// The token that is kept.
    pub(super) fn kept(&self, connection: ConnectionId) -> Option<Held> {
        self.0.lock().kept.get(&connection).cloned()
    }

    /// Keeps a token, unless a newer one is kept: an answer that was under way while a token was replaced is old.
    pub(super) fn keep(&self, connection: ConnectionId, held: &Held, now: Timestamp) {
        let mut state = self.0.lock();
        if state.kept.get(&connection).is_some_and(|kept| kept.version > held.version) {
            return;
        }
        if state.kept.len() >= KEPT_MAX && !state.kept.contains_key(&connection) {
            state.kept.retain(|_, held| held.expires_at > now);
            if state.kept.len() >= KEPT_MAX {
                state.kept.clear();
            }
        }
        state.kept.insert(connection, held.clone());
    }

    /// Forgets a token of this version or an older one.
    pub(super) fn forget(&self, connection: ConnectionId, version: Version) {
        let mut state = self.0.lock();
        if state.kept.get(&connection).is_some_and(|kept| kept.version <= version) {
            state.kept.remove(&connection);
        }
    }

    /// Waits for the flight that has this question, or begins it. Its outcome is everybody's, failures too.
    pub(super) fn join<F>(&self, key: Key, begin: impl FnOnce() -> F) -> Shared<Flight>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut state = self.0.lock();
        if let Some(flight) = state.flying.get(&key).and_then(|(_, flight)| flight.upgrade()) {
            return flight;
        }
        state.begun += 1;
        let landing = Landing { flights: self.clone(), key, number: state.begun };
        let going = begin();
        let flight = async move {
            let _landing = landing;
            going.await
        };
        let flight = flight.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            let number = state.begun;
            state.flying.insert(key, (number, weak));
        }
        flight
    }
}

/// Takes a flight off the board when it has ended, or when the last who waited has gone.
struct Landing {
    flights: Flights,
    key: Key,
    number: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut state = self.flights.0.lock();
        if state.flying.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            state.flying.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use evergrant_contract::secret::Secret;
    use futures::future;
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::*;
    use crate::tokens::Target;

    fn held(version: i64, expires_at: i64) -> Held {
        Held {
            token: Secret::new(format!("Atza|{version}")),
            version: Version::new(version),
            expires_at: Timestamp::from_timestamp(expires_at, 0).unwrap(),
            target: Target {
                provider: "amazon-na".parse().unwrap(),
                api_url: "https://advertising-api.amazon.com".parse().unwrap(),
                client_id: "c".to_owned(),
            },
        }
    }

    fn connection(number: u128) -> ConnectionId {
        Uuid::from_u128(number).into()
    }

    const ASK: Question = Question::Token { min_validity: Duration::ZERO };

    #[tokio::test]
    async fn all_who_ask_while_one_goes_share_its_outcome() {
        let flights = Flights::default();
        let key = (connection(1), ASK);
        let (land, landed) = oneshot::channel();
        let first = flights.join(key, || async { landed.await.unwrap() });
        let others = (0..100).map(|_| flights.join(key, || async { panic!("a second one went") }));
        let all = future::join_all(others.chain([first]).collect::<Vec<_>>());
        assert!(land.send(Err(TokenError::Rejected)).is_ok());
        assert!(all.await.iter().all(|outcome| matches!(outcome, Err(TokenError::Rejected))));
        assert!(flights.0.lock().flying.is_empty());
        let next = flights.join(key, || future::ready(Ok(held(2, 9)))).await;
        assert_eq!(next.unwrap_or_else(|_| panic!()).version, Version::new(2));
    }

    #[tokio::test]
    async fn a_flight_that_nobody_waits_for_is_over() {
        let flights = Flights::default();
        let key = (connection(1), ASK);
        drop(flights.join(key, future::pending));
        assert!(flights.0.lock().flying.is_empty());
        assert!(flights.join(key, || future::ready(Ok(held(1, 9)))).await.is_ok());
    }

    #[test]
    fn a_late_answer_does_not_bring_an_old_token_back() {
        let flights = Flights::default();
        let version = || flights.kept(connection(1)).map(|held| held.version.number());
        let now = Timestamp::from_timestamp(0, 0).unwrap();
        flights.keep(connection(1), &held(2, 9), now);
        flights.keep(connection(1), &held(1, 9), now);
        assert_eq!(version(), Some(2));
        flights.forget(connection(1), Version::new(1));
        assert_eq!(version(), Some(2));
        flights.forget(connection(1), Version::new(2));
        assert_eq!(version(), None);
    }

    #[test]
    fn what_is_kept_has_a_limit_and_what_has_ended_goes_first() {
        let flights = Flights::default();
        let at = |secs| Timestamp::from_timestamp(secs, 0).unwrap();
        for number in 0..KEPT_MAX as u128 {
            flights.keep(connection(number), &held(1, if number < 10 { 100 } else { 1 }), at(0));
        }
        assert_eq!(flights.0.lock().kept.len(), KEPT_MAX);
        flights.keep(connection(u128::MAX), &held(1, 100), at(50));
        assert_eq!(flights.0.lock().kept.len(), 11);
    }
}
