//! `evergrant keys`.

mod reencrypt;
mod retire;
mod rotate;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use evergrant_contract::ids::AuditId;
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::{Clock, Peer};
use evergrant_vault::Keyring;
use serde::Serialize;

use super::{actor, keyring, one_line, with_store};
use crate::cli::{KeysCommand, OperatorArgs};
use crate::config::Config;
use crate::exit::Failed;
use crate::output::{Output, Table};
use crate::peers;

/// One key, by its fingerprint.
#[derive(Debug, Default, Serialize)]
struct Key {
    /// This configuration has it: `encrypts`, or `decrypts` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    ours: Option<&'static str>,
    /// Live processes that have it.
    processes: u64,
    /// Rows that are encrypted with it.
    rows: u64,
}

pub(super) async fn run(config: &Config, command: &KeysCommand) -> Result<(), Failed> {
    match command {
        KeysCommand::Generate(output) => generate(output.json),
        KeysCommand::List(output) => list(config, output.json).await,
        KeysCommand::Rotate(args) => rotate::run(config, args).await,
        KeysCommand::Reencrypt(args) => reencrypt::run(config, args).await,
        KeysCommand::Retire(args) => retire::run(config, args).await,
    }
}

fn generate(json: bool) -> Result<(), Failed> {
    // The one place that shows a key: whoever runs this asked for it, and it protects nothing yet.
    let key = Keyring::generate_key();
    let shown = BTreeMap::from([("fernet_key", key.expose())]);
    Ok(Output::stdout(json).data(&shown, |_| key.expose().to_owned())?)
}

async fn list(config: &Config, json: bool) -> Result<(), Failed> {
    let keyring = keyring(config)?;
    let mut keys: BTreeMap<String, Key> = BTreeMap::new();
    for fingerprint in keyring.fingerprints() {
        let role = if fingerprint == keyring.primary() { "encrypts" } else { "decrypts" };
        keys.entry(fingerprint.as_str().to_owned()).or_default().ours = Some(role);
    }
    let (in_use, peers) =
        with_store(config, async |store| Ok((store.keys_in_use().await?, store.peers(peers::ALIVE_FOR).await?)))
            .await?;
    for (fingerprint, rows) in in_use {
        keys.entry(fingerprint).or_default().rows = rows;
    }
    for fingerprint in peers.into_iter().flat_map(|peer| peer.keys) {
        keys.entry(fingerprint).or_default().processes += 1;
    }
    Ok(Output::stdout(json).data(&keys, text)?)
}

fn text(keys: &BTreeMap<String, Key>) -> String {
    let mut table = Table::new(["key", "here", "processes", "rows"]);
    for (fingerprint, key) in keys {
        let ours = key.ours.unwrap_or("MISSING").to_owned();
        table.row([fingerprint.clone(), ours, key.processes.to_string(), key.rows.to_string()]);
    }
    table.to_string()
}

/// A line of the audit log about a key.
fn line(clock: &dyn Clock, operator: &OperatorArgs, action: Action, key: &str, outcome: &str) -> AuditEntry {
    AuditEntry {
        id: AuditId::generate(),
        at: clock.now(),
        actor: actor(&operator.who),
        action,
        subject: key.to_owned(),
        reason: one_line(&operator.why),
        outcome: outcome.to_owned(),
    }
}

/// Processes for people, one a line.
fn told(peers: &[&Peer]) -> String {
    peers.iter().fold(String::new(), |mut told, peer| {
        let _ = write!(told, "\n  {} (process {})", peer.role, peer.process);
        told
    })
}
