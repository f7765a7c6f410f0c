//! Rows that are encrypted again while nothing else happens to them.

use std::sync::Arc;

use evergrant_contract::connection::{Connection, Settlement};
use evergrant_contract::ids::Version;
use evergrant_contract::keys::Resealed;
use evergrant_contract::secret::Secret;

use super::{Turnover, left, page, reseal, reseal_all, tokens};
use crate::ManualClock;
use crate::conformance::store::steps::{
    access_token, acquire, connect, failed, find, hold_as_it_stands, request, settle, word,
};

/// In one order, each once, however small the pages; none of them once they are under the right key.
pub async fn rows_under_other_keys_come_page_by_page(stores: Turnover, clock: Arc<ManualClock>) {
    let mut wanted = Vec::new();
    for n in 0..7 {
        wanted.push(connect(&*stores.before, &clock, &format!("user-{n}")).await);
    }
    wanted.sort();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let rows = page(&*stores.after, after.as_ref(), 3).await;
        let Some(last) = rows.last() else { break };
        assert!(rows.len() <= 3);
        after = Some(last.clone());
        seen.extend(rows);
    }
    assert_eq!(seen.iter().map(|row| row.connection).collect::<Vec<_>>(), wanted);
    assert!(page(&*stores.before, None, 10).await.is_empty(), "to a process that writes with this key nothing is left");
    assert_eq!(reseal(&*stores.after, seen).await, Resealed { written: 7, ..Resealed::default() });
    assert!(page(&*stores.after, None, 10).await.is_empty());
    assert_eq!(page(&*stores.before, None, 10).await.len(), 7);
}

/// Not the version, not the times, not the secrets: nobody who uses the connection notices.
pub async fn resealing_changes_the_key_and_nothing_else(stores: Turnover, clock: Arc<ManualClock>) {
    let id = connect(&*stores.before, &clock, "user").await;
    settle(&*stores.before, failed(hold_as_it_stands(&*stores.before, id).await.lease, &clock)).await;
    let (was, secrets) = (find(&*stores.before, id).await, tokens(&*stores.before, &clock, id).await);
    assert_eq!(reseal_all(&*stores.after).await, Resealed { written: 1, ..Resealed::default() });
    let is = find(&*stores.after, id).await;
    assert_ne!(is.key, was.key);
    assert_eq!(Connection { key: was.key.clone(), ..is }, was);
    assert_eq!(tokens(&*stores.done, &clock, id).await, secrets, "the old key is not needed any more");
    assert_eq!(reseal_all(&*stores.after).await, Resealed::default(), "and there is nothing left to do");
}

/// It may hold a rotated token, and there is no other copy.
pub async fn an_unread_answer_is_encrypted_again(stores: Turnover, clock: Arc<ManualClock>) {
    let id = connect(&*stores.before, &clock, "user").await;
    let lease = hold_as_it_stands(&*stores.before, id).await.lease;
    let unread_answer = Some(Secret::new(r#"{"tokens": ["Atza|somewhere-else"]}"#));
    settle(&*stores.before, Settlement { unread_answer, ..failed(lease, &clock) }).await;
    let old = page(&*stores.after, None, 1).await.remove(0);
    assert_eq!(reseal_all(&*stores.after).await.written, 1);
    let new = page(&*stores.before, None, 1).await.remove(0);
    assert!(old.unread_answer.is_some() && new.unread_answer.is_some());
    // Back and forth: a process that opens it can encrypt it once more, and one without its key cannot.
    assert_eq!(reseal(&*stores.stranger, vec![new.clone()]).await.undecryptable, 1);
    assert_eq!(reseal(&*stores.before, vec![new]).await.written, 1);
}

/// They are counted, and change no more than anything else does: their key may come back.
pub async fn rows_that_do_not_open_stay_as_they_are(stores: Turnover, clock: Arc<ManualClock>) {
    let theirs = connect(&*stores.stranger, &clock, "theirs").await;
    let ours = connect(&*stores.before, &clock, "ours").await;
    let was = (find(&*stores.stranger, theirs).await, tokens(&*stores.stranger, &clock, theirs).await);
    for round in 0..3 {
        let written = u64::from(round == 0);
        assert_eq!(reseal_all(&*stores.after).await, Resealed { written, moved_on: 0, undecryptable: 1 });
    }
    assert_eq!((find(&*stores.stranger, theirs).await, tokens(&*stores.stranger, &clock, theirs).await), was);
    assert!(access_token(&*stores.done, ours).await.is_some());
    let answer = acquire(&*stores.done, request(theirs, Version::FIRST)).await;
    assert_eq!(word(&answer), "unspendable");
}

/// Of every key but the one that encrypts.
pub async fn what_is_left_is_counted_by_key(stores: Turnover, clock: Arc<ManualClock>) {
    assert_eq!(left(&*stores.after).await, []);
    for n in 0..3 {
        connect(&*stores.before, &clock, &format!("old-{n}")).await;
    }
    connect(&*stores.after, &clock, "new").await;
    connect(&*stores.stranger, &clock, "theirs").await;
    let counts = |mut counts: Vec<(String, u64)>| {
        counts.sort_by_key(|(_, rows)| *rows);
        counts.into_iter().map(|(_, rows)| rows).collect::<Vec<_>>()
    };
    assert_eq!(counts(left(&*stores.after).await), [1, 3]);
    assert_eq!(counts(left(&*stores.before).await), [1, 1]);
    reseal_all(&*stores.after).await;
    assert_eq!(counts(left(&*stores.after).await), [1]);
    assert_eq!(counts(left(&*stores.before).await), [1, 4]);
}

/// There is nothing in it to encrypt.
pub async fn a_row_without_tokens_is_left_alone(stores: Turnover, clock: Arc<ManualClock>) {
    let id = connect(&*stores.before, &clock, "user").await;
    assert!(stores.before.disconnect(id).await.expect("a working store disconnects"));
    assert_eq!((left(&*stores.after).await, page(&*stores.after, None, 10).await), (vec![], vec![]));
}
