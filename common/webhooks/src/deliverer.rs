//! Delivers what is due. Every worker runs one; a claim keeps them out of each other's way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::ids::EndpointId;
use evergrant_contract::ports::{Chance, Clock, Store, StoreError};
use evergrant_contract::timing::{after, before, to_millis, until};
use evergrant_contract::webhook::{ClaimedDelivery, DeliveryOutcome, DeliveryReport, Reported};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::DeliverySettings;
use crate::retries::pause;
use crate::sender::{Answered, Sender};

/// Claimed at a time, so that no endpoint takes all the room at once.
const CLAIMED_AT_ONCE: u32 = 4;
/// Tries of one endpoint under way at once: one that hangs must not keep the others waiting.
const PER_ENDPOINT: usize = 4;
/// A claim outlasts the try by this, for the report.
const REPORT_BUDGET: Duration = Duration::from_secs(15);
/// The pause after a look that failed.
const TROUBLED: Duration = Duration::from_secs(5);
/// Between two looks at how much there is.
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// Delivers what is due, until told to stop.
pub struct Deliverer {
    store: Arc<dyn Store>,
    sender: Arc<Sender>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    settings: DeliverySettings,
    tries: JoinSet<EndpointId>,
    busy: BTreeMap<EndpointId, usize>,
    counted_at: Option<Duration>,
}

impl Deliverer {
    /// A deliverer of what this store has.
    pub fn new(
        store: Arc<dyn Store>,
        sender: Arc<Sender>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        settings: DeliverySettings,
    ) -> Self {
        let (tries, busy) = (JoinSet::new(), BTreeMap::new());
        Self { store, sender, clock, chance, settings, tries, busy, counted_at: None }
    }

    /// Runs until `stop`, then finishes the tries in hand. Whatever is cut off is tried again when its claim lapses.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let nap = match self.look().await {
                Ok(true) => Duration::ZERO,
                Ok(false) => self.settings.look_every,
                Err(error) => {
                    warn!(%error, "Webhooks that are due cannot be read");
                    TROUBLED
                }
            };
            self.count_if_time().await;
            let is_full = self.room() == 0;
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = self.tries.join_next(), if !self.tries.is_empty() => self.end(ended.ok()),
                () = self.clock.sleep(nap), if !is_full => {}
            }
        }
        self.finish().await;
    }

    /// Waits for the tries in hand.
    pub async fn finish(&mut self) {
        while let Some(ended) = self.tries.join_next().await {
            self.end(ended.ok());
        }
    }

    /// Begins what is due, as far as there is room. `true`: there may be more.
    pub async fn look(&mut self) -> Result<bool, StoreError> {
        let limit = self.room().min(CLAIMED_AT_ONCE);
        if limit == 0 {
            return Ok(false);
        }
        let except: Vec<_> =
            self.busy.iter().filter(|(_, tries)| **tries >= PER_ENDPOINT).map(|(endpoint, _)| *endpoint).collect();
        let ttl = self.settings.timeout + REPORT_BUDGET;
        let claimed = self.store.claim_deliveries(self.clock.now(), ttl, &except, limit).await?;
        let is_more = !claimed.is_empty();
        for delivery in claimed {
            *self.busy.entry(delivery.endpoint).or_default() += 1;
            let one = Try {
                store: Arc::clone(&self.store),
                sender: Arc::clone(&self.sender),
                clock: Arc::clone(&self.clock),
                chance: self.chance.roll(),
                disable_after: self.settings.disable_after,
            };
            self.tries.spawn(one.run(delivery));
        }
        Ok(is_more)
    }

    fn room(&self) -> u32 {
        self.settings.concurrency.saturating_sub(u32::try_from(self.tries.len()).unwrap_or(u32::MAX))
    }

    fn end(&mut self, endpoint: Option<EndpointId>) {
        match endpoint {
            Some(endpoint) => {
                let left = self.busy.get(&endpoint).map_or(0, |tries| tries.saturating_sub(1));
                if left == 0 {
                    self.busy.remove(&endpoint)
                } else {
                    self.busy.insert(endpoint, left)
                };
            }
            // One panicked, and does not say of which endpoint it was: what is counted of the others is no longer sure.
            None => self.busy.clear(),
        }
    }

    async fn count_if_time(&mut self) {
        let now = self.clock.monotonic();
        if self.counted_at.is_some_and(|at| now < at + COUNT_EVERY) {
            return;
        }
        self.counted_at = Some(now);
        if let Ok(backlog) = self.store.delivery_backlog().await {
            let age = backlog.oldest_at.map_or(Duration::ZERO, |at| until(at, self.clock.now()));
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; nobody counts 2^53 deliveries")]
            metrics::gauge!("evergrant_webhook_pending").set(backlog.pending as f64);
            metrics::gauge!("evergrant_webhook_oldest_seconds").set(age.as_secs_f64());
        }
    }
}

/// One try.
struct Try {
    store: Arc<dyn Store>,
    sender: Arc<Sender>,
    clock: Arc<dyn Clock>,
    chance: f64,
    disable_after: Duration,
}

impl Try {
    async fn run(self, delivery: ClaimedDelivery) -> EndpointId {
        let answered = self.sender.send(&delivery.url, delivery.secrets.as_ref(), &delivery.message).await;
        let (endpoint, message) = (delivery.endpoint, delivery.message.id);
        let outcome = outcome(&answered, delivery.attempt, self.chance, self.clock.now());
        let report = DeliveryReport {
            message,
            endpoint,
            attempt: delivery.attempt,
            hopeless_since: before(self.clock.now(), self.disable_after),
            result: answered.attempt,
            outcome,
        };
        match self.store.report_delivery(&report).await {
            Ok(Reported::Written(disabled)) => {
                count(word(outcome));
                if let Some(reason) = disabled {
                    let status = report.result.status;
                    warn!(%endpoint, %reason, status, "A webhook endpoint was disabled; nothing is sent there until it is enabled");
                } else if outcome == DeliveryOutcome::GaveUp {
                    warn!(%endpoint, webhook = %message, attempts = report.attempt, "A webhook was given up; it can be replayed");
                }
            }
            Ok(Reported::Lost) => count("lost"),
            Err(error) => {
                count("lost");
                info!(%endpoint, webhook = %message, %error, "What came of a webhook could not be stored; it will be sent again");
            }
        }
        endpoint
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("evergrant_webhook_deliveries_total", "outcome" => outcome).increment(1);
}

const fn word(outcome: DeliveryOutcome) -> &'static str {
    match outcome {
        DeliveryOutcome::Delivered => "delivered",
        DeliveryOutcome::Retry(_) => "retry",
        DeliveryOutcome::GaveUp => "gave_up",
        DeliveryOutcome::Gone => "gone",
    }
}

/// What becomes of a delivery after this answer to that many tries.
fn outcome(answered: &Answered, attempts: u32, chance: f64, now: Timestamp) -> DeliveryOutcome {
    match pause(attempts, chance) {
        _ if answered.is_delivered => DeliveryOutcome::Delivered,
        _ if answered.is_gone => DeliveryOutcome::Gone,
        Some(pause) => DeliveryOutcome::Retry(to_millis(after(now, pause))),
        None => DeliveryOutcome::GaveUp,
    }
}
