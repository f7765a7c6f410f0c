//! How much there is, for metrics.

use std::sync::Arc;

use evergrant_contract::census::{Backlog, Headcount};
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::state::{Reason, State};

use super::steps::{
    HOUR, app, app_named, connect, ended, failed, hold_as_it_stands, new_connection, put, secs, settle,
};
use crate::ManualClock;

/// Those whose time has come and the time of the first, of this app only.
pub async fn a_backlog_is_counted_as_far_as_asked(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let now = clock.now();
    let backlog =
        async |at_most| store.backlog(&app(), now, at_most).await.expect("a working store counts what is due");
    assert_eq!(backlog(100).await, Backlog::default(), "nobody is there");
    for n in 0..7_u32 {
        put(&*store, new_connection(&format!("user-{n}"), now - secs(n.into()))).await;
    }
    put(&*store, new_connection("later", now + secs(1))).await;
    let mut elsewhere = new_connection("elsewhere", now - secs(500));
    elsewhere.provider = app_named("amazon-eu");
    put(&*store, elsewhere).await;
    let oldest = Some(now - secs(6));
    assert_eq!(backlog(100).await, Backlog { due: 7, oldest });
    assert_eq!(backlog(5).await, Backlog { due: 5, oldest }, "counting stops, and the oldest is told all the same");
}

/// Of those that are due, the ones that nobody can use now; an unknown end counts as past.
pub async fn expired_tokens_are_counted_among_the_oldest(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let now = clock.now();
    let expired = async |at_most| store.expired(&app(), now, at_most).await.expect("a working store counts");
    assert_eq!(expired(100).await, 0, "nobody is there");
    for (user, due_since, ends_in) in
        [("long", 300, Some(-10)), ("now", 200, Some(0)), ("unknown", 100, None), ("good", 50, Some(1))]
    {
        let mut new = new_connection(user, now - secs(due_since));
        new.expires_at = ends_in.map(|ends_in| now + secs(ends_in));
        put(&*store, new).await;
    }
    let mut not_due = new_connection("not due", now + secs(60));
    not_due.expires_at = Some(now - secs(60));
    put(&*store, not_due).await;
    assert_eq!(expired(100).await, 3);
    assert_eq!(expired(2).await, 2, "only the oldest are looked at");
}

/// Every connection is counted where it stands.
pub async fn everybody_is_counted_by_app_and_state(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let headcount = async || {
        let mut counted = store.headcount(HOUR).await.expect("a working store counts its connections");
        counted.sort();
        counted
    };
    assert_eq!(headcount().await, [], "what nobody is in is not named");
    for n in 0..3 {
        connect(&*store, &clock, &format!("active-{n}")).await;
    }
    let failing = connect(&*store, &clock, "failing").await;
    let reauth = connect(&*store, &clock, "reauth").await;
    let gone = connect(&*store, &clock, "gone").await;
    let mut elsewhere = new_connection("elsewhere", clock.now());
    elsewhere.provider = app_named("amazon-eu");
    put(&*store, elsewhere).await;
    let lease = hold_as_it_stands(&*store, failing).await.lease;
    settle(&*store, failed(lease, &clock)).await;
    let lease = hold_as_it_stands(&*store, reauth).await.lease;
    settle(&*store, ended(lease, &clock, Reason::GrantInvalid)).await;
    assert!(store.disconnect(gone).await.expect("a working store disconnects"));

    let of = |provider: &str, state, connections| Headcount { provider: app_named(provider), state, connections };
    let mut expected = vec![
        of("amazon-eu", State::Active, 1),
        of("amazon-na", State::Active, 3),
        of("amazon-na", State::Failing, 1),
        of("amazon-na", State::NeedsReauth, 1),
        of("amazon-na", State::Disconnected, 1),
    ];
    expected.sort();
    assert_eq!(headcount().await, expected);
}
