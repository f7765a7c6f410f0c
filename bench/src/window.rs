//! The part of a run in which everything is under way: neither its start nor its end. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::number::float;
use crate::usage::Cost;

/// A look at a run.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// Since it began.
    pub(crate) at: Duration,
    /// Calls of the provider that were answered.
    pub(crate) calls: u64,
    pub(crate) cost: Cost,
}

/// What happened between two looks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Window {
    /// Refreshes within it.
    pub refreshes: u64,
    /// How long it lasted.
    pub seconds: f64,
    /// Refreshes in a second.
    pub per_second: f64,
    /// CPU time of each part, in microseconds for each refresh.
    pub cpu_us: BTreeMap<&'static str, f64>,
    /// The share of all CPUs that was busy with something else: a quiet machine has next to none.
    pub others_share: f64,
    /// From the beginning to the last refresh, in seconds.
    pub whole_seconds: f64,
}

impl Window {
    pub(crate) fn between(first: &Look, last: &Look, whole: Duration, cpus: usize) -> Self {
        let refreshes = last.calls.saturating_sub(first.calls);
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        let cost = last.cost.since(&first.cost);
        let each = |time: &Duration| time.as_secs_f64() * 1e6 / float(refreshes.max(1));
        let all_cpus = seconds * float(crate::number::count(cpus));
        Self {
            refreshes,
            seconds,
            per_second: float(refreshes) / seconds.max(f64::MIN_POSITIVE),
            cpu_us: cost.parts.iter().map(|(name, time)| (*name, each(time))).collect(),
            others_share: cost.of_others().as_secs_f64() / all_cpus.max(f64::MIN_POSITIVE),
            whole_seconds: whole.as_secs_f64(),
        }
    }

    /// CPU seconds of some parts together for a thousand refreshes.
    pub fn cpu_seconds_per_thousand(&self, parts: &[&str]) -> f64 {
        parts.iter().filter_map(|part| self.cpu_us.get(part)).sum::<f64>() / 1e3
    }

    /// CPU time of everything together for one refresh, in microseconds: what a machine that does nothing else pays.
    pub fn all_cpu_us(&self) -> f64 {
        self.cpu_us.values().sum()
    }

    /// In a few words.
    pub fn told(&self) -> String {
        let parts = self.cpu_us.iter().map(|(name, each)| format!("{name} {each:.0}"));
        format!(
            "{:.0}/s over {:.1} s; CPU us each: {}; others had {:.0} % of the machine",
            self.per_second,
            self.seconds,
            parts.collect::<Vec<_>>().join(", "),
            self.others_share * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_costs_are_those_between_the_looks() {
        let look = |seconds, calls, worker, machine| Look {
            at: Duration::from_secs(seconds),
            calls,
            cost: Cost {
                parts: [("worker", Duration::from_millis(worker)), ("api", Duration::from_millis(500))].into(),
                machine: Duration::from_secs(machine),
            },
        };
        let window = Window::between(&look(1, 1_000, 100, 10), &look(5, 21_000, 1_100, 14), Duration::from_secs(6), 2);
        assert_eq!((window.refreshes, window.per_second), (20_000, 5_000.0));
        assert_eq!(window.cpu_us, [("api", 0.0), ("worker", 50.0)].into());
        assert!((window.cpu_seconds_per_thousand(&["worker", "api", "nobody"]) - 0.05).abs() < 1e-9);
        assert!((window.others_share - 3.0 / 8.0).abs() < 1e-9);
        assert!(window.told().starts_with("5000/s over 4.0 s"), "{}", window.told());
    }
}
