//! Tells of consents that end, before they do.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ids::ProcessId;
use evergrant_contract::ports::{Clock, Store, StoreError};
use evergrant_contract::webhook::ConsentLifetime;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Between two looks. The thresholds are days apart.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// After one that failed.
const TROUBLED: Duration = Duration::from_mins(1);
/// Told of in one commit.
const AT_ONCE: u32 = 500;
/// The office: one process looks, which saves the others the work. That each is told of once is the store's doing.
const OFFICE: &str = "webhooks";

/// Looks for consents that end. Several may run; one leads.
pub struct Expiring {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    process: ProcessId,
    lifetimes: Vec<ConsentLifetime>,
}

impl Expiring {
    /// For consents that end by themselves after these lifetimes, and those whose end a provider named.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        process: ProcessId,
        lifetimes: Vec<ConsentLifetime>,
    ) -> Self {
        Self { store, clock, process, lifetimes }
    }

    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let nap = match self.look(&stop).await {
                Ok(told) => {
                    if told > 0 {
                        info!(told, "Consents that end were told of");
                    }
                    LOOK_EVERY
                }
                Err(error) => {
                    warn!(%error, "Consents that end cannot be looked for");
                    TROUBLED
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.clock.sleep(nap) => {}
            }
        }
        if let Err(error) = self.store.resign(OFFICE, self.process).await {
            warn!(%error, "The office of telling of consents that end could not be given back; it lapses by itself");
        }
    }

    /// One look: tells of all that are to be told of now, if this process leads. How many.
    pub async fn look(&self, stop: &CancellationToken) -> Result<u64, StoreError> {
        let mut told = 0;
        // Two looks long, so that the leader of the last one leads the next.
        if !self.store.lead(OFFICE, self.process, LOOK_EVERY * 2).await? {
            return Ok(told);
        }
        while !stop.is_cancelled() {
            let some = self.store.tell_of_expiring(&self.lifetimes, self.clock.now(), AT_ONCE).await?;
            told += some;
            if some < u64::from(AT_ONCE) {
                break;
            }
        }
        Ok(told)
    }
}
