//! The write that must not be lost: retried until the store has it, spooled when the process has to end first.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use evergrant_contract::connection::{Settled, Settlement};
use evergrant_contract::ports::{Clock, Leases, Spool, StoreError};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Waits between calls of a store that is away: short, since a lapsed lease is contested only for so long.
pub(crate) fn store_pauses() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_jitter()
        .without_max_times()
        .build()
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The store answered.
    Stored(Settled),
    /// The process ends before the store came back. Secrets are in the spool; the rest is found again from the row.
    PutOff,
}

/// Writes settlements.
pub(crate) struct Writer {
    pub(crate) leases: Arc<dyn Leases>,
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The process cannot wait any longer.
    pub(crate) abort: CancellationToken,
}

impl Writer {
    /// Writes, however long the store takes to come back.
    pub(crate) async fn write(&self, settlement: Settlement) -> Written {
        let connection = settlement.lease.connection;
        let mut pauses = store_pauses();
        let mut waited = false;
        loop {
            match self.leases.settle(settlement.clone()).await {
                Ok(settled) => {
                    if waited {
                        info!(%connection, "The store is back and has the result that was held for it");
                    }
                    return Written::Stored(settled);
                }
                Err(error) if error.is_transient() => {
                    if !waited {
                        warn!(%connection, %error, "The store is away: the result is held until it is back");
                    }
                    waited = true;
                }
                Err(error) => {
                    error!(%connection, %error, "The store refuses a result; it is kept in the spool");
                    return self.put_off(&settlement).await;
                }
            }
            let pause = pauses.next().unwrap_or(Duration::from_secs(1));
            tokio::select! {
                () = self.abort.cancelled() => return self.put_off(&settlement).await,
                () = self.clock.sleep(pause) => {}
            }
        }
    }

    async fn put_off(&self, settlement: &Settlement) -> Written {
        let connection = settlement.lease.connection;
        if settlement.tokens.is_some() || settlement.unread_answer.is_some() {
            let fate = match self.spool.keep(settlement).await {
                Ok(()) => {
                    warn!(%connection, "A result that could not be stored waits, encrypted, in the spool");
                    "spooled"
                }
                Err(error) => {
                    error!(%connection, %error, "A result could be neither stored nor spooled and is lost");
                    "lost"
                }
            };
            metrics::counter!("evergrant_results_put_off_total", "fate" => fate).increment(1);
        }
        Written::PutOff
    }

    /// Stores what an earlier process had to leave in the spool. Returns when the spool is empty, or at `stop`.
    pub(crate) async fn adopt_spooled(&self, stop: &CancellationToken) {
        for pause in store_pauses() {
            match self.adopt_once().await {
                Ok(0) => return,
                Ok(left) => warn!(left, "Results in the spool wait for the store"),
                Err(error) => warn!(%error, "The spool cannot be read"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(pause) => {}
            }
        }
    }

    /// One pass over the spool: how many are left.
    async fn adopt_once(&self) -> Result<usize, StoreError> {
        let mut left = 0;
        for (name, settlement) in self.spool.kept().await? {
            let connection = settlement.lease.connection;
            match self.leases.settle(settlement).await {
                Ok(Settled::Written(_)) => info!(%connection, "A result from the spool is stored"),
                Ok(Settled::Lost) => info!(%connection, "A result in the spool is obsolete: the row has moved on"),
                Err(error) if error.is_transient() => {
                    left += 1;
                    continue;
                }
                Err(error) => {
                    error!(%connection, %error, "The store refuses a result from the spool; it stays there");
                    continue;
                }
            }
            self.spool.forget(&name).await?;
        }
        Ok(left)
    }
}
