//! Counting: what the simulator has answered, and how long it took.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{grants::Grants, lock::lock};

/// What the simulator has seen since it started.
#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    /// Seconds since the start.
    pub uptime_secs: f64,
    /// Grants made.
    pub grants: u64,
    /// Of these, the ones that have not ended.
    pub live: u64,
    /// Calls to the token endpoint.
    pub token_calls: u64,
    /// Calls to the Ads and AMC API, the profile and the token info.
    pub api_calls: u64,
    /// Refreshes that took effect, delivered or not.
    pub refreshes: u64,
    /// How calls to the token endpoint ended.
    pub token_outcomes: BTreeMap<&'static str, u64>,
    /// How calls to the API ended: `ok`, or the status.
    pub api_outcomes: BTreeMap<&'static str, u64>,
    /// How often each kind of fault struck.
    pub faults: BTreeMap<&'static str, u64>,
    /// See [`Counts::spent_twice`](crate::Counts::spent_twice).
    pub spent_twice: u64,
    /// See [`Counts::after_lost_reply`](crate::Counts::after_lost_reply).
    pub after_lost_reply: u64,
    /// See [`Counts::lost_replies`](crate::Counts::lost_replies).
    pub lost_replies: u64,
    /// See [`Counts::calls_after_end`](crate::Counts::calls_after_end).
    pub calls_after_end: u64,
    /// See [`Counts::expired_uses`](crate::Counts::expired_uses).
    pub expired_uses: u64,
    /// The most calls with refresh tokens of one grant that were under way at one time.
    pub max_concurrent_refreshes: u32,
    /// Grants of which the ledger holds something suspicious.
    pub suspicious: u64,
    /// From a token call's arrival until its answer was ready to be written, scripted waits included.
    pub token_latency: Latency,
}

/// How long calls took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// The mean.
    pub mean_ms: f64,
    /// Half took at most this long; within a quarter of the true value, as the other shares are.
    pub p50_ms: f64,
    /// 95 of 100 took at most this long.
    pub p95_ms: f64,
    /// 99 of 100 took at most this long.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// The counters behind [`Stats`].
pub(crate) struct Counters {
    started: Instant,
    token_outcomes: Tally,
    api_outcomes: Tally,
    faults: Tally,
    histogram: Histogram,
}

/// Counts by name. There are about ten names, so looking for one costs less than hashing it.
#[derive(Default)]
struct Tally(Mutex<Vec<(&'static str, u64)>>);

impl Tally {
    fn add(&self, name: &'static str) {
        let mut counts = lock(&self.0);
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }

    fn read(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.0).iter().copied().collect()
    }
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            token_outcomes: Tally::default(),
            api_outcomes: Tally::default(),
            faults: Tally::default(),
            histogram: Histogram::default(),
        }
    }

    pub(crate) fn token_call(&self, outcome: &'static str, took: Duration) {
        self.token_outcomes.add(outcome);
        self.histogram.add(took);
    }

    pub(crate) fn api_call(&self, outcome: &'static str) {
        self.api_outcomes.add(outcome);
    }

    pub(crate) fn fault(&self, kind: &'static str) {
        self.faults.add(kind);
    }

    pub(crate) fn stats(&self, grants: &Grants) -> Stats {
        let (token_outcomes, api_outcomes) = (self.token_outcomes.read(), self.api_outcomes.read());
        let mut stats = Stats {
            uptime_secs: self.started.elapsed().as_secs_f64(),
            grants: 0,
            live: 0,
            token_calls: token_outcomes.values().sum(),
            api_calls: api_outcomes.values().sum(),
            refreshes: 0,
            token_outcomes,
            api_outcomes,
            faults: self.faults.read(),
            spent_twice: 0,
            after_lost_reply: 0,
            lost_replies: 0,
            calls_after_end: 0,
            expired_uses: 0,
            max_concurrent_refreshes: 0,
            suspicious: 0,
            token_latency: self.histogram.read(),
        };
        grants.for_each(|_, grant| {
            let counts = grant.counts();
            stats.grants += 1;
            stats.live += u64::from(grant.is_live());
            stats.refreshes += counts.refreshes;
            stats.spent_twice += u64::from(counts.spent_twice);
            stats.after_lost_reply += u64::from(counts.after_lost_reply);
            stats.lost_replies += u64::from(counts.lost_replies);
            stats.calls_after_end += u64::from(counts.calls_after_end);
            stats.expired_uses += u64::from(counts.expired_uses);
            stats.max_concurrent_refreshes = stats.max_concurrent_refreshes.max(counts.concurrent_refreshes);
            stats.suspicious += u64::from(counts.is_suspicious());
        });
        stats
    }
}

/// Four buckets for every power of two of microseconds.
struct Histogram {
    buckets: Vec<AtomicU64>,
    sum_us: AtomicU64,
    max_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        let buckets = (0..=bucket_of(u64::MAX)).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, sum_us: AtomicU64::new(0), max_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(us)].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
        self.max_us.fetch_max(us, Ordering::Relaxed);
    }

    fn read(&self) -> Latency {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        if count == 0 {
            return Latency::default();
        }
        let max_us = self.max_us.load(Ordering::Relaxed);
        let percentile = |percent: u64| {
            let mut below = 0;
            let index = counts.iter().position(|bucket| {
                below += bucket;
                below * 100 >= count * percent
            });
            ms(index.map_or(max_us, |index| upper_bound_us(index).min(max_us)))
        };
        Latency {
            count,
            mean_ms: ms(self.sum_us.load(Ordering::Relaxed) / count),
            p50_ms: percentile(50),
            p95_ms: percentile(95),
            p99_ms: percentile(99),
            max_ms: ms(max_us),
        }
    }
}

/// The two bits after the leading one choose the bucket within a power of two.
fn bucket_of(us: u64) -> usize {
    let us = us.max(4);
    let power = us.ilog2();
    let quarter = us >> (power - 2) & 3;
    usize::try_from(u64::from(power - 2) * 4 + quarter).unwrap_or_default()
}

fn upper_bound_us(bucket: usize) -> u64 {
    let (power, quarter) = (bucket / 4, bucket as u64 % 4);
    ((4 + quarter + 1) << power) - 1
}

fn ms(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_lies_under_its_bound() {
        for us in [4, 5, 7, 8, 100, 1_000, 123_456, 60_000_000] {
            let bucket = bucket_of(us);
            assert!(us <= upper_bound_us(bucket), "{us}");
            assert!(bucket == 0 || us > upper_bound_us(bucket - 1), "{us}");
        }
    }

    #[test]
    fn percentiles_are_within_a_quarter() {
        let histogram = Histogram::default();
        (1..=1000).for_each(|n| histogram.add(Duration::from_millis(n)));
        let latency = histogram.read();
        assert_eq!((latency.count, latency.max_ms), (1000, 1000.0));
        assert!((500.0..=625.0).contains(&latency.p50_ms), "{latency:?}");
        assert!((990.0..=1000.0).contains(&latency.p99_ms), "{latency:?}");
    }
}
