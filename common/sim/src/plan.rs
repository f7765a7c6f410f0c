//! The faults that are set, and the decision which of them strikes a call.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    fault::{Endpoint, Fault, FaultKind},
    lock::{read, write},
    now::now_ms,
    token::scatter,
};

/// The call that a fault may strike.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) endpoint: Endpoint,
    /// Whose token it presents; `None` for a code and for a token that is nobody's.
    pub(crate) user: Option<&'a str>,
    /// Which call of this grant at this endpoint it is.
    pub(crate) number: u64,
}

/// What happens to a call.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Strike {
    /// On top of the simulator's own latency.
    pub(crate) latency: Duration,
    pub(crate) fault: Option<FaultKind>,
}

/// All faults: the ones for everybody, and the ones for single users, which come first.
pub(crate) struct Faults {
    seed: u64,
    everybody: RwLock<Arc<Plan>>,
    users: RwLock<HashMap<String, Arc<Plan>>>,
}

/// Faults that were set together, in their order.
#[derive(Default)]
pub(crate) struct Plan {
    since_ms: i64,
    rules: Vec<Rule>,
}

struct Rule {
    fault: Fault,
    /// What is left of its count.
    left: Option<AtomicU64>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, everybody: RwLock::default(), users: RwLock::default() }
    }

    /// Replaces the faults for everybody.
    pub(crate) fn set(&self, faults: Vec<Fault>) {
        *write(&self.everybody) = Arc::new(Plan::new(faults));
    }

    /// Replaces the faults for one user.
    pub(crate) fn set_for(&self, user: &str, faults: Vec<Fault>) {
        let mut users = write(&self.users);
        if faults.is_empty() {
            users.remove(user);
        } else {
            users.insert(user.to_owned(), Arc::new(Plan::new(faults)));
        }
    }

    /// Removes every fault.
    pub(crate) fn clear(&self) {
        self.set(Vec::new());
        write(&self.users).clear();
    }

    /// The faults for everybody, with what is left of their counts.
    pub(crate) fn current(&self) -> Vec<Fault> {
        read(&self.everybody).current()
    }

    /// The faults for one user, with what is left of their counts.
    pub(crate) fn current_for(&self, user: &str) -> Vec<Fault> {
        read(&self.users).get(user).map(|plan| plan.current()).unwrap_or_default()
    }

    /// Decides what happens to a call.
    pub(crate) fn strike(&self, call: Call<'_>) -> Strike {
        let mut strike = Strike::default();
        let own = call.user.and_then(|user| read(&self.users).get(user).map(Arc::clone));
        let everybody = Arc::clone(&read(&self.everybody));
        if let Some(plan) = own {
            plan.strike(call, scatter(self.seed), &mut strike);
        }
        everybody.strike(call, self.seed, &mut strike);
        strike
    }

    /// A number from 0 up to 1 that depends on the seed and the call alone, not on what else is going on.
    pub(crate) fn chance(&self, call: Call<'_>) -> f64 {
        chance(self.seed, call, usize::MAX)
    }
}

impl Plan {
    fn new(faults: Vec<Fault>) -> Self {
        let rules = faults.into_iter().map(|fault| Rule { left: fault.when.count.map(AtomicU64::new), fault });
        Self { since_ms: now_ms(), rules: rules.collect() }
    }

    fn current(&self) -> Vec<Fault> {
        let current = |rule: &Rule| {
            let mut fault = rule.fault.clone();
            fault.when.count = rule.left.as_ref().map(|left| left.load(Ordering::Relaxed));
            fault
        };
        self.rules.iter().map(current).collect()
    }

    /// Latencies add up; of the other faults the first that strikes wins, and the rest keep their counts.
    fn strike(&self, call: Call<'_>, seed: u64, strike: &mut Strike) {
        if self.rules.is_empty() {
            return;
        }
        let elapsed_ms = u64::try_from(now_ms() - self.since_ms).unwrap_or(0);
        for (index, rule) in self.rules.iter().enumerate() {
            let latency = matches!(rule.fault.kind, FaultKind::Latency { .. });
            if (strike.fault.is_some() && !latency) || !rule.strikes(call, elapsed_ms, || chance(seed, call, index)) {
                continue;
            }
            match rule.fault.kind {
                FaultKind::Latency { ms, jitter_ms } => {
                    let jitter = Duration::from_millis(jitter_ms).mul_f64(chance(!seed, call, index));
                    strike.latency += Duration::from_millis(ms) + jitter;
                }
                ref kind => strike.fault = Some(kind.clone()),
            }
        }
    }
}

impl Rule {
    /// The count comes last: a call that is spared must not use it up.
    fn strikes(&self, call: Call<'_>, elapsed_ms: u64, chance: impl FnOnce() -> f64) -> bool {
        self.fault.may_strike(call.endpoint, elapsed_ms)
            && self.fault.when.probability.is_none_or(|share| chance() < share)
            && self.left.as_ref().is_none_or(|left| {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            })
    }
}

/// `DefaultHasher::new` has fixed keys, so the same seed strikes the same calls of the same users in every run.
fn chance(seed: u64, call: Call<'_>, rule: usize) -> f64 {
    let mut hasher = DefaultHasher::new();
    (seed, call.endpoint, call.user, call.number, rule).hash(&mut hasher);
    let upper = u32::try_from(scatter(hasher.finish()) >> 32).unwrap_or_default();
    f64::from(upper) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(user: &str, number: u64) -> Call<'_> {
        Call { endpoint: Endpoint::Refresh, user: Some(user), number }
    }

    fn struck(seed: u64) -> Vec<bool> {
        let faults = Faults::new(seed);
        faults.set(vec![Fault::new(FaultKind::Reset {}).with_probability(0.3)]);
        (0..2000).map(|number| faults.strike(call("ann", number)).fault.is_some()).collect()
    }

    #[test]
    fn the_seed_decides_whom_a_probability_strikes() {
        assert_eq!(struck(5), struck(5));
        assert_ne!(struck(5), struck(6));
        let hits = struck(5).iter().filter(|hit| **hit).count();
        assert!((500..700).contains(&hits), "{hits} of 2000 at 0.3");
    }

    #[test]
    fn a_count_is_used_up_and_only_by_calls_it_strikes() {
        let faults = Faults::new(1);
        faults.set(vec![Fault::new(FaultKind::Reset {}).times(2)]);
        let api = Call { endpoint: Endpoint::Api, user: None, number: 1 };
        assert_eq!(faults.strike(api).fault, None);
        let strikes: Vec<_> = (0..3).map(|number| faults.strike(call("ann", number)).fault.is_some()).collect();
        assert_eq!(strikes, [true, true, false]);
        assert_eq!(faults.current()[0].when.count, Some(0));
    }

    #[test]
    fn a_users_own_fault_comes_before_everybodys_and_latencies_add_up() {
        let faults = Faults::new(1);
        let late = |ms| Fault::new(FaultKind::Latency { ms, jitter_ms: 0 });
        faults.set(vec![Fault::new(FaultKind::Reset {}).times(1), late(20)]);
        faults.set_for("ann", vec![late(10), Fault::new(FaultKind::HtmlOk {})]);
        let strike = faults.strike(call("ann", 1));
        assert_eq!(strike, Strike { latency: Duration::from_millis(30), fault: Some(FaultKind::HtmlOk {}) });
        assert_eq!(faults.strike(call("bob", 1)).fault, Some(FaultKind::Reset {}), "ann did not use up the count");
        faults.set_for("ann", Vec::new());
        assert!(faults.current_for("ann").is_empty());
    }
}
