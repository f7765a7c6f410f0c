//! The day itself, second by second.
//!
//! Connections that come due in the same second and whose tokens end in the same second are alike, so they are counted, not kept
//! one by one: that is what makes a hundred million of them a matter of seconds. When each is refreshed again, how long it is
//! left alone after a failure, how fast jobs are published and how an app that was away is approached is decided by the product's
//! own functions.

#![expect(clippy::cast_precision_loss, reason = "counts of connections fit a float exactly")]

use std::collections::VecDeque;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::timing::{after, until};
use evergrant_scheduler::pace::{Pace, ramp};

use super::dice::Dice;
use super::plan::{Defaults, Plan};

/// How long an access token lives, in seconds.
pub(super) const LIFETIME: u32 = 3_600;
/// Places over which the jitter of refreshes is spread.
const JITTER_PLACES: u64 = 180;
/// Places over which the jitter of back-offs is spread.
const BACK_OFF_PLACES: u64 = 8;
/// No wait is longer: the ring of days to come has so many seconds.
const RING: usize = 8_192;
/// A second has so many looks of the scheduler.
const LOOKS: u32 = 10;

/// Connections that are alike.
#[derive(Debug, Clone, Copy)]
struct Alike {
    ends_at: u32,
    failures: u32,
    count: u64,
}

/// What a day came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Connections refreshed, in all.
    pub(super) refreshed: u64,
    /// Jobs that ended without an answer about the grant.
    pub(super) failed: u64,
    /// Probes made while the provider was away.
    pub(super) probes: u64,
    /// Refreshes in the busiest second before the outage.
    pub(super) quiet_peak: u64,
    /// Refreshes in the hour before the outage.
    pub(super) quiet_hour: u64,
    /// Tokens that ended unrefreshed before the outage.
    pub(super) quiet_expired: u64,
    /// Connections that were due at the same time, at most.
    pub(super) backlog_peak: u64,
    /// Connections whose token had ended, at the same time, at most.
    pub(super) expired_peak: u64,
    /// Refreshes in the busiest second after the outage.
    pub(super) herd_peak: u64,
    /// Seconds from the provider's return until no connection is without a token.
    pub(super) whole_after: u32,
    /// Seconds from the provider's return until nothing is due any more.
    pub(super) drained_after: u32,
    /// Refreshes in the busiest minute of the second wave, an hour after the herd, by the second.
    pub(super) echo_peak: u64,
    /// Tokens that ended unrefreshed after the herd was through.
    pub(super) late_expired: u64,
}

/// A day under way.
pub(super) struct Day {
    plan: Plan,
    dice: Dice,
    /// How long before its token ends a connection is refreshed, by its place in the jitter.
    early: Vec<u32>,
    /// How long a connection is left alone, by failures and its place in the jitter.
    waits: Vec<Vec<u32>>,
    probe_every: u32,
    now: u32,
    /// What comes due in each second to come.
    ring: Vec<Vec<Alike>>,
    due: VecDeque<Alike>,
    due_count: u64,
    /// Of those that are due, how many tokens end in each second to come.
    ending: Vec<u64>,
    expired: u64,
    pace: Pace,
    open_since: u32,
    is_open: bool,
    minute: u64,
    outcome: Outcome,
}

impl Day {
    /// The beginning: connections that were made evenly over an hour.
    pub(super) fn new(plan: Plan, defaults: &Defaults, seed: u64) -> Self {
        let lifetime = Duration::from_secs(LIFETIME.into());
        let ends_at = after(Timestamp::UNIX_EPOCH, lifetime);
        let chance = |place: u64, places: u64| (place as f64 + 0.5) / places as f64;
        let early = |place| {
            let refresh_at = defaults.margin.refresh_at(ends_at, lifetime, chance(place, JITTER_PLACES));
            seconds(until(refresh_at, ends_at))
        };
        let wait = |failures, place| seconds(defaults.back_off.wait(failures, chance(place, BACK_OFF_PLACES)));
        let mut day = Self {
            plan,
            dice: Dice::new(seed),
            early: (0..JITTER_PLACES).map(early).collect(),
            waits: (1..=12).map(|failures| (0..BACK_OFF_PLACES).map(|place| wait(failures, place)).collect()).collect(),
            probe_every: seconds(defaults.probe_every),
            now: 0,
            ring: vec![Vec::new(); RING],
            due: VecDeque::new(),
            due_count: 0,
            ending: vec![0; RING],
            expired: 0,
            pace: Pace::new(plan.per_second, Duration::ZERO),
            open_since: 0,
            is_open: true,
            minute: 0,
            outcome: Outcome::default(),
        };
        // Those that were made first are refreshed first, and so on: after a few rounds nobody can tell how it began.
        let span = u64::from(LIFETIME - day.early[0]);
        let made_before = |second| plan.connections * second / span;
        for second in 0..span {
            day.schedule_evenly(second, made_before(second + 1) - made_before(second));
        }
        day
    }

