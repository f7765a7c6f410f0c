//! The levels of `/metrics`: what the scheduler that leads counts now and then, for all processes together.
//!
//! A scrape costs the store nothing: it shows what was counted last. Counting has a task of its own, so that it delays no look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::failed_job::{FailedJobFilter, FailedJobState};
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::{Clock, JobQueue, Store, StoreError};
use evergrant_contract::state::State;
use evergrant_contract::timing::until;
use metrics::gauge;
use tokio::sync::watch;
use tracing::debug;

/// Between two counts of what is due and of what waits in the queues: a few milliseconds of index and broker.
const LEVELS_EVERY: Duration = Duration::from_secs(15);
/// Due connections are counted no further: a tenth of a second of the index.
const DUE_MAX: u32 = 1_000_000;
/// Tokens of so many due connections are looked at, to tell how many have ended.
const EXPIRED_MAX: u32 = 10_000;
/// Open failed jobs are counted no further.
const FAILED_JOBS_MAX: u64 = 100_000;
/// The least time between two counts of all connections.
const HEADCOUNT_EVERY: Duration = Duration::from_mins(1);
/// A count of all connections that took long waits so many times as long for the next: it costs the store no more than a
/// fiftieth of one connection, however many rows there are.
const HEADCOUNT_REST: u32 = 50;
/// A count of all connections gives up after this.
const HEADCOUNT_PATIENCE: Duration = Duration::from_secs(30);
/// The label of connections whose provider app is not configured here.
const NOT_CONFIGURED: &str = "unconfigured";

/// Counts while its process leads.
pub(crate) struct Counting {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) providers: Vec<ProviderName>,
    /// Whether this process leads.
    pub(crate) leads: watch::Receiver<bool>,
}

impl Counting {
    /// Counts whenever it is time and this process leads, until dropped.
    pub(crate) async fn run(mut self) {
        // The sender is gone when the scheduler is, and this with it.
        while self.leads.wait_for(|leads| *leads).await.is_ok() {
            let mut lost = self.leads.clone();
            tokio::select! {
                () = self.count_on() => {}
                _ = lost.wait_for(|leads| !*leads) => self.forget(),
            }
        }
    }

    async fn count_on(&self) {
        let mut all_at = self.clock.monotonic();
        loop {
            self.count_levels().await;
            let began = self.clock.monotonic();
            if began >= all_at {
                self.count_connections().await;
                let took = self.clock.monotonic().saturating_sub(began);
                all_at = began + HEADCOUNT_EVERY.max(took * HEADCOUNT_REST);
            }
            self.clock.sleep(LEVELS_EVERY).await;
        }
    }

    /// What is due, what waits, and what was given up on.
    pub(crate) async fn count_levels(&self) {
        let now = self.clock.now();
        match self.count_due(now).await {
            Ok(()) => self.counted("due"),
            Err(error) => debug!(%error, "What is due cannot be counted now"),
        }
        match self.queue.levels().await {
            Ok(levels) => {
                for level in levels {
                    let queue = level.queue.as_str();
                    gauge!("evergrant_queue_depth", "queue" => queue).set(number(level.waiting));
                    gauge!("evergrant_queue_consumers", "queue" => queue).set(number(level.consumers));
                }
                self.counted("queues");
            }
            Err(error) => debug!(%error, "What waits in the queues cannot be counted now"),
        }
    }

    async fn count_due(&self, now: Timestamp) -> Result<(), StoreError> {
        for provider in &self.providers {
            let backlog = self.store.backlog(provider, now, DUE_MAX).await?;
            let expired = if backlog.due == 0 { 0 } else { self.store.expired(provider, now, EXPIRED_MAX).await? };
            let age = backlog.oldest.map(|oldest| until(oldest, now)).unwrap_or_default();
            show_due(provider, number(backlog.due), age.as_secs_f64(), number(expired));
        }
        let open = FailedJobFilter { states: vec![FailedJobState::Open], ..FailedJobFilter::default() };
        let open = self.store.count_failed_jobs(&open, FAILED_JOBS_MAX).await?;
        gauge!("evergrant_failed_jobs_open").set(number(open));
        Ok(())
    }

