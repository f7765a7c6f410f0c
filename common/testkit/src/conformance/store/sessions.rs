//! Signed-in browsers.

use std::sync::Arc;

use chrono::TimeDelta;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::SessionId;
use evergrant_contract::people::{FIRST_GENERATION, Session, SessionEnd};
use evergrant_contract::ports::{Clock as _, Store, StoreError};

use super::people::{new_session, open, session, sign_in, user_id};
use super::steps::{at_once, secs};
use crate::ManualClock;

/// Issues the next token at `now`, good for ten minutes.
async fn advance(store: &dyn Store, id: SessionId, from_generation: i64, now: Timestamp) -> bool {
    store.advance_session(id, from_generation, now, now + secs(600)).await.expect("a working store moves sessions on")
}

async fn end(store: &dyn Store, id: SessionId, reason: SessionEnd, now: Timestamp) -> bool {
    store.end_session(id, reason, now).await.expect("a working store ends sessions")
}

/// Whole, to the millisecond, open or ended.
pub async fn a_session_is_found_as_it_was_opened(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let first = sign_in(&*store, &clock, "user").await;
    let at = |millis: i64| clock.now() + TimeDelta::milliseconds(millis);
    let odd = Session {
        generation: 3_000_000_000,
        rotated_at: at(1),
        created_at: at(-999),
        idle_until: at(600_001),
        ends_at: at(86_400_999),
        ..new_session(&first.user, &clock)
    };
    open(&*store, &odd).await;
    for opened in [first, odd] {
        assert_eq!(session(&*store, opened.id).await, Some(opened));
    }
    assert_eq!(session(&*store, SessionId::generate()).await, None);
}

/// A token is never good for nobody.
pub async fn a_session_is_of_a_user_who_exists(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let nobodys = new_session(&user_id("nobody"), &clock);
    let error = store.open_session(&nobodys).await.expect_err("there is no such user");
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert_eq!(session(&*store, nobodys.id).await, None);
}

/// One step, which is what makes a spent token recognizable; everything else stays as it was.
pub async fn advancing_counts_the_tokens_one_by_one(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let opened = sign_in(&*store, &clock, "user").await;
    let now = clock.now() + TimeDelta::milliseconds(300_001);
    for wrong in [0, FIRST_GENERATION + 1] {
        assert!(!advance(&*store, opened.id, wrong, now).await, "it is not at generation {wrong}");
    }
    assert_eq!(session(&*store, opened.id).await, Some(opened.clone()), "nothing was written");
    assert!(advance(&*store, opened.id, FIRST_GENERATION, now).await);
    let moved = Session { generation: 2, rotated_at: now, idle_until: now + secs(600), ..opened.clone() };
    assert_eq!(session(&*store, opened.id).await, Some(moved.clone()));
    assert!(!advance(&*store, opened.id, FIRST_GENERATION, now + secs(1)).await, "that token is spent");
    assert_eq!(session(&*store, opened.id).await, Some(moved));
    assert!(!advance(&*store, SessionId::generate(), FIRST_GENERATION, now).await, "there is none");
}

/// Many tabs present the same token at once: one of them gets the next, and the others are told to look again.
pub async fn one_of_fifty_callers_advances_a_session(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let opened = sign_in(&*store, &clock, "user").await;
    for generation in [FIRST_GENERATION, FIRST_GENERATION + 1, FIRST_GENERATION + 2] {
        let now = clock.now() + secs(generation);
        let answers = at_once(50, |_| {
            let store = Arc::clone(&store);
            async move { advance(&*store, opened.id, generation, now).await }
        })
        .await;
        assert_eq!(answers.into_iter().filter(|advanced| *advanced).count(), 1, "generation {generation}");
        let stands = session(&*store, opened.id).await.expect("it exists");
        assert_eq!((stands.generation, stands.rotated_at), (generation + 1, now));
    }
}

/// The first reason and time stay: a thief's late token must not rewrite why it ended. Nothing brings it back.
pub async fn a_session_ends_once_and_for_good(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let opened = sign_in(&*store, &clock, "user").await;
    for (n, reason) in SessionEnd::ALL.iter().enumerate() {
        let other = new_session(&opened.user, &clock);
        open(&*store, &other).await;
        let now = clock.now() + TimeDelta::milliseconds(i64::try_from(n).expect("they are few") + 1);
        assert!(end(&*store, other.id, *reason, now).await);
        let ended = Session { ended_at: Some(now), end_reason: Some(*reason), ..other.clone() };
        assert_eq!(session(&*store, other.id).await, Some(ended.clone()));
        assert!(!end(&*store, other.id, SessionEnd::ByOperator, now + secs(1)).await, "it has ended already");
        assert!(!advance(&*store, other.id, FIRST_GENERATION, now + secs(1)).await, "it has ended");
        assert_eq!(session(&*store, other.id).await, Some(ended));
    }
    assert!(!end(&*store, SessionId::generate(), SessionEnd::SignedOut, clock.now()).await, "there is none");
    assert_eq!(session(&*store, opened.id).await, Some(opened), "the others have not ended with it");
}

