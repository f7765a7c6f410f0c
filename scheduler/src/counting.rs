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
