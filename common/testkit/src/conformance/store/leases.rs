//! The right to spend a refresh token.

use std::sync::Arc;

use evergrant_contract::connection::{LeaseRequest, Leased, Settled};
use evergrant_contract::ids::{ConnectionId, ProcessId, Version};
use evergrant_contract::ports::Store;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::transition::Standing;

use super::steps::{
    acquire, at_once, connect, ended, failed, find, hold, hold_as_it_stands, refreshed, request, secs, settle,
    unchanged, word,
};
use crate::ManualClock;

async fn ask_at_once(store: &Arc<dyn Store>, callers: usize, ask: impl Fn() -> LeaseRequest) -> Vec<Leased> {
    at_once(callers, |_| {
        let (store, request) = (Arc::clone(store), ask());
        async move { acquire(&*store, request).await }
    })
    .await
}

fn assert_one_holder(answers: &[Leased]) {
    let held = answers.iter().filter(|answer| matches!(answer, Leased::Held(_))).count();
    assert_eq!(held, 1, "of {} callers at once, one gets the lease", answers.len());
    let words: Vec<_> = answers.iter().map(word).filter(|word| !["held", "busy"].contains(word)).collect();
    assert!(words.is_empty(), "the others are told that it is busy, not {words:?}");
}

/// The single flight that everything rests on.
pub async fn one_of_fifty_callers_gets_the_lease(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for round in 0..5 {
        let id = connect(&*store, &clock, &format!("user-{round}")).await;
        assert_one_holder(&ask_at_once(&store, 50, || request(id, Version::FIRST)).await);
    }
}

/// Adapters answer many in one statement: each caller still gets its own answer, whatever the others asked.
pub async fn concurrent_requests_are_each_answered(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    const SECOND: Version = Version::FIRST.next();
    let mut asked = Vec::new();
    for n in 0..12 {
        let [free, moved, gone, busy] = ["free", "moved", "gone", "busy"].map(|what| format!("{what}-{n}"));
        let free = connect(&*store, &clock, &free).await;
        asked.push((request(free, Version::FIRST), "held"));
        let moved = connect(&*store, &clock, &moved).await;
        let lease = hold_as_it_stands(&*store, moved).await.lease;
        settle(&*store, refreshed(lease, &clock, "second")).await;
        asked.push((request(moved, Version::FIRST), "moved on"));
        let gone = connect(&*store, &clock, &gone).await;
        store.disconnect(gone).await.expect("a working store disconnects");
        asked.push((request(gone, SECOND), "not refreshable"));
        let busy = connect(&*store, &clock, &busy).await;
        hold_as_it_stands(&*store, busy).await;
        asked.push((request(busy, Version::FIRST), "busy"));
        asked.push((request(ConnectionId::generate(), Version::FIRST), "not refreshable"));
    }
    let answers = at_once(asked.len(), |n| {
        let (store, request) = (Arc::clone(&store), asked[n].0);
        async move { acquire(&*store, request).await }
    })
    .await;
    for (answer, (request, expected)) in answers.iter().zip(&asked) {
        assert_eq!(word(answer), *expected);
        if let Leased::Held(grant) = answer {
            assert_eq!((grant.lease.connection, grant.lease.owner), (request.connection, request.owner));
            assert_eq!(grant.refresh_token.expose(), format!("Atzr|{}-1", grant.user), "each has its own token");
        }
    }
}

/// A job that is delivered twice to one process is two callers, too.
pub async fn one_process_gets_its_own_lease_once(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let request = request(id, Version::FIRST);
    assert_one_holder(&ask_at_once(&store, 20, || request).await);
}