    /// Every connection, by provider app and state.
    pub(crate) async fn count_connections(&self) {
        let counted = match self.store.headcount(HEADCOUNT_PATIENCE).await {
            Ok(counted) => counted,
            Err(error) => return debug!(%error, "The connections cannot be counted now"),
        };
        let configured: BTreeSet<&str> = self.providers.iter().map(ProviderName::as_str).collect();
        let mut connections: BTreeMap<(&str, State), u64> = self.places().map(|place| (place, 0)).collect();
        for found in &counted {
            let name = configured.get(found.provider.as_str()).copied().unwrap_or(NOT_CONFIGURED);
            *connections.entry((name, found.state)).or_default() += found.connections;
        }
        for ((provider, state), count) in connections {
            show_connections(provider, state, number(count));
        }
        self.counted("connections");
    }

    /// Every provider app with every state that a connection may be in.
    fn places(&self) -> impl Iterator<Item = (&str, State)> {
        let names = self.providers.iter().map(ProviderName::as_str).chain([NOT_CONFIGURED]);
        names.flat_map(|name| State::ALL.iter().map(move |state| (name, *state)))
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a float exactly")]
    fn counted(&self, what: &'static str) {
        let at = self.clock.now().timestamp_millis() as f64 / 1000.0;
        gauge!("evergrant_counted_timestamp_seconds", "what" => what).set(at);
    }

    /// Another process counts from now on: what this one has counted would be counted twice.
    pub(crate) fn forget(&self) {
        for provider in &self.providers {
            show_due(provider, 0.0, 0.0, 0.0);
        }
        for (provider, state) in self.places() {
            show_connections(provider, state, 0.0);
        }
        for queue in evergrant_contract::census::QueueName::ALL {
            gauge!("evergrant_queue_depth", "queue" => queue.as_str()).set(0.0);
            gauge!("evergrant_queue_consumers", "queue" => queue.as_str()).set(0.0);
        }
        gauge!("evergrant_failed_jobs_open").set(0.0);
        for what in ["connections", "due", "queues"] {
            gauge!("evergrant_counted_timestamp_seconds", "what" => what).set(0.0);
        }
    }
}

fn show_due(provider: &ProviderName, due: f64, oldest_secs: f64, expired: f64) {
    let provider = provider.to_string();
    gauge!("evergrant_due_connections", "provider" => provider.clone()).set(due);
    gauge!("evergrant_due_oldest_seconds", "provider" => provider.clone()).set(oldest_secs);
    gauge!("evergrant_expired_connections", "provider" => provider).set(expired);
}

fn show_connections(provider: &str, state: State, count: f64) {
    gauge!("evergrant_connections", "provider" => provider.to_owned(), "state" => state.as_str()).set(count);
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 here")]
const fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use evergrant_contract::connection::{IfPresent, NewConnection};
    use evergrant_contract::ids::ProcessId;
    use evergrant_contract::ports::Connections as _;
    use evergrant_contract::secret::Secret;
    use evergrant_contract::timing::before;
    use evergrant_testkit::{ManualClock, MemoryQueue, MemoryStore};
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    struct Bench {
        clock: Arc<ManualClock>,
        store: Arc<MemoryStore>,
        queue: Arc<MemoryQueue>,
        lead: watch::Sender<bool>,
    }

    impl Bench {
        fn new() -> Self {
            let clock = ManualClock::new();
            let (store, queue) = (MemoryStore::new(Arc::clone(&clock) as _), MemoryQueue::new(Arc::clone(&clock) as _));
            Self { clock, store, queue, lead: watch::Sender::new(false) }
        }

        fn counting(&self) -> Counting {
            Counting {
                store: Arc::clone(&self.store) as _,
                queue: Arc::clone(&self.queue) as _,
                clock: Arc::clone(&self.clock) as _,
                providers: vec!["amazon-na".parse().unwrap()],
                leads: self.lead.subscribe(),
            }
        }

        /// A connection that became due so long ago, with a token that ended so long ago.
        async fn connection(&self, provider: &str, due_secs: u64, ended_secs: u64) {
            let ago = |secs| before(self.clock.now(), Duration::from_secs(secs));
            let new = NewConnection {
                user: ProcessId::generate().to_string().parse().unwrap(),
                provider: provider.parse().unwrap(),
                account: String::new(),
                label: String::new(),
                scopes: String::new(),
                access_token: Some(Secret::new("Atza|x")),
                refresh_token: Some(Secret::new("Atzr|x")),
                expires_at: Some(ago(ended_secs)),
                refresh_at: ago(due_secs),
                consent_at: None,
                refresh_expires_at: None,
            };
            self.store.put(vec![new], IfPresent::Keep).await.unwrap();
        }
    }

    /// What `/metrics` shows of what a test does.
    fn shown(test: impl AsyncFnOnce()) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        metrics::with_local_recorder(&recorder, || runtime.block_on(test()));
        recorder.handle().render()
    }