/// Those of one user, and none that had ended before.
pub async fn signing_out_everywhere_ends_the_sessions_of_one_user(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let first = sign_in(&*store, &clock, "ann").await;
    let bobs = sign_in(&*store, &clock, "bob").await;
    let theirs = [new_session(&first.user, &clock), new_session(&first.user, &clock)];
    for session in &theirs {
        open(&*store, session).await;
    }
    let [second, third] = theirs;
    let (now, later) = (clock.now() + secs(1), clock.now() + secs(2));
    assert!(end(&*store, first.id, SessionEnd::SignedOut, now).await);
    let end_all = async |user| {
        let ended = store.end_sessions(user, SessionEnd::SignedOutEverywhere, later).await;
        ended.expect("a working store ends sessions")
    };
    assert_eq!(end_all(&first.user).await, 2);
    assert_eq!(end_all(&first.user).await, 0, "all of them have ended");
    assert_eq!(end_all(&user_id("nobody")).await, 0);
    let (ended_at, end_reason) = (Some(now), Some(SessionEnd::SignedOut));
    assert_eq!(session(&*store, first.id).await, Some(Session { ended_at, end_reason, ..first }));
    for theirs in [second, third] {
        let (ended_at, end_reason) = (Some(later), Some(SessionEnd::SignedOutEverywhere));
        assert_eq!(session(&*store, theirs.id).await, Some(Session { ended_at, end_reason, ..theirs }));
    }
    assert_eq!(session(&*store, bobs.id).await, Some(bobs));
}

/// Whatever comes first, the end or the next token: once the end was reported, nobody has a newer token.
pub async fn an_end_wins_over_tokens_that_are_being_issued(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let opened = sign_in(&*store, &clock, "user").await;
    let now = clock.now();
    let answers = at_once(20, |caller| {
        let store = Arc::clone(&store);
        async move {
            if caller == 10 {
                return end(&*store, opened.id, SessionEnd::TokenReused, now).await;
            }
            let generation = session(&*store, opened.id).await.expect("it exists").generation;
            advance(&*store, opened.id, generation, now).await
        }
    })
    .await;
    assert!(answers[10], "it had not ended");
    let over = session(&*store, opened.id).await.expect("it exists");
    assert_eq!((over.ended_at, over.end_reason), (Some(now), Some(SessionEnd::TokenReused)));
    let issued = answers.into_iter().filter(|advanced| *advanced).count() - 1;
    assert_eq!(over.generation, FIRST_GENERATION + i64::try_from(issued).expect("they are few"), "each counts one");
    assert!(!advance(&*store, opened.id, over.generation, now).await);
}

/// Long over, in whichever way: who still comes with a token of it is signed out all the same.
pub async fn forgetting_spares_sessions_that_are_not_long_over(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let open_now = sign_in(&*store, &clock, "user").await;
    let now = clock.now();
    let session_of = |idle: i64, ends: i64, ended: Option<i64>| Session {
        created_at: now - secs(500),
        idle_until: now + secs(idle),
        ends_at: now + secs(ends),
        ended_at: ended.map(|ended| now + secs(ended)),
        end_reason: ended.map(|_| SessionEnd::SignedOut),
        ..new_session(&open_now.user, &clock)
    };
    let kept = [
        open_now.clone(),
        session_of(-50, 900, None),
        session_of(-50, -50, None),
        session_of(100, 900, Some(-50)),
        session_of(100, 900, Some(-10)),
    ];
    let forgotten = [session_of(-51, 900, None), session_of(100, -51, None), session_of(100, 900, Some(-51))];
    for session in kept[1..].iter().chain(&forgotten) {
        open(&*store, session).await;
    }
    let forget = async || store.forget_before(now - secs(50)).await.expect("a working store forgets");
    assert_eq!(forget().await, 3);
    for session_kept in kept {
        assert_eq!(session(&*store, session_kept.id).await, Some(session_kept));
    }
    for gone in forgotten {
        assert_eq!(session(&*store, gone.id).await, None);
    }
    assert_eq!(forget().await, 0, "there is nothing left to forget");
}
