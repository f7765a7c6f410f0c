//! What this process did, minute by minute, added to what all processes together did: the charts of operators.
//!
//! The numbers are those of `/metrics`, read as text and compared with the look before. So nothing is counted twice in the
//! code, and no worker waits for a chart.

mod scrape;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::job::JobKind;
use evergrant_contract::operations::{Series, Tally};
use evergrant_contract::ports::{Clock, JobQueue, Store};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use scrape::{Counts, Part, counts, since};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// The last look of a process that ends waits no longer for the store.
const LAST_LOOK: Duration = Duration::from_secs(2);
/// Due connections of a provider app are counted no further.
const DUE_MAX: u32 = 1_000_000;
/// Tallies that are kept while the store is away; then the oldest minutes go.
const OWED_MAX: usize = 20_000;

/// Adds up what this process did.
pub struct Activity {
    /// Where it is added up.
    pub store: Arc<dyn Store>,
    /// The jobs that wait are counted by processes that schedule: the others would only ask the same again.
    pub queue: Option<Arc<dyn JobQueue>>,
    /// The configured provider apps.
    pub providers: Vec<ProviderName>,
    /// Renders the metrics of this process.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What was seen and what is not stored yet.
#[derive(Default)]
struct Ledger {
    seen: Counts,
    owed: BTreeMap<(Timestamp, Part), u64>,
    levels_of: Option<Timestamp>,
    is_away: bool,
}

impl Activity {
    /// Looks every few seconds until `stop`, and then once more.
    pub async fn run(self, stop: CancellationToken) {
        let mut ledger = Ledger::default();
        while stop.run_until_cancelled(self.clock.sleep(LOOK_EVERY)).await.is_some() {
            self.look(&mut ledger).await;
        }
        let _ = tokio::time::timeout(LAST_LOOK, self.look(&mut ledger)).await;
    }

    async fn look(&self, ledger: &mut Ledger) {
        let minute = minute(self.clock.now());
        let now = counts(&(self.metrics)());
        for (part, count) in since(&ledger.seen, &now) {
            ledger.owe(minute, part, count);
        }
        ledger.seen = now;
        if let Some(queue) = &self.queue
            && ledger.levels_of != Some(minute)
        {
            // Once a minute: counting what is due costs the store something.
            ledger.levels_of = Some(minute);
            for (part, level) in self.levels(queue.as_ref()).await {
                ledger.owe(minute, part, level);
            }
        }
        self.store(ledger).await;
    }

    /// Counted in the index that the scheduler looks at, as far as a chart needs.
    async fn due(&self, now: Timestamp) -> Option<u64> {
        let mut due = 0;
        for provider in &self.providers {
            due += self.store.backlog(provider, now, DUE_MAX).await.ok()?.due;
        }
        Some(due)
    }

    /// What cannot be asked now is not known for this minute.
    async fn levels(&self, queue: &dyn JobQueue) -> Vec<(Part, u64)> {
        let now = self.clock.now();
        let mut levels = Vec::new();
        if let Some(due) = self.due(now).await {
            levels.push((Part::whole(Series::Due), due));
        }
        for kind in JobKind::ALL {
            if let Ok(depth) = queue.depth(*kind).await {
                levels.push((Part::of(Series::QueueDepth, kind.as_str()), depth));
            }
        }
        levels
    }

    /// What is not taken now is added next time. A write whose confirmation was lost is counted twice: these are charts.
    async fn store(&self, ledger: &mut Ledger) {
        if ledger.owed.is_empty() {
            return;
        }
        let tallies = ledger.tallies();
        match self.store.add_activity(&tallies).await {
            Ok(()) => {
                ledger.owed.clear();
                ledger.is_away = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut ledger.is_away, true) {
                    warn!(%error, "What happened cannot be added to the charts yet; it is added later");
                }
                ledger.bound();
            }
        }
    }
}

impl Ledger {
    fn owe(&mut self, minute: Timestamp, part: Part, count: u64) {
        let is_level = part.series.is_level();
        let owed = self.owed.entry((minute, part)).or_default();
        *owed = if is_level { count.max(*owed) } else { owed.saturating_add(count) };
    }

    fn tallies(&self) -> Vec<Tally> {
        let tally = |((minute, part), count): (&(Timestamp, Part), &u64)| Tally {
            minute: *minute,
            series: part.series,
            provider: part.provider.clone(),
            label: part.label.clone(),
            count: *count,
        };
        self.owed.iter().map(tally).collect()
    }

    /// Forgets the oldest minutes.
    fn bound(&mut self) {
        while self.owed.len() > OWED_MAX {
            self.owed.pop_first();
        }
    }
}

impl Part {
    fn whole(series: Series) -> Self {
        Self::of(series, "")
    }

