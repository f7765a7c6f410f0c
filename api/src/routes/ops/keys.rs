//! The encryption keys: who has which, and what is still under the old ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use evergrant_contract::ports::Peer;
use futures::try_join;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ALIVE_FOR, operator};
use crate::auth::Caller;
use crate::edges::extract::Json;
use crate::problem::Problem;
use crate::state::Api;

/// What a key does, as the live processes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum KeyRole {
    /// At least one live process encrypts with it.
    Encrypts,
    /// Live processes have it, and none encrypts with it.
    Decrypts,
    /// No live process has it, and rows need it: they cannot be refreshed until it is given back.
    Missing,
}

/// One key, by its fingerprint. No key is ever shown.
#[derive(Serialize, ToSchema)]
#[schema(as = EncryptionKey)]
struct KeyView {
    /// Names the key and tells nothing about it.
    #[schema(example = "dda60fb653980164")]
    fingerprint: String,
    role: KeyRole,
    /// Rows that are encrypted with it.
    rows: u64,
    /// Live processes that encrypt with it.
    encrypting: Vec<KeyHolder>,
    /// Live processes that have it and encrypt with another one.
    decrypting: Vec<KeyHolder>,
    /// Live processes that do not have it: it must not encrypt before there are none.
    lacking: Vec<KeyHolder>,
    /// Nothing that can be seen from here needs it any more: `evergrant keys retire` looks closer.
    is_idle: bool,
}

/// A live process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct KeyHolder {
    process: Uuid,
    /// What it runs.
    #[schema(example = "worker")]
    role: String,
}

/// The encryption keys.
#[derive(Serialize, ToSchema)]
pub(super) struct EncryptionKeys {
    /// When it was looked at.
    at: DateTime<Utc>,
    /// Those that encrypt first, then those with the most rows.
    keys: Vec<KeyView>,
    /// Rows with something encrypted in them.
    rows: u64,
    /// Rows that are not under a key that encrypts: they are encrypted again in the background.
    rows_left: u64,
    /// Rows whose key no live process has: they are left as they are.
    rows_missing_their_key: u64,
}

/// Every key that a live process has or a row needs, and how far encrypting again has come.
#[utoipa::path(get, path = "/api/ops/keys", operation_id = "getKeys", tag = "operations",
    summary = "See the encryption keys",
    responses((status = 200, description = "The keys, by their fingerprints.", body = EncryptionKeys)))]
pub(super) async fn keys(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<EncryptionKeys>, Problem> {
    operator(&caller)?;
    let (peers, in_use) = try_join!(api.store.peers(ALIVE_FOR), api.store.keys_in_use())?;
    Ok(Json(EncryptionKeys::new(api.clock.now(), &peers, in_use)))
}

impl EncryptionKeys {
    fn new(at: DateTime<Utc>, peers: &[Peer], in_use: Vec<(String, u64)>) -> Self {
        let mut rows: BTreeMap<String, u64> = in_use.into_iter().collect();
        for key in peers.iter().flat_map(|peer| peer.keys.iter().chain([&peer.primary_key])) {
            rows.entry(key.clone()).or_default();
        }
        let mut keys: Vec<_> = rows.into_iter().map(|(key, rows)| KeyView::new(key, rows, peers)).collect();
        keys.sort_by(|a, b| (a.role, b.rows, &a.fingerprint).cmp(&(b.role, a.rows, &b.fingerprint)));
        let count =
            |is_meant: fn(KeyRole) -> bool| keys.iter().filter(|key| is_meant(key.role)).map(|key| key.rows).sum();
        Self {
            at,
            rows: count(|_| true),
            rows_left: count(|role| role != KeyRole::Encrypts),
            rows_missing_their_key: count(|role| role == KeyRole::Missing),
            keys,
        }
    }
}

impl KeyView {
    fn new(fingerprint: String, rows: u64, peers: &[Peer]) -> Self {
        let holders = |is_meant: &dyn Fn(&Peer) -> bool| {
            let holder = |peer: &Peer| KeyHolder { process: peer.process.uuid(), role: peer.role.clone() };
            let mut holders: Vec<_> = peers.iter().filter(|peer| is_meant(peer)).map(holder).collect();
            holders.sort_by(|a, b| (&a.role, a.process).cmp(&(&b.role, b.process)));
            holders
        };
        let encrypts = |peer: &Peer| peer.primary_key == fingerprint;
        let has = |peer: &Peer| peer.keys.contains(&fingerprint);
        let encrypting = holders(&encrypts);
        let decrypting = holders(&|peer| has(peer) && !encrypts(peer));
        let lacking = holders(&|peer| !has(peer) && !encrypts(peer));
        let role = match (encrypting.is_empty(), decrypting.is_empty()) {
            (false, _) => KeyRole::Encrypts,
            (true, false) => KeyRole::Decrypts,
            (true, true) => KeyRole::Missing,
        };
        let is_idle = rows == 0 && role != KeyRole::Encrypts;
        Self { fingerprint, role, rows, encrypting, decrypting, lacking, is_idle }
    }
}

#[cfg(test)]
mod tests {
    use evergrant_contract::Timestamp;
    use evergrant_contract::ids::ProcessId;

    use super::*;

    fn peer(role: &str, keys: &[&str]) -> Peer {
        Peer {
            process: ProcessId::generate(),
            role: role.to_owned(),
            primary_key: keys[0].to_owned(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            seen_at: Timestamp::default(),
            drain: None,
        }
    }

    fn shown(peers: &[Peer], in_use: &[(&str, u64)]) -> EncryptionKeys {
        let in_use = in_use.iter().map(|(key, rows)| ((*key).to_owned(), *rows)).collect();
        EncryptionKeys::new(Timestamp::default(), peers, in_use)
    }

    #[test]
    fn a_turn_from_one_key_to_another_is_seen_step_by_step() {
        let (api, worker) = (peer("api", &["old", "new"]), peer("worker", &["old"]));
        let view = shown(&[api, worker.clone()], &[("old", 7)]);
        let [old, new] = &view.keys[..] else { panic!("two keys") };
        assert_eq!((old.role, old.rows, old.encrypting.len()), (KeyRole::Encrypts, 7, 2));
        assert_eq!((new.role, new.rows, new.lacking.len(), new.is_idle), (KeyRole::Decrypts, 0, 1, true));
        assert_eq!(new.lacking[0].process, worker.process.uuid(), "it must not encrypt yet");
        assert_eq!((view.rows, view.rows_left), (7, 0));

        let turned = [peer("api", &["new", "old"]), peer("worker", &["new", "old"])];
        let view = shown(&turned, &[("new", 3), ("old", 4)]);
        assert_eq!((view.rows, view.rows_left, view.rows_missing_their_key), (7, 4, 0));
        let view = shown(&turned, &[("new", 7)]);
        assert_eq!((view.keys[1].role, view.keys[1].is_idle, view.rows_left), (KeyRole::Decrypts, true, 0));
    }

    #[test]
    fn a_key_that_nobody_has_is_missing() {
        let view = shown(&[peer("serve", &["new"])], &[("lost", 2), ("new", 1)]);
        let lost = view.keys.last().unwrap();
        assert_eq!((lost.fingerprint.as_str(), lost.role, lost.is_idle), ("lost", KeyRole::Missing, false));
        assert_eq!((view.rows_left, view.rows_missing_their_key), (2, 2));
    }
}
