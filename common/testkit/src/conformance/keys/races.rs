//! Rows that are encrypted again while they are refreshed: the refresh wins, always.

use std::sync::Arc;

use evergrant_contract::connection::{IfPresent, Settled, Settlement};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::keys::{Resealed, SealedRow};
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::secret::Secret;

use super::{Turnover, left, page, reseal, reseal_all, tokens};
use crate::conformance::store::steps::{
    at_once, connect, failed, find, hold_as_it_stands, new_connection, put_all, refreshed, settle,
};
use crate::{ManualClock, SeededChance};

const MOVED_ON: Resealed = Resealed { written: 0, moved_on: 1, undecryptable: 0 };

/// A success without a refresh token: the stored one goes on.
fn keeping(mut settlement: Settlement) -> Settlement {
    if let Some((tokens, _)) = &mut settlement.tokens {
        tokens.refresh_token = None;
    }
    settlement
}

fn pair(access_token: &str, refresh_token: &str) -> (String, String) {
    (format!("Atza|{access_token}"), format!("Atzr|{refresh_token}"))
}

/// Whichever key the refresh writes with: its token is the one that is good, and the copy that was read is spent.
pub async fn a_refresh_in_between_wins(stores: Turnover, clock: Arc<ManualClock>) {
    for (name, writer) in [("before", &stores.before), ("after", &stores.after)] {
        let id = connect(&*stores.before, &clock, name).await;
        let read = page(&*stores.after, None, 10).await;
        let lease = hold_as_it_stands(&**writer, id).await.lease;
        settle(&**writer, refreshed(lease, &clock, "next")).await;
        assert_eq!(reseal(&*stores.after, read).await, MOVED_ON);
        assert_eq!(tokens(&**writer, &clock, id).await, pair("next", "next"));
        reseal_all(&*stores.after).await;
        assert_eq!(tokens(&*stores.done, &clock, id).await, pair("next", "next"));
    }
}

/// The provider sent none, so the old secret goes on in a new row.
pub async fn a_refresh_that_keeps_its_token_wins(stores: Turnover, clock: Arc<ManualClock>) {
    for (name, writer) in [("before", &stores.before), ("after", &stores.after)] {
        let id = connect(&*stores.before, &clock, name).await;
        let read = page(&*stores.after, None, 10).await;
        let lease = hold_as_it_stands(&**writer, id).await.lease;
        settle(&**writer, keeping(refreshed(lease, &clock, "next"))).await;
        assert_eq!(reseal(&*stores.after, read).await, MOVED_ON);
        reseal_all(&*stores.after).await;
        assert_eq!(tokens(&*stores.done, &clock, id).await, pair("next", &format!("{name}-1")));
    }
}

/// The lease was given before, the result comes after: it is written, and one key opens the whole row, whichever it is.
pub async fn a_refresh_under_way_is_written_after_its_row_was_encrypted_again(
    stores: Turnover,
    clock: Arc<ManualClock>,
) {
    for (name, writer) in [("before", &stores.before), ("after", &stores.after)] {
        let id = connect(&*stores.before, &clock, name).await;
        for round in 2..5 {
            let lease = hold_as_it_stands(&**writer, id).await.lease;
            reseal_all(&*stores.after).await;
            let result = keeping(refreshed(lease, &clock, "next"));
            assert_eq!(settle(&**writer, result).await, Settled::Written(Version::new(round)));
            let key = find(&**writer, id).await.key;
            let is_under_their_key = page(&**writer, None, 10).await.iter().all(|row| row.connection != id);
            assert!(is_under_their_key, "the row says {key:?}, and the access token is under another key");
            assert_eq!(tokens(&**writer, &clock, id).await, pair("next", &format!("{name}-1")));
        }
        reseal_all(&*stores.after).await;
        assert_eq!(tokens(&*stores.done, &clock, id).await, pair("next", &format!("{name}-1")));
    }
}

/// A person has connected again: what they brought stays.
pub async fn a_consent_in_between_wins(stores: Turnover, clock: Arc<ManualClock>) {
    let id = connect(&*stores.before, &clock, "user").await;
    let read = page(&*stores.after, None, 10).await;
    let mut consent = new_connection("user", clock.now());
    consent.access_token = Some(Secret::new("Atza|consent"));
    consent.refresh_token = Some(Secret::new("Atzr|consent"));
    put_all(&*stores.before, vec![consent], IfPresent::Replace).await;
    assert_eq!(reseal(&*stores.after, read).await, MOVED_ON);
    assert_eq!(tokens(&*stores.before, &clock, id).await, pair("consent", "consent"));
}

/// Nothing comes back of what a person took away.
pub async fn a_disconnect_in_between_wins(stores: Turnover, clock: Arc<ManualClock>) {
    let id = connect(&*stores.before, &clock, "user").await;
    let read = page(&*stores.after, None, 10).await;
    assert!(stores.before.disconnect(id).await.expect("a working store disconnects"));
    assert_eq!(reseal(&*stores.after, read).await, MOVED_ON);
    assert_eq!(find(&*stores.after, id).await.key, None, "a row without tokens has no key");
    assert_eq!(left(&*stores.after).await, []);
}

