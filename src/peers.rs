//! Live processes and the keys that they write with.
//!
//! Two processes that cannot read each other's rows would put each other's connections out of use. So a process looks before
//! it starts, and tells the others while it runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::ProcessId;
use evergrant_contract::ports::{Clock, Offices, Peer};
use evergrant_vault::Keyring;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// A process that has not been heard of for longer is gone.
pub const ALIVE_FOR: Duration = Duration::from_secs(45);
const ANNOUNCE_EVERY: Duration = Duration::from_secs(15);

/// This process, as the others see it.
pub fn this_process(process: ProcessId, role: &str, keyring: &Keyring) -> Peer {
    Peer {
        process,
        role: role.to_owned(),
        primary_key: keyring.primary().as_str().to_owned(),
        keys: keyring.fingerprints().map(|key| key.as_str().to_owned()).collect(),
        drain: None,
        seen_at: Timestamp::default(),
    }
}

/// Refuses to go on beside live peers that could not read what this process writes, or the other way round.
pub async fn refuse_foreign_keys(offices: &dyn Offices, me: &Peer) -> anyhow::Result<()> {
    for peer in offices.peers(ALIVE_FOR).await? {
        if peer.process == me.process {
            continue;
        }
        if !me.keys.contains(&peer.primary_key) {
            bail!(
                "FERNET_KEY lacks the key {} that {} (process {}) is writing with: this process would take its rows for \
                 undecryptable. Give every process the same FERNET_KEY; several keys are separated by commas",
                peer.primary_key,
                peer.role,
                peer.process
            );
        }
        if !peer.keys.contains(&me.primary_key) {
            bail!(
                "{} (process {}) lacks the key {} that this process would write with. To change keys, first add the new \
                 one behind the old one in every process, then put it first",
                peer.role,
                peer.process,
                me.primary_key
            );
        }
    }
    Ok(())
}

/// Tells the others that this process lives until `stop`, then that it ends.
pub async fn announce(offices: Arc<dyn Offices>, me: Peer, clock: Arc<dyn Clock>, stop: CancellationToken) {
    loop {
        if let Err(error) = offices.announce(&me).await {
            warn!(%error, "The other processes cannot be told that this one lives");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = clock.sleep(ANNOUNCE_EVERY) => {}
        }
    }
    if let Err(error) = offices.depart(me.process).await {
        warn!(%error, "The other processes cannot be told that this one ends");
    }
}