    fn schedule_evenly(&mut self, second: u64, count: u64) {
        let due_at = u32::try_from(second).unwrap_or_default();
        let ends_at = due_at + self.early[0];
        self.ring[slot(due_at)].push(Alike { ends_at, failures: 0, count });
    }

    /// Every connection there is, wherever it is.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.due_count + self.ring.iter().flatten().map(|alike| alike.count).sum::<u64>()
    }

    /// The whole day.
    pub(super) fn run(mut self) -> Outcome {
        while self.now < self.plan.length {
            self.second();
        }
        self.outcome
    }

    /// One second.
    pub(super) fn second(&mut self) {
        self.come_due();
        let allowance = self.allowance();
        let refreshed = self.refresh(allowance);
        self.take_note(refreshed);
        self.now += 1;
    }

    /// Moves what comes due now behind what is due already: the oldest is published first.
    fn come_due(&mut self) {
        let now = self.now;
        self.expired += std::mem::take(&mut self.ending[slot(now)]);
        for alike in std::mem::take(&mut self.ring[slot(now)]) {
            self.due_count += alike.count;
            if alike.ends_at <= now {
                self.expired += alike.count;
            } else {
                self.ending[slot(alike.ends_at)] += alike.count;
            }
            self.due.push_back(alike);
        }
    }

    fn is_outage(&self) -> bool {
        (self.plan.outage_at..self.plan.outage_at + self.plan.outage).contains(&self.now)
    }

    /// How many jobs may be published in this second, by the scheduler's own pace.
    fn allowance(&mut self) -> u64 {
        if self.is_outage() {
            self.is_open = false;
        }
        if !self.is_open {
            let is_turn = self.due_count > 0 && self.now.is_multiple_of(self.probe_every);
            self.outcome.probes += u64::from(is_turn);
            if self.is_outage() || !is_turn {
                return 0;
            }
            // The provider answers the probe: the app is open again.
            self.is_open = true;
            self.open_since = self.now;
        }
        let open_for = Duration::from_secs((self.now - self.open_since).into());
        let rate = if self.open_since == 0 { self.plan.per_second } else { ramp(self.plan.per_second, open_for) };
        let mut published = 0;
        for look in 1..=LOOKS {
            let at = Duration::from_secs(self.now.into()) + Duration::from_secs(1) * look / LOOKS;
            let left = self.due_count - published;
            let jobs = self.pace.allowance(at, rate).min(u32::try_from(left).unwrap_or(u32::MAX));
            self.pace.spend(jobs);
            published += u64::from(jobs);
        }
        published
    }

    /// Does so many jobs, the oldest first, and plans what comes next for each.
    fn refresh(&mut self, jobs: u64) -> u64 {
        let (mut left, mut refreshed) = (jobs, 0);
        while left > 0 {
            let Some(mut alike) = self.due.pop_front() else { break };
            let taken = alike.count.min(left);
            left -= taken;
            self.due_count -= taken;
            if alike.ends_at <= self.now {
                self.expired -= taken;
            } else {
                self.ending[slot(alike.ends_at)] -= taken;
            }
            let failed = self.dice.share(taken, self.plan.trouble_per_mille, 1_000);
            self.leave_alone(alike, failed);
            refreshed += taken - failed;
            alike.count -= taken;
            if alike.count > 0 {
                self.due.push_front(alike);
            }
        }
        // All of one second are alike from now on, whatever they were.
        self.plan_next(refreshed);
        refreshed
    }

    fn plan_next(&mut self, count: u64) {
        let ends_at = self.now + LIFETIME;
        let (each, rest) = (count / JITTER_PLACES, count % JITTER_PLACES);
        let first = self.dice.below(JITTER_PLACES);
        for place in 0..JITTER_PLACES {
            let is_extra = (place + JITTER_PLACES - first) % JITTER_PLACES < rest;
            let count = each + u64::from(is_extra);
            if count > 0 {
                let due_at = ends_at - self.early[usize::try_from(place).unwrap_or_default()];
                self.ring[slot(due_at)].push(Alike { ends_at, failures: 0, count });
            }
        }
    }

    fn leave_alone(&mut self, alike: Alike, failed: u64) {
        if failed == 0 {
            return;
        }
        self.outcome.failed += failed;
        let failures = alike.failures + 1;
        let waits = &self.waits[(failures as usize - 1).min(self.waits.len() - 1)];
        let place = usize::try_from(self.dice.below(BACK_OFF_PLACES)).unwrap_or_default();
        let due_at = self.now + waits[place].max(1);
        self.ring[slot(due_at)].push(Alike { failures, count: failed, ..alike });
    }

    fn take_note(&mut self, refreshed: u64) {
        let (now, plan, outcome) = (self.now, self.plan, &mut self.outcome);
        outcome.refreshed += refreshed;
        let back_at = plan.outage_at + plan.outage;
        if now < plan.outage_at {
            outcome.quiet_expired = outcome.quiet_expired.max(self.expired);
            // The first hours are those in which the beginning is forgotten.
            if now >= plan.outage_at / 2 {
                outcome.quiet_peak = outcome.quiet_peak.max(refreshed);
            }
            if now + LIFETIME >= plan.outage_at {
                outcome.quiet_hour += refreshed;
            }
            return;
        }
        outcome.backlog_peak = outcome.backlog_peak.max(self.due_count);
        outcome.expired_peak = outcome.expired_peak.max(self.expired);
        if now < back_at {
            return;
        }
        if outcome.whole_after == 0 && self.expired == 0 {
            outcome.whole_after = now - back_at;
        }
        if outcome.drained_after == 0 {
            outcome.herd_peak = outcome.herd_peak.max(refreshed);
            // What is published in the second in which it comes due was never waited for.
            if self.due_count < u64::from(plan.per_second) / 10 {
                outcome.drained_after = now - back_at;
            }
            return;
        }
        outcome.late_expired = outcome.late_expired.max(self.expired);
        self.minute = if now.is_multiple_of(60) { refreshed } else { self.minute + refreshed };
        if now % 60 == 59 {
            outcome.echo_peak = outcome.echo_peak.max(self.minute / 60);
        }
    }
}

