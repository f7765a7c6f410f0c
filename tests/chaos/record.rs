//! What happened and what must not have happened, written down by everybody who looks on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::schedule::Fault;

/// A fault that was under way.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) fault: Fault,
    /// The processes that it befell.
    pub(super) victims: Vec<String>,
    pub(super) begin: Instant,
    /// `None`: it still is.
    pub(super) end: Option<Instant>,
}

#[derive(Default)]
struct State {
    windows: Vec<Window>,
    broken: Vec<String>,
    counts: BTreeMap<String, u64>,
    longest_expired: Duration,
}

/// Shared by all who look on.
#[derive(Clone, Default)]
pub(super) struct Record(Arc<Mutex<State>>);

/// Of one sort of breach, so many are told; more would tell nothing new.
const TOLD: usize = 12;

impl Record {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn begins(&self, fault: Fault, victims: Vec<String>) {
        let window = Window { fault, victims, begin: Instant::now(), end: None };
        self.with(|state| state.windows.push(window));
    }

    pub(super) fn ends(&self, fault: Fault) {
        self.with(|state| {
            let open = state.windows.iter_mut().rev().find(|window| window.fault == fault && window.end.is_none());
            open.expect("a fault ends once, after it began").end = Some(Instant::now());
        });
    }

    /// Notes a breach of something that must hold.
    pub(super) fn breach(&self, what: String) {
        self.with(|state| {
            if state.broken.len() < TOLD {
                eprintln!("BREACH: {what}");
            }
            state.broken.push(what);
        });
    }

    /// Every breach, as far as it is told.
    pub(super) fn breaches(&self) -> Vec<String> {
        self.with(|state| {
            let more = state.broken.len().saturating_sub(TOLD);
            let mut told: Vec<_> = state.broken.iter().take(TOLD).cloned().collect();
            told.extend((more > 0).then(|| format!("and {more} more")));
            told
        })
    }

    pub(super) fn count(&self, what: &str) {
        self.with(|state| *state.counts.entry(what.to_owned()).or_default() += 1);
    }

    /// Notes for how long a connection has had no valid token.
    pub(super) fn longest_expired(&self, long: Duration) {
        self.with(|state| state.longest_expired = state.longest_expired.max(long));
    }

    /// The longest that any connection had no valid token.
    pub(super) fn most_expired(&self) -> Duration {
        self.with(|state| state.longest_expired)
    }

    pub(super) fn add(&self, what: &str, many: u64) {
        self.with(|state| *state.counts.entry(what.to_owned()).or_default() += many);
    }

    pub(super) fn counted(&self, what: &str) -> u64 {
        self.with(|state| state.counts.get(what).copied().unwrap_or(0))
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.with(|state| state.counts.clone())
    }

    /// Whether at this time a fault was under way, or had ended no longer ago than `after`.
    pub(super) fn is_excused(&self, at: Instant, after: Duration) -> bool {
        self.with(|state| {
            state.windows.iter().any(|window| window.begin <= at && window.end.is_none_or(|end| at <= end + after))
        })
    }

    /// For how long faults were under way that touched this stretch of time, or ended at most `after` before it.
    pub(super) fn under_way(&self, from: Instant, to: Instant, after: Duration) -> Duration {
        self.with(|state| {
            let touching = state.windows.iter().filter(|window| {
                window.begin <= to
                    && window.end.is_none_or(|end| from.checked_sub(after).is_none_or(|from| from <= end))
            });
            touching.map(|window| window.end.unwrap_or(to).min(to).saturating_duration_since(window.begin)).sum()
        })
    }

    /// Whether a fault of this sort befell this process at any time between these two.
    pub(super) fn befell(&self, name: &str, from: Instant, to: Instant, sort: impl Fn(&Fault) -> bool) -> bool {
        self.with(|state| {
            state.windows.iter().any(|window| {
                let meanwhile = window.begin <= to && window.end.is_none_or(|end| from <= end);
                meanwhile && sort(&window.fault) && window.victims.iter().any(|victim| victim == name)
            })
        })
    }
}
