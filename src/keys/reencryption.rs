//! Rows that are encrypted again under the key that encrypts now, gently, beside everything that refreshes.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ids::{ConnectionId, ProcessId, Version};
use evergrant_contract::keys::{Resealed, SealedRow};
use evergrant_contract::ports::{Clock, Store, StoreError};
use evergrant_vault::Keyring;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

/// Rows that are read, and written in one statement, at a time: short enough that nobody waits for their locks.
const BATCH: u32 = 100;
/// Between two looks for something to do.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// One process of the cluster does it. It says so again for each batch.
const OFFICE: &str = "keys";
const OFFICE_TTL: Duration = Duration::from_mins(1);
/// Two walks in the foreground: rows that somebody had in hand are free again by then.
const SECOND_LOOK: Duration = Duration::from_millis(200);

/// Encrypts rows again. Stopping it loses nothing: the rows say what is left.
pub struct Reencryption {
    /// The rows.
    pub store: Arc<dyn Store>,
    /// What opens them, and what they come under.
    pub keyring: Arc<Keyring>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Rows in a second, at most.
    pub per_second: u32,
}

/// Why a walk ended before its end.
enum Ended {
    Store(StoreError),
    Stopped,
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Reencryption {
    /// Encrypts again whatever there is, until `stop`, if this process is the one whose turn it is.
    pub async fn run(self, process: ProcessId, stop: CancellationToken) {
        let mut is_at_it = false;
        while !stop.is_cancelled() {
            match self.look(process, &stop, &mut is_at_it).await {
                Ok(()) | Err(Ended::Stopped) => {}
                Err(Ended::Store(error)) => {
                    warn!(%error, "Rows cannot be encrypted again for now; it is tried again");
                }
            }
            stop.run_until_cancelled(self.clock.sleep(LOOK_EVERY)).await;
        }
        // If it cannot be told, the office lapses by itself.
        let _ = self.store.resign(OFFICE, process).await;
    }

    async fn look(&self, process: ProcessId, stop: &CancellationToken, is_at_it: &mut bool) -> Result<(), Ended> {
        if !self.store.lead(OFFICE, process, OFFICE_TTL).await? {
            gauges(0, 0);
            *is_at_it = false;
            return Ok(());
        }
        self.webhook_secrets().await?;
        let left = self.left().await?;
        gauges(left.ours + left.theirs, left.theirs);
        if left.ours == 0 {
            return Ok(());
        }
        if !std::mem::replace(is_at_it, true) {
            info!(rows = left.ours, key = %self.keyring.primary(), "Rows are encrypted again under the present key");
        }
        let mut stuck = 0;
        for key in &left.keys {
            let done = self.walk(key, stop, Some(process), |_| ()).await?;
            stuck += done.undecryptable;
        }
        let after = self.left().await?;
        gauges(after.ours + after.theirs, stuck + after.theirs);
        if after.ours == stuck {
            *is_at_it = false;
            info!(left = after.ours + after.theirs, "Every row that opens is under the present key");
        }
        Ok(())
    }

    /// Walks again and again until nothing is left that this keyring opens, or `stop`. `told` hears of every batch.
    pub async fn all(
        &self,
        stop: &CancellationToken,
        mut told: impl FnMut(Resealed),
    ) -> Result<(Resealed, bool), StoreError> {
        let mut all = Resealed { written: self.webhook_secrets().await?, ..Resealed::default() };
        loop {
            let mut walk = Resealed::default();
            for key in self.left().await?.keys {
                match self.walk(&key, stop, None, &mut told).await {
                    Ok(done) => walk = walk.plus(done),
                    Err(Ended::Store(error)) => return Err(error),
                    Err(Ended::Stopped) => return Ok((all.plus(walk), true)),
                }
            }
            all.written += walk.written;
            (all.moved_on, all.undecryptable) = (walk.moved_on, walk.undecryptable);
            if walk.moved_on == 0 {
                return Ok((all, false));
            }
            stop.run_until_cancelled(self.clock.sleep(SECOND_LOOK)).await;
        }
    }

    /// Once through all rows under a key. It ends early when it is told to, or when another process took the `officer`'s place.
    async fn walk(
        &self,
        key: &str,
        stop: &CancellationToken,
        officer: Option<ProcessId>,
        mut told: impl FnMut(Resealed),
    ) -> Result<Resealed, Ended> {
        let (begun, mut done, mut seen) = (self.clock.monotonic(), Resealed::default(), 0_u64);
        let mut after = before_all(key);
        loop {
            if stop.is_cancelled() {
                told(done);
                return Err(Ended::Stopped);
            }
            let mut rows = self.store.sealed_under_other_keys(Some(&after), BATCH.min(self.per_second.max(1))).await?;
            rows.retain(|row| row.key == key);
            let Some(last) = rows.last().cloned() else { return Ok(done) };
            after = last;
            seen += rows.len() as u64;
            let batch = self.store.reseal(rows).await?;
            metrics::counter!("evergrant_keys_rows_reencrypted_total").increment(batch.written);
            done = done.plus(batch);
            told(batch);
            if let Some(process) = officer
                && !self.store.lead(OFFICE, process, OFFICE_TTL).await?
            {
                return Ok(done);
            }
            let due = begun + Duration::from_millis(seen * 1000 / u64::from(self.per_second.max(1)));
            let early = due.saturating_sub(self.clock.monotonic());
            if !early.is_zero() {
                stop.run_until_cancelled(self.clock.sleep(early)).await;
            }
        }
    }

    /// There are so few that they are not counted beforehand.
    async fn webhook_secrets(&self) -> Result<u64, StoreError> {
        let written = self.store.reseal_endpoint_secrets().await?;
        metrics::counter!("evergrant_keys_rows_reencrypted_total").increment(written);
        Ok(written)
    }

    async fn left(&self) -> Result<Left, StoreError> {
        let mut left = Left::default();
        for (key, rows) in self.store.rows_under_other_keys().await? {
            if self.keyring.fingerprints().any(|known| known.as_str() == key) {
                left.ours += rows;
                left.keys.push(key);
            } else {
                left.theirs += rows;
            }
        }
        Ok(left)
    }
}

/// What is not under the key that encrypts.
#[derive(Default)]
struct Left {
    /// Under keys of this keyring.
    ours: u64,
    /// Under keys that it lacks: those rows stay as they are.
    theirs: u64,
    /// The keys of `ours`.
    keys: Vec<String>,
}

/// The place before every row under this key.
fn before_all(key: &str) -> SealedRow {
    SealedRow {
        connection: ConnectionId::from(Uuid::nil()),
        version: Version::FIRST,
        key: key.to_owned(),
        access_token: None,
        refresh_token: None,
        unread_answer: None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and no database has 2^52 rows")]
fn gauges(left: u64, undecryptable: u64) {
    metrics::gauge!("evergrant_keys_rows_left").set(left as f64);
    metrics::gauge!("evergrant_keys_rows_undecryptable").set(undecryptable as f64);
}
