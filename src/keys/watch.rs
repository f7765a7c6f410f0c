//! The generated key file while a process runs: it is noticed when it changes, and changed when its time has come.
//!
//! A keyring never changes inside a running process: what is sealed with one key and said to be under another would be lost.
//! So a process whose key file has changed finishes what it has in hand and starts anew with it, within itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ids::{AuditId, ProcessId};
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::{Clock, Store, StoreError};
use evergrant_contract::timing::after;
use evergrant_vault::Keyring;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{KeysError, file};
use crate::peers::ALIVE_FOR;

const LOOK_EVERY: Duration = Duration::from_secs(2);
const DAY: Duration = Duration::from_hours(24);

/// Looks at the key file of a running process.
pub struct KeyFileWatch {
    /// The file.
    pub path: PathBuf,
    /// What was in it at the start.
    pub keyring: Arc<Keyring>,
    /// A new key after so many days; 0: never.
    pub rotate_every_days: u32,
    /// Who else is there.
    pub store: Arc<dyn Store>,
    /// This process.
    pub process: ProcessId,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Why no new key was made.
#[derive(Debug, thiserror::Error)]
enum NotRotated {
    #[error("{0} other processes live on this database; `evergrant keys rotate` takes them along")]
    NotAlone(usize),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl KeyFileWatch {
    /// Returns when the file holds other keys than at the start, `true`, or at `stop`, `false`.
    pub async fn run(self, stop: CancellationToken) -> bool {
        let mut asked_at = None;
        while stop.run_until_cancelled(self.clock.sleep(LOOK_EVERY)).await.is_some() {
            match file::keyring(&self.path) {
                Ok(now) if !now.fingerprints().eq(self.keyring.fingerprints()) => {
                    info!(key = %now.primary(), "The key file has changed: this process finishes what is in hand and starts anew with it");
                    return true;
                }
                Ok(_) => {}
                // What was read at the start is good until the end.
                Err(error) => {
                    error!(%error, "The key file cannot be read any more: bring it back before the next start");
                }
            }
            let now = self.clock.monotonic();
            if self.is_time() && asked_at.is_none_or(|asked| now.saturating_sub(asked) >= DAY) {
                asked_at = Some(now);
                match self.rotate().await {
                    Ok(key) => info!(
                        key,
                        "A new encryption key was made, as keys.rotate_every_days says; back the key file up"
                    ),
                    Err(error) => warn!(%error, "No new encryption key was made, though its time has come"),
                }
            }
        }
        false
    }

    fn is_time(&self) -> bool {
        let age = DAY.saturating_mul(self.rotate_every_days);
        self.rotate_every_days > 0
            && file::modified(&self.path).is_ok_and(|since| after(since, age) <= self.clock.now())
    }

    /// Alone on its rows, this process may encrypt with a key that it alone has: it starts anew before it does.
    async fn rotate(&self) -> Result<String, NotRotated> {
        let others = self.store.peers(ALIVE_FOR).await?.iter().filter(|peer| peer.process != self.process).count();
        if others > 0 {
            return Err(NotRotated::NotAlone(others));
        }
        let key = file::add_first(&self.path)?;
        let line = AuditEntry {
            id: AuditId::generate(),
            at: self.clock.now(),
            actor: "evergrant".to_owned(),
            action: Action::RotateKey,
            subject: key.clone(),
            reason: format!("keys.rotate_every_days = {}", self.rotate_every_days),
            outcome: "rotated".to_owned(),
        };
        self.store.audit(&line).await?;
        Ok(key)
    }
}