fn slot(at: u32) -> usize {
    at as usize % RING
}

/// Whole seconds, as few as hold all of it.
fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::plan::PLANS;

    fn defaults() -> Defaults {
        Defaults::read().unwrap()
    }

    fn short() -> Plan {
        let quiet = 4 * 3_600;
        Plan { connections: 20_000, per_second: 20, outage_at: quiet, outage: 1_800, length: 3 * quiet, ..PLANS[0] }
    }

    #[test]
    fn nobody_is_lost_or_doubled() {
        let mut day = Day::new(short(), &defaults(), 7);
        assert_eq!(day.count(), short().connections);
        while day.now < short().length {
            day.second();
            if day.now.is_multiple_of(600) {
                assert_eq!(day.count(), short().connections, "after {} s", day.now);
            }
        }
    }

    #[test]
    fn everybody_is_refreshed_in_each_round_and_nobody_more_often() {
        let quiet = Plan { outage_at: u32::MAX / 2, outage: 0, trouble_per_mille: 0, length: 9 * 3_600, ..short() };
        let outcome = Day::new(quiet, &defaults(), 7).run();
        // Refreshed when the margin of a quarter and a tenth of that for the mean of the jitter is left.
        let every = f64::from(LIFETIME) - 900.0 * 1.1;
        let rounds = f64::from(quiet.length) / every;
        let each = outcome.refreshed as f64 / quiet.connections as f64;
        assert!((each - rounds).abs() < 0.05, "{each} refreshes each in {rounds} rounds");
        assert_eq!((outcome.quiet_expired, outcome.failed), (0, 0));
    }

    #[test]
    fn a_seed_is_a_day() {
        let day = |seed| Day::new(short(), &defaults(), seed).run();
        assert_eq!(day(7), day(7));
        assert_ne!(day(7), day(8));
    }

    #[test]
    fn an_outage_is_recovered_from_within_the_rate() {
        let plan = short();
        let outcome = Day::new(plan, &defaults(), 7).run();
        assert_eq!(outcome.quiet_expired, 0);
        assert!(outcome.backlog_peak > plan.connections / 2, "{outcome:?}");
        assert!(outcome.expired_peak > 0, "{outcome:?}");
        assert!(outcome.herd_peak <= u64::from(plan.per_second) + 1, "{outcome:?}");
        assert!(outcome.drained_after >= outcome.whole_after && outcome.whole_after > 0, "{outcome:?}");
        assert_eq!(outcome.late_expired, 0, "the second wave finds its tokens good: {outcome:?}");
    }

    #[test]
    fn a_probe_is_all_that_an_outage_costs() {
        let plan = short();
        let outcome = Day::new(Plan { trouble_per_mille: 0, ..plan }, &defaults(), 7).run();
        assert_eq!(outcome.failed, 0, "no connection backs off because its provider was away");
        assert!(outcome.probes.abs_diff(u64::from(plan.outage) / 10) <= 1, "{outcome:?}");
    }

    #[test]
    fn a_rate_below_what_is_due_never_catches_up() {
        let starved = Plan { per_second: 5, ..short() };
        let outcome = Day::new(starved, &defaults(), 7).run();
        assert!(outcome.quiet_expired > 0, "the simulation would notice: {outcome:?}");
    }
}