    fn of(series: Series, label: &str) -> Self {
        Self { series, provider: None::<ProviderName>, label: label.to_owned() }
    }
}

/// The begin of the minute.
fn minute(at: Timestamp) -> Timestamp {
    Timestamp::from_timestamp(at.timestamp().div_euclid(60) * 60, 0).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use evergrant_contract::ports::Operations as _;
    use evergrant_contract::timing::{after, before};
    use evergrant_testkit::{ManualClock, MemoryQueue, MemoryStore};

    use super::*;

    struct Bench {
        clock: Arc<ManualClock>,
        store: Arc<MemoryStore>,
        page: Arc<Mutex<String>>,
        activity: Activity,
    }

    fn bench(is_scheduler: bool) -> Bench {
        let clock = ManualClock::new();
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let (store, queue) = (MemoryStore::new(Arc::clone(&time)), MemoryQueue::new(Arc::clone(&time)));
        let page = Arc::new(Mutex::new(String::new()));
        let rendered = Arc::clone(&page);
        let activity = Activity {
            store: Arc::clone(&store) as _,
            queue: is_scheduler.then_some(queue as Arc<dyn JobQueue>),
            providers: vec!["amazon-na".parse().unwrap()],
            metrics: Box::new(move || rendered.lock().unwrap().clone()),
            clock: time,
        };
        Bench { clock, store, page, activity }
    }

    impl Bench {
        fn refreshed(&self, count: u64) {
            let line = format!("evergrant_attempts_total{{provider=\"amazon-na\",verdict=\"refreshed\"}} {count}\n");
            *self.page.lock().unwrap() = line;
        }

        async fn told(&self) -> Vec<(Series, u64)> {
            let now = self.clock.now();
            let hour = Duration::from_hours(1);
            let tallies = self.store.activity(before(now, hour), after(now, hour)).await.unwrap();
            tallies.into_iter().map(|tally| (tally.series, tally.count)).collect()
        }
    }

    #[tokio::test]
    async fn each_look_adds_what_happened_since_the_last_one() {
        let bench = bench(false);
        let mut ledger = Ledger::default();
        for count in [3, 3, 10] {
            bench.refreshed(count);
            bench.activity.look(&mut ledger).await;
        }
        assert_eq!(bench.told().await, [(Series::Attempts, 10)]);
        bench.clock.advance(Duration::from_mins(1)).await;
        bench.refreshed(12);
        bench.activity.look(&mut ledger).await;
        assert_eq!(bench.told().await, [(Series::Attempts, 10), (Series::Attempts, 2)]);
    }

    #[tokio::test]
    async fn what_the_store_did_not_take_is_added_next_time_to_its_own_minute() {
        let bench = bench(false);
        let mut ledger = Ledger::default();
        bench.store.set_down(true);
        bench.refreshed(3);
        bench.activity.look(&mut ledger).await;
        bench.clock.advance(Duration::from_mins(1)).await;
        bench.refreshed(5);
        bench.activity.look(&mut ledger).await;
        bench.store.set_down(false);
        assert_eq!(bench.told().await, []);
        bench.activity.look(&mut ledger).await;
        assert_eq!(bench.told().await, [(Series::Attempts, 3), (Series::Attempts, 2)]);
        assert!(ledger.owed.is_empty());
    }

    #[tokio::test]
    async fn what_is_owed_is_bounded_and_the_oldest_goes_first() {
        let bench = bench(false);
        let mut ledger = Ledger::default();
        let start = minute(bench.clock.now());
        for at in 0..=OWED_MAX as u64 {
            ledger.owe(after(start, Duration::from_mins(at)), Part::whole(Series::Attempts), 1);
        }
        ledger.bound();
        assert_eq!(ledger.owed.len(), OWED_MAX);
        assert_eq!(ledger.owed.keys().next().unwrap().0, after(start, Duration::from_mins(1)));
    }

    #[tokio::test]
    async fn whoever_schedules_tells_what_is_due_and_what_waits_once_a_minute() {
        let bench = bench(true);
        let mut ledger = Ledger::default();
        bench.activity.look(&mut ledger).await;
        let expected = [(Series::Due, 0), (Series::QueueDepth, 0), (Series::QueueDepth, 0)];
        assert_eq!(bench.told().await, expected);
        bench.activity.look(&mut ledger).await;
        assert!(ledger.owed.is_empty());
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_told_too() {
        let bench = bench(false);
        let stop = CancellationToken::new();
        bench.refreshed(4);
        let Bench { activity, store, clock, .. } = bench;
        stop.cancel();
        activity.run(stop).await;
        let now = clock.now();
        let told = store.activity(before(now, Duration::from_hours(1)), after(now, Duration::from_hours(1))).await;
        assert_eq!(told.unwrap()[0].count, 4);
    }
}