    #[track_caller]
    fn assert_shown(page: &str, lines: &[&str]) {
        for line in lines {
            assert!(page.lines().any(|shown| shown == *line), "{line} is missing in\n{page}");
        }
    }

    #[test]
    fn what_is_due_is_shown_with_its_age_and_whose_tokens_have_ended() {
        let page = shown(async || {
            let bench = Bench::new();
            bench.connection("amazon-na", 1_000, 100).await;
            bench.connection("amazon-na", 30, 0).await;
            bench.connection("elsewhere", 10, 0).await;
            bench.counting().count_levels().await;
            bench.counting().count_connections().await;
        });
        assert_shown(
            &page,
            &[
                "evergrant_due_connections{provider=\"amazon-na\"} 2",
                "evergrant_due_oldest_seconds{provider=\"amazon-na\"} 1000",
                "evergrant_expired_connections{provider=\"amazon-na\"} 2",
                "evergrant_failed_jobs_open 0",
                "evergrant_queue_depth{queue=\"dead_letters\"} 0",
                "evergrant_connections{provider=\"amazon-na\",state=\"active\"} 2",
                "evergrant_connections{provider=\"amazon-na\",state=\"failing\"} 0",
                "evergrant_connections{provider=\"unconfigured\",state=\"active\"} 1",
            ],
        );
    }

    #[test]
    fn a_process_that_leads_no_more_shows_nothing_of_what_it_counted() {
        let page = shown(async || {
            let bench = Bench::new();
            bench.connection("amazon-na", 1_000, 0).await;
            let (counting, clock) = (bench.counting(), Arc::clone(&bench.clock));
            bench.lead.send_replace(true);
            let watched = async {
                clock.until_asleep(1).await;
                bench.lead.send_replace(false);
                // The counting takes note in its own turn.
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = counting.run() => {}
                () = watched => {}
            }
        });
        assert_shown(
            &page,
            &[
                "evergrant_due_connections{provider=\"amazon-na\"} 0",
                "evergrant_connections{provider=\"amazon-na\",state=\"active\"} 0",
                "evergrant_counted_timestamp_seconds{what=\"connections\"} 0",
            ],
        );
    }

    #[test]
    fn a_store_that_is_away_leaves_what_was_counted_and_its_age_tells() {
        let page = shown(async || {
            let bench = Bench::new();
            bench.connection("amazon-na", 0, 0).await;
            bench.counting().count_levels().await;
            bench.clock.advance(Duration::from_mins(1)).await;
            bench.store.set_down(true);
            bench.counting().count_levels().await;
        });
        assert_shown(&page, &["evergrant_due_connections{provider=\"amazon-na\"} 1"]);
        let at = |what: &str| {
            let name = format!("evergrant_counted_timestamp_seconds{{what=\"{what}\"}} ");
            let line = page.lines().find_map(|line| line.strip_prefix(&name)).unwrap();
            line.parse::<f64>().unwrap()
        };
        assert!((at("queues") - at("due") - 60.0).abs() < 0.001, "{page}");
    }
}
