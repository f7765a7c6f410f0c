//! When a provider app as a whole looks down.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::Clock;
use evergrant_contract::verdict::VerdictKind;

/// So many transient answers in a row trip the breaker,
const IN_A_ROW: usize = 5;
/// or this share of so many answers, in percent,
const SHARE_PERCENT: usize = 80;
/// counted over the last so many,
const LAST: usize = 20;
/// if they are of at least so many connections: one connection's trouble is its own.
const CONNECTIONS: usize = 2;
/// Older answers tell nothing about now.
const WITHIN: Duration = Duration::from_mins(10);

/// The finding that a provider app looks down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trip {
    /// Transient answers among the last ones.
    pub transient: usize,
    /// How many answers were looked at.
    pub answers: usize,
    /// Of how many connections the transient ones were.
    pub connections: usize,
}

/// Watches the answers of one provider app. It decides and does nothing: whoever feeds it holds the app.
pub struct Breaker {
    clock: Arc<dyn Clock>,
    answers: Mutex<VecDeque<Seen>>,
}

#[derive(Clone, Copy)]
struct Seen {
    at: Duration,
    connection: ConnectionId,
    transient: bool,
}

impl Breaker {
    /// A breaker that has seen nothing.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, answers: Mutex::new(VecDeque::with_capacity(LAST + 1)) }
    }

    /// Takes note of an answer. `Some`: with this one the app looks down. After that it starts from nothing, so that one
    /// outage is told of once and not with every answer.
    pub fn record(&self, connection: ConnectionId, verdict: VerdictKind) -> Option<Trip> {
        let now = self.clock.monotonic();
        let seen = Seen { at: now, connection, transient: verdict == VerdictKind::Transient };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push_back(seen);
        while answers.len() > LAST || answers.front().is_some_and(|oldest| now.saturating_sub(oldest.at) > WITHIN) {
            answers.pop_front();
        }
        let trip = judge(&answers);
        if trip.is_some() {
            answers.clear();
        }
        trip
    }
}

fn judge(answers: &VecDeque<Seen>) -> Option<Trip> {
    let transient: Vec<_> = answers.iter().filter(|seen| seen.transient).collect();
    let run: Vec<_> = answers.iter().rev().take_while(|seen| seen.transient).collect();
    let down = (run.len() >= IN_A_ROW && distinct(&run) >= CONNECTIONS)
        || (answers.len() == LAST
            && transient.len() * 100 >= LAST * SHARE_PERCENT
            && distinct(&transient) >= CONNECTIONS);
    down.then(|| Trip { transient: transient.len(), answers: answers.len(), connections: distinct(&transient) })
}

fn distinct(answers: &[&Seen]) -> usize {
    answers.iter().map(|seen| seen.connection).collect::<HashSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use evergrant_testkit::ManualClock;

    use super::*;

    fn connection(n: u128) -> ConnectionId {
        uuid::Uuid::from_u128(n).into()
    }

    fn feed(breaker: &Breaker, answers: &[(u128, VerdictKind)]) -> Vec<Option<Trip>> {
        answers.iter().map(|(n, verdict)| breaker.record(connection(*n), *verdict)).collect()
    }

    const DOWN: VerdictKind = VerdictKind::Transient;
    const UP: VerdictKind = VerdictKind::Refreshed;

    #[test]
    fn five_in_a_row_of_two_connections_trip_it_once() {
        let breaker = Breaker::new(ManualClock::new());
        let trips = feed(&breaker, &[(1, DOWN), (2, DOWN), (1, DOWN), (2, DOWN), (1, DOWN), (2, DOWN)]);
        assert_eq!(trips[4], Some(Trip { transient: 5, answers: 5, connections: 2 }));
        assert_eq!(trips.iter().flatten().count(), 1);
    }

    #[test]
    fn one_connection_alone_never_trips_it() {
        let breaker = Breaker::new(ManualClock::new());
        assert_eq!(feed(&breaker, &[(1, DOWN); 100]).iter().flatten().count(), 0);
    }

    #[test]
    fn any_answer_about_a_grant_shows_that_the_app_is_up() {
        for up in VerdictKind::ALL.iter().filter(|kind| **kind != DOWN) {
            let breaker = Breaker::new(ManualClock::new());
            let trips = feed(&breaker, &[(1, DOWN), (2, DOWN), (1, DOWN), (2, DOWN), (3, *up), (1, DOWN), (2, DOWN)]);
            assert_eq!(trips.iter().flatten().count(), 0, "{up}");
        }
    }

    #[test]
    fn four_of_five_over_twenty_trip_it_and_three_of_four_do_not() {
        let rounds = |down: u128, of: u128, rounds: u128| -> Vec<_> {
            (0..of * rounds).map(|n| (n, if n % of < down { DOWN } else { UP })).collect()
        };
        let breaker = Breaker::new(ManualClock::new());
        let trips = feed(&breaker, &rounds(4, 5, 4));
        assert_eq!(trips[19], Some(Trip { transient: 16, answers: 20, connections: 16 }));
        let breaker = Breaker::new(ManualClock::new());
        assert_eq!(feed(&breaker, &rounds(3, 4, 50)).iter().flatten().count(), 0);
    }

    #[tokio::test]
    async fn old_answers_are_forgotten() {
        let clock = ManualClock::new();
        let breaker = Breaker::new(clock.clone());
        feed(&breaker, &[(1, DOWN), (2, DOWN), (1, DOWN), (2, DOWN)]);
        clock.advance(WITHIN + Duration::from_millis(1)).await;
        assert_eq!(breaker.record(connection(1), DOWN), None);
    }
}
