//! What this process did for whom, stored every minute.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ports::{Clock, Store, StoreError};
use evergrant_contract::usage::{DayUse, Meter, Reading};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Between two writes.
const STORE_EVERY: Duration = Duration::from_mins(1);
/// The last write of a process that ends waits no longer for the store.
const LAST_WRITE: Duration = Duration::from_secs(2);
/// Users and connections that are remembered while the store is away; then what was counted is dropped.
const OWED_MAX: usize = 500_000;
/// Between two looks for days that are past keeping, in writes.
const FORGET_EVERY: u32 = 24 * 60;

/// Stores what a [`Meter`] counts.
pub struct UsageKeeper {
    /// Counts.
    pub meter: Arc<Meter>,
    /// Where it is added up.
    pub store: Arc<dyn Store>,
    /// Days that are kept.
    pub keep_days: u32,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl UsageKeeper {
    /// Stores every minute until `stop`, and then once more.
    pub async fn run(self, stop: CancellationToken) {
        let mut is_away = false;
        for round in 0_u32.. {
            if stop.run_until_cancelled(self.clock.sleep(STORE_EVERY)).await.is_none() {
                break;
            }
            self.store(&mut is_away).await;
            if round % FORGET_EVERY == 0 {
                self.forget().await;
            }
        }
        let _ = tokio::time::timeout(LAST_WRITE, self.store(&mut is_away)).await;
    }

    async fn store(&self, is_away: &mut bool) {
        let reading = self.meter.take();
        match self.add(&reading).await {
            Ok(()) => *is_away = false,
            Err(error) => {
                if !std::mem::replace(is_away, true) {
                    warn!(%error, "What was done for whom cannot be stored yet; it is stored later");
                }
                if reading.counts.len() + reading.used.len() <= OWED_MAX {
                    self.meter.give_back(reading);
                }
            }
        }
    }

    /// A write whose confirmation was lost is counted twice: these are statistics.
    async fn add(&self, reading: &Reading) -> Result<(), StoreError> {
        let uses: Vec<_> = reading.used.iter().map(|(id, at)| (*id, *at)).collect();
        self.store.note_used(&uses).await?;
        let days: Vec<_> = reading
            .counts
            .iter()
            .map(|((day, provider, user), counts)| DayUse {
                day: *day,
                provider: provider.clone(),
                user: user.clone(),
                counts: *counts,
            })
            .collect();
        self.store.add_usage(&days).await
    }

    async fn forget(&self) {
        let before = self.clock.now().date_naive() - chrono::Days::new(u64::from(self.keep_days));
        // Whatever is not forgotten now is forgotten by the next look, of this process or another.
        let _ = self.store.forget_usage_before(before).await;
    }
}

#[cfg(test)]
mod tests {
    use evergrant_contract::Timestamp;
    use evergrant_contract::ids::{ConnectionId, ProviderName, UserId};
    use evergrant_contract::ports::Usage as _;
    use evergrant_contract::usage::Counts;
    use evergrant_testkit::{ManualClock, MemoryStore};

    use super::*;

    struct Bench {
        clock: Arc<ManualClock>,
        store: Arc<MemoryStore>,
        meter: Arc<Meter>,
        stop: CancellationToken,
        keeper: tokio::task::JoinHandle<()>,
    }

    impl Bench {
        fn start() -> Self {
            let (clock, meter, stop) = (ManualClock::new(), Arc::new(Meter::default()), CancellationToken::new());
            let store = MemoryStore::new(clock.clone());
            let keeper = UsageKeeper {
                meter: Arc::clone(&meter),
                store: Arc::clone(&store) as _,
                keep_days: 2,
                clock: Arc::clone(&clock) as _,
            };
            let keeper = tokio::spawn(keeper.run(stop.clone()));
            Self { clock, store, meter, stop, keeper }
        }

        fn one_call(&self) {
            let (provider, user): (ProviderName, UserId) = ("amazon-na".parse().unwrap(), "ada".parse().unwrap());
            self.meter.used(self.clock.now(), ConnectionId::generate(), &provider, &user);
        }

        async fn minutes(&self, minutes: u32) {
            self.clock.until_asleep(1).await;
            self.clock.advance(Duration::from_mins(1) * minutes).await;
            self.clock.until_asleep(1).await;
        }

        async fn calls(&self) -> Vec<u64> {
            let (first, last) = (Timestamp::UNIX_EPOCH.date_naive(), self.clock.now().date_naive());
            let days = self.store.usage_by_day(first, last, None).await.unwrap();
            days.into_iter().map(|day| day.counts.calls).collect()
        }
    }

    #[tokio::test]
    async fn what_was_counted_is_stored_every_minute_and_at_the_end() {
        let bench = Bench::start();
        bench.one_call();
        bench.minutes(1).await;
        assert_eq!(bench.calls().await, [1]);
        bench.one_call();
        bench.one_call();
        bench.stop.cancel();
        bench.keeper.await.unwrap();
        let (first, last) = (Timestamp::UNIX_EPOCH.date_naive(), bench.clock.now().date_naive());
        let days = bench.store.usage_by_day(first, last, None).await.unwrap();
        assert_eq!(days[0].counts, Counts { calls: 3, ..Counts::default() });
    }

    #[tokio::test]
    async fn a_store_that_is_away_gets_it_later() {
        let bench = Bench::start();
        bench.one_call();
        bench.store.set_down(true);
        bench.minutes(1).await;
        bench.store.set_down(false);
        bench.one_call();
        bench.minutes(1).await;
        assert_eq!(bench.calls().await, [2]);
    }

    #[tokio::test]
    async fn old_days_are_forgotten() {
        let bench = Bench::start();
        let today = bench.clock.now().date_naive();
        let (provider, user): (ProviderName, UserId) = ("amazon-na".parse().unwrap(), "ada".parse().unwrap());
        let on = |days| DayUse {
            day: today - chrono::Days::new(days),
            provider: provider.clone(),
            user: user.clone(),
            counts: Counts { calls: days, ..Counts::default() },
        };
        bench.store.add_usage(&[on(1), on(2), on(3), on(9)]).await.unwrap();
        bench.minutes(1).await;
        assert_eq!(bench.calls().await, [2, 1]);
    }
}