/// Token, owner, app, standing, expiry and scopes, as they were put; and the row says until when.
pub async fn a_lease_brings_what_a_refresh_needs(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let before = find(&*store, id).await;
    assert_eq!(before.leased_until, None);
    let request = request(id, Version::FIRST);
    let grant = hold(&*store, request).await;
    assert_eq!((grant.lease.connection, grant.lease.version, grant.lease.owner), (id, Version::FIRST, request.owner));
    assert_eq!(grant.refresh_token.expose(), "Atzr|user-1");
    assert_eq!((&grant.user, &grant.provider, &grant.scopes), (&before.user, &before.provider, &before.scopes));
    assert_eq!((grant.standing, grant.expires_at, grant.taken_over_from), (Standing::ACTIVE, before.expires_at, None));
    assert!(find(&*store, id).await.leased_until.is_some(), "people can see that somebody works on it");

    settle(&*store, failed(grant.lease, &clock)).await;
    let standing = hold_as_it_stands(&*store, id).await.standing;
    assert_eq!(standing, Standing { state: State::Failing, failures: 3, suspicions: 0 });
}

/// The work of an old job is done: whoever has the newer version is told which.
pub async fn a_newer_version_has_moved_on(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let grant = hold(&*store, request(id, Version::FIRST)).await;
    settle(&*store, refreshed(grant.lease, &clock, "second")).await;
    match acquire(&*store, request(id, Version::FIRST)).await {
        Leased::MovedOn { version } => assert_eq!(version, Version::FIRST.next()),
        other => panic!("the version has moved on, the answer is {}", word(&other)),
    }
    hold(&*store, request(id, Version::FIRST.next())).await;
}

/// A row that was dealt with since the job was made is left alone, whichever way its `refresh_at` moved.
pub async fn a_moved_refresh_at_has_moved_on(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let seen = find(&*store, id).await.refresh_at.expect("an active connection has a refresh_at");
    for seen in [seen - secs(1), seen + secs(1)] {
        let request = LeaseRequest { seen_refresh_at: Some(seen), ..request(id, Version::FIRST) };
        match acquire(&*store, request).await {
            Leased::MovedOn { version } => assert_eq!(version, Version::FIRST, "no token has changed"),
            other => panic!("another refresh_at was seen than is stored, the answer is {}", word(&other)),
        }
    }
    let request = LeaseRequest { seen_refresh_at: Some(seen), ..request(id, Version::FIRST) };
    let lease = hold(&*store, request).await.lease;
    settle(&*store, failed(lease, &clock)).await;
    let answer = acquire(&*store, request).await;
    assert_eq!(word(&answer), "moved on", "after a back-off the same job, delivered again, finds nothing to do");
}

/// They tell the state, so that whoever waits is told the truth.
pub async fn ended_and_unknown_connections_are_not_refreshable(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let reauth = connect(&*store, &clock, "reauth").await;
    let lease = hold_as_it_stands(&*store, reauth).await.lease;
    settle(&*store, ended(lease, &clock, Reason::GrantInvalid)).await;
    let gone = connect(&*store, &clock, "gone").await;
    store.disconnect(gone).await.expect("a working store disconnects");
    let unknown = ConnectionId::generate();
    for (id, expected) in [(reauth, Some(State::NeedsReauth)), (gone, Some(State::Disconnected)), (unknown, None)] {
        let version = store.find(id).await.expect("a working store finds").map_or(Version::FIRST, |row| row.version);
        match acquire(&*store, request(id, version)).await {
            Leased::NotRefreshable { state } => assert_eq!(state, expected),
            other => panic!("{expected:?} is not refreshable, the answer is {}", word(&other)),
        }
    }
}

/// What a worker does that cannot do the job after all.
pub async fn a_lease_given_back_changes_nothing_else(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    settle(&*store, failed(lease, &clock)).await;
    let before = find(&*store, id).await;
    assert!(before.last_error.is_some());

    let request = LeaseRequest { owner: ProcessId::generate(), ..request(id, before.version) };
    let lease = hold(&*store, request).await.lease;
    clock.advance(super::steps::MOMENT).await;
    assert_eq!(settle(&*store, unchanged(lease, &clock, None)).await, Settled::Written(before.version));
    assert_eq!(find(&*store, id).await, before, "the row is as it was, last error included");
    assert_eq!(hold_as_it_stands(&*store, id).await.taken_over_from, None, "the next holder takes nothing over");
}
