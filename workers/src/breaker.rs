//! When an app as a whole looks down: pure.
//!
//! One connection that always fails is that connection's trouble. Several that fail in a row, with nobody succeeding in
//! between, are the provider's.

use std::collections::{HashSet, VecDeque};

use evergrant_contract::ids::ConnectionId;
use evergrant_contract::verdict::VerdictKind;

/// So many failures in a row trip the breaker.
const IN_A_ROW: usize = 5;
/// From at least so many connections.
const DISTINCT: usize = 3;
/// So many answers are remembered.
const WINDOW: usize = 20;
/// So many failures among them trip it too: a provider that is down for most is down.
const OF_WINDOW: usize = 16;

/// The latest answers of one provider app in this process.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Who was asked and whether the answer told nothing, newest last.
    answers: VecDeque<(ConnectionId, bool)>,
}

impl Breaker {
    /// Takes note of an answer. `true`: the app looks down; the record starts afresh.
    pub(crate) fn trips(&mut self, connection: ConnectionId, verdict: VerdictKind) -> bool {
        if self.answers.len() == WINDOW {
            self.answers.pop_front();
        }
        self.answers.push_back((connection, verdict == VerdictKind::Transient));
        let looks_down = self.failed_in_a_row() || self.failed_mostly();
        if looks_down {
            self.answers.clear();
        }
        looks_down
    }

    fn failed_in_a_row(&self) -> bool {
        let row = self.answers.iter().rev().take(IN_A_ROW);
        row.len() == IN_A_ROW && row.clone().all(|(_, failed)| *failed) && is_from_several(row)
    }

    fn failed_mostly(&self) -> bool {
        let failures = self.answers.iter().filter(|(_, failed)| *failed);
        self.answers.len() == WINDOW && failures.clone().count() >= OF_WINDOW && is_from_several(failures)
    }
}

fn is_from_several<'a>(answers: impl Iterator<Item = &'a (ConnectionId, bool)>) -> bool {
    answers.map(|(connection, _)| connection).collect::<HashSet<_>>().len() >= DISTINCT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(count: usize) -> Vec<ConnectionId> {
        std::iter::repeat_with(ConnectionId::generate).take(count).collect()
    }

    #[test]
    fn failures_of_several_connections_in_a_row_trip_it_once() {
        let (mut breaker, ids) = (Breaker::default(), connections(6));
        let trips: Vec<_> = ids.iter().map(|id| breaker.trips(*id, VerdictKind::Transient)).collect();
        assert_eq!(trips, [false, false, false, false, true, false]);
    }

    #[test]
    fn one_sick_connection_never_trips_it() {
        let (mut breaker, ids) = (Breaker::default(), connections(1));
        assert!((0..100).all(|_| !breaker.trips(ids[0], VerdictKind::Transient)));
    }

    #[test]
    fn success_in_between_starts_the_row_afresh() {
        let (mut breaker, ids) = (Breaker::default(), connections(40));
        for pair in ids.chunks(2) {
            assert!(!breaker.trips(pair[0], VerdictKind::Transient));
            assert!(!breaker.trips(pair[1], VerdictKind::Refreshed));
        }
    }

    #[test]
    fn mostly_failing_trips_it_without_a_row() {
        let (mut breaker, ids) = (Breaker::default(), connections(20));
        let trips = ids.iter().enumerate().filter(|(n, id)| {
            let verdict = if n % 5 == 4 { VerdictKind::Refreshed } else { VerdictKind::Transient };
            breaker.trips(**id, verdict)
        });
        assert_eq!(trips.count(), 1);
    }

    #[test]
    fn answers_about_grants_and_apps_say_that_the_provider_is_up() {
        let (mut breaker, ids) = (Breaker::default(), connections(30));
        assert!(ids.iter().all(|id| !breaker.trips(*id, VerdictKind::GrantInvalid)));
    }
}
