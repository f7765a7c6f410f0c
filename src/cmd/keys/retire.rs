//! `evergrant keys retire`: an old key is needed no more, or still is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use evergrant_contract::ids::ProcessId;
use evergrant_contract::operations::Action;
use evergrant_contract::ports::{Peer, Store};
use evergrant_vault::Keyring;
use serde::Serialize;

use super::super::{clock, keyring, refused, with_store};
use super::{line, told};
use crate::cli::RetireKeyArgs;
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::keys::file;
use crate::output::Output;
use crate::peers::ALIVE_FOR;
use crate::spool::FileSpool;

/// So long the store remembers processes that ended without a word.
const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// What came of it.
#[derive(Serialize)]
struct Retired {
    key: String,
    /// It was taken out of the generated key file; otherwise it is taken out of `FERNET_KEY` by hand.
    removed: bool,
    /// Live processes that still have it and do not need it.
    held_by: Vec<ProcessId>,
}

pub(super) async fn run(config: &Config, args: &RetireKeyArgs) -> Result<(), Failed> {
    let retired = with_store(config, async |store| retire(config, &*store, args).await).await?;
    Ok(Output::stdout(args.output.json).data(&retired, Retired::text)?)
}

impl Retired {
    fn text(&self) -> String {
        let key = &self.key;
        let done = if self.removed {
            format!("The key {key} was needed no more and is out of the key file.\n")
        } else {
            format!(
                "The key {key} is needed no more: take it out of FERNET_KEY of every process and restart them. {} live \
                 processes have it.\n",
                self.held_by.len()
            )
        };
        format!("{done}Keep it with the backups that were made while it was in use.\n")
    }
}

async fn retire(config: &Config, store: &dyn Store, args: &RetireKeyArgs) -> Result<Retired, Failed> {
    let (key, keyring, clock) = (args.fingerprint.as_str(), keyring(config)?, clock());
    let peers = store.peers(REMEMBERED_FOR).await?;
    let live: BTreeSet<_> = store.peers(ALIVE_FOR).await?.iter().map(|peer| peer.process).collect();
    let rows = store.keys_in_use().await?.into_iter().find(|(known, _)| known == key).map_or(0, |(_, rows)| rows);
    let ours = keyring.fingerprints().any(|known| known.as_str() == key);
    if !ours && rows == 0 && !peers.iter().any(|peer| peer.keys.iter().any(|known| known == key)) {
        let why = anyhow!("no key {key} is known here: `evergrant keys list` shows those that are");
        return Err(Failed::new(Exit::NotFound, why));
    }
    if let Some(why) = need(config, &keyring, key, rows, &peers, &live, args.ignore_vanished)? {
        store.audit(&line(&*clock, &args.operator, Action::RetireKey, key, "refused")).await?;
        return Err(anyhow!("the key {key} is still needed: {why}").into());
    }
    let removed = match file::generated(config) {
        Some(path) => file::remove(&path, key).map_err(refused)?,
        None => false,
    };
    store.audit(&line(&*clock, &args.operator, Action::RetireKey, key, "retired")).await?;
    let has = |peer: &&Peer| live.contains(&peer.process) && peer.keys.iter().any(|known| known == key);
    let held_by = peers.iter().filter(has).map(|peer| peer.process).collect();
    Ok(Retired { key: key.to_owned(), removed, held_by })
}

/// Why it cannot go yet.
fn need(
    config: &Config,
    keyring: &Arc<Keyring>,
    key: &str,
    rows: u64,
    peers: &[Peer],
    live: &BTreeSet<ProcessId>,
    ignore_vanished: bool,
) -> Result<Option<String>, Failed> {
    let (writing, vanished): (Vec<_>, Vec<_>) =
        peers.iter().filter(|peer| peer.primary_key == key).partition(|peer| live.contains(&peer.process));
    if !writing.is_empty() {
        let what = "live processes encrypt with it; put another key first and restart them";
        return Ok(Some(format!("{} {what}:{}", writing.len(), told(&writing))));
    }
    if keyring.primary().as_str() == key {
        return Ok(Some("it is the first of this configuration, and encrypts".to_owned()));
    }
    if rows > 0 {
        return Ok(Some(format!(
            "{rows} rows are encrypted with it. `evergrant keys reencrypt` brings those that open under the present key; what \
             is left then opens with no key that is known here, and its users have to connect again"
        )));
    }
    let (spooled, _) = FileSpool::new(config.spool_path(), Arc::clone(keyring)).keys()?;
    if spooled.contains(key) {
        return Ok(Some(format!(
            "results that wait in {} are encrypted with it; start a process with this folder, it stores them",
            config.spool_path().display()
        )));
    }
    if !vanished.is_empty() && !ignore_vanished {
        let what = "processes that encrypted with it ended without a word within the last day, and results may wait in their \
                    spools. Start them once more, or, if their spools are empty or gone, repeat with --ignore-vanished";
        return Ok(Some(format!("{} {what}:{}", vanished.len(), told(&vanished))));
    }
    Ok(None)
}