/// Nor the second time, nor after it was encrypted again from a newer copy: what was read once is good once.
pub async fn an_old_copy_never_comes_back(stores: Turnover, clock: Arc<ManualClock>) {
    let id = connect(&*stores.before, &clock, "user").await;
    let read = page(&*stores.after, None, 10).await;
    assert_eq!(reseal(&*stores.after, read.clone()).await.written, 1);
    assert_eq!(reseal(&*stores.after, read.clone()).await, MOVED_ON);
    // Back under the old key at the same version, with other ciphertexts of the same secrets.
    assert_eq!(reseal_all(&*stores.before).await.written, 1);
    let lease = hold_as_it_stands(&*stores.before, id).await.lease;
    settle(&*stores.before, refreshed(lease, &clock, "next")).await;
    assert_eq!(reseal(&*stores.after, read).await, MOVED_ON);
    assert_eq!(tokens(&*stores.before, &clock, id).await, pair("next", "next"));
}

const SEEDS: u64 = 4;
const STEPS: u32 = 120;
const CONNECTIONS: usize = 4;

/// Refreshes of both kinds, failures and unread answers by processes before and after the turn, and copies that are kept
/// for a while before they are encrypted again: at the end one key opens everything, and it is what was last issued.
pub async fn a_random_walk_loses_no_token(stores: Turnover, clock: Arc<ManualClock>) {
    let mut walk = Walk { rows: Vec::new(), copies: Vec::new(), issued: 0 };
    for n in 0..CONNECTIONS {
        let (user, secret) = (format!("user-{n}"), format!("user-{n}-1"));
        walk.rows.push((connect(&*stores.before, &clock, &user).await, pair(&secret, &secret)));
    }
    for seed in 0..SEEDS {
        let chance = SeededChance::new(seed);
        for _ in 0..STEPS {
            walk.step(&stores, &clock, &chance).await;
        }
        reseal_all(&*stores.after).await;
        for (id, secrets) in &walk.rows {
            assert_eq!(tokens(&*stores.done, &clock, *id).await, *secrets, "seed {seed}");
        }
    }
}

fn pick(chance: &SeededChance, of: usize) -> usize {
    let limit = u32::try_from(of).unwrap_or(u32::MAX);
    usize::try_from(chance.below(limit)).unwrap_or_default()
}

struct Walk {
    rows: Vec<(ConnectionId, (String, String))>,
    copies: Vec<SealedRow>,
    issued: u32,
}

impl Walk {
    async fn step(&mut self, stores: &Turnover, clock: &ManualClock, chance: &SeededChance) {
        let writer = if chance.below(2) == 0 { &stores.before } else { &stores.after };
        let n = pick(chance, self.rows.len());
        let (id, secrets) = &mut self.rows[n];
        match chance.below(8) {
            0 | 1 => self.copies.extend(page(&**writer, None, 3).await),
            2 | 3 if !self.copies.is_empty() => {
                let copy = self.copies.swap_remove(pick(chance, self.copies.len()));
                reseal(&**writer, vec![copy]).await;
            }
            4 => {
                let lease = hold_as_it_stands(&**writer, *id).await.lease;
                let unread_answer = Some(Secret::new("{}"));
                settle(&**writer, Settlement { unread_answer, ..failed(lease, clock) }).await;
            }
            kind => {
                let lease = hold_as_it_stands(&**writer, *id).await.lease;
                self.issued += 1;
                let name = format!("issued-{}", self.issued);
                let result = refreshed(lease, clock, &name);
                secrets.0 = format!("Atza|{name}");
                if kind == 5 {
                    settle(&**writer, keeping(result)).await;
                } else {
                    secrets.1 = format!("Atzr|{name}");
                    settle(&**writer, result).await;
                }
            }
        }
    }
}

/// Nobody waits for anybody: tasks of processes before and after the turn refresh, others encrypt again all the while.
pub async fn refreshes_and_resealing_at_once_lose_no_token(stores: Turnover, clock: Arc<ManualClock>) {
    const TASKS: usize = 8;
    const ROUNDS: usize = 12;
    let mut ids = Vec::new();
    for n in 0..TASKS {
        ids.push(connect(&*stores.before, &clock, &format!("user-{n}")).await);
    }
    let stores = Arc::new(stores);
    at_once(TASKS + 2, |task| {
        let (stores, clock, id) = (Arc::clone(&stores), Arc::clone(&clock), ids.get(task).copied());
        async move {
            let writer: &dyn Store = if task % 2 == 0 { &*stores.before } else { &*stores.after };
            for round in 0..ROUNDS {
                match id {
                    None => drop(reseal_all(writer).await),
                    Some(id) => {
                        let lease = hold_as_it_stands(writer, id).await.lease;
                        let result = refreshed(lease, &clock, &format!("{task}-{round}"));
                        let result = if round % 3 == 2 { keeping(result) } else { result };
                        let settled = settle(writer, result).await;
                        assert!(matches!(settled, Settled::Written(_)), "the refresh wins");
                    }
                }
            }
        }
    })
    .await;
    reseal_all(&*stores.after).await;
    assert_eq!(left(&*stores.after).await, []);
    for (task, id) in ids.into_iter().enumerate() {
        // The last round kept the token of the one before it.
        let last = pair(&format!("{task}-{}", ROUNDS - 1), &format!("{task}-{}", ROUNDS - 2));
        assert_eq!(tokens(&*stores.done, &clock, id).await, last);
    }
}
