//! What is due.

use std::collections::BTreeSet;
use std::sync::Arc;

use evergrant_contract::connection::{Due, IfPresent};
use evergrant_contract::ids::{ConnectionId, ProviderName};
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::state::Reason;

use super::steps::{
    app, app_named, connect, ended, failed, find, hold_as_it_stands, new_connection, put, put_all, refreshed, secs,
    settle,
};
use crate::ManualClock;

async fn due(store: &dyn Store, clock: &ManualClock, app: &ProviderName, after: Option<Due>, limit: u32) -> Vec<Due> {
    store.due(app, clock.now(), after, limit).await.expect("a working store says what is due")
}

async fn is_due(store: &dyn Store, clock: &ManualClock, id: ConnectionId) -> bool {
    due(store, clock, &app(), None, 1000).await.iter().any(|due| due.connection == id)
}

/// The oldest first, ties by id, each page from behind the last row of the one before, none twice.
pub async fn due_comes_in_order_and_page_by_page(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    // Five share each instant, so that pages of three end in the middle of a tie.
    let new = (0..20).map(|n| new_connection(&format!("user-{n}"), clock.now() - secs(n % 4))).collect();
    put_all(&*store, new, IfPresent::Keep).await;
    put(&*store, new_connection("later", clock.now() + secs(1))).await;
    let whole = due(&*store, &clock, &app(), None, 1000).await;
    assert_eq!(whole.len(), 20, "everything whose time has come is due, and nothing else");
    assert!(whole.is_sorted_by_key(|due| (due.refresh_at, due.connection)), "due is ordered by (refresh_at, id)");

    let mut paged: Vec<Due> = Vec::new();
    loop {
        let page = due(&*store, &clock, &app(), paged.last().copied(), 3).await;
        assert!(page.len() <= 3, "a page is no longer than its limit");
        if page.is_empty() {
            break;
        }
        paged.extend(page);
        assert!(paged.len() <= whole.len(), "a page repeats rows of the one before");
    }
    assert_eq!(paged, whole, "the pages make up the whole");
}

/// A refreshed row leaves and a new one comes between two pages; whoever was due all the time is seen.
pub async fn pages_skip_nobody_while_rows_change_between_them(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let new = (0..30).map(|n| new_connection(&format!("user-{n}"), clock.now() - secs(100 - n))).collect();
    put_all(&*store, new, IfPresent::Keep).await;
    let mut waiting: BTreeSet<ConnectionId> =
        due(&*store, &clock, &app(), None, 1000).await.iter().map(|due| due.connection).collect();
    let mut last = None;
    for turn in 0.. {
        assert!(turn <= 30, "the pages come to an end");
        let page = due(&*store, &clock, &app(), last, 4).await;
        let Some(end) = page.last() else { break };
        last = Some(*end);
        for seen in &page {
            waiting.remove(&seen.connection);
        }
        // Everything on this page is dealt with, and somebody new comes in front of it: offsets would skip now.
        for seen in &page {
            let lease = hold_as_it_stands(&*store, seen.connection).await.lease;
            settle(&*store, refreshed(lease, &clock, &format!("{turn}"))).await;
        }
        put(&*store, new_connection(&format!("new-{turn}"), clock.now() - secs(1000))).await;
    }
    assert!(waiting.is_empty(), "{} connections were due all the time and on no page", waiting.len());
}

/// `failing` is tried again; `needs_reauth`, `disconnected` and other apps' connections cost the scheduler nothing.
pub async fn only_refreshable_connections_of_the_app_are_due(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let [active, failing, reauth, gone] = ["active", "failing", "reauth", "gone"];
    let active = connect(&*store, &clock, active).await;
    let failing = connect(&*store, &clock, failing).await;
    let reauth = connect(&*store, &clock, reauth).await;
    let gone = connect(&*store, &clock, gone).await;
    let mut elsewhere = new_connection("elsewhere", clock.now());
    elsewhere.provider = app_named("amazon-eu");
    let elsewhere = put(&*store, elsewhere).await;

    let lease = hold_as_it_stands(&*store, failing).await.lease;
    settle(&*store, failed(lease, &clock)).await;
    let lease = hold_as_it_stands(&*store, reauth).await.lease;
    settle(&*store, ended(lease, &clock, Reason::GrantInvalid)).await;
    assert!(store.disconnect(gone).await.expect("a working store disconnects"));
    assert!(!is_due(&*store, &clock, failing).await, "a failing connection rests until its refresh_at");

    clock.advance(2 * super::steps::HOUR).await;
    assert!(is_due(&*store, &clock, active).await);
    assert!(is_due(&*store, &clock, failing).await, "slow retries go on");
    for (id, name) in [(reauth, "needs_reauth"), (gone, "disconnected"), (elsewhere, "another app's")] {
        assert!(!is_due(&*store, &clock, id).await, "a connection that is {name} is not due");
    }
    let there = due(&*store, &clock, &app_named("amazon-eu"), None, 10).await;
    assert_eq!(there.iter().map(|due| due.connection).collect::<Vec<_>>(), [elsewhere]);
}

/// The scheduler wakes up for it: the earliest of all refreshable ones, past or future, of this app.
pub async fn next_refresh_at_is_the_earliest_of_the_app(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let next = async || store.next_refresh_at(&app()).await.expect("a working store says what comes next");
    assert_eq!(next().await, None, "nobody is there");
    let later = put(&*store, new_connection("later", clock.now() + secs(500))).await;
    let mut elsewhere = new_connection("elsewhere", clock.now());
    elsewhere.provider = app_named("amazon-eu");
    put(&*store, elsewhere).await;
    assert_eq!(next().await, Some(clock.now() + secs(500)), "the future counts, other apps do not");
    let overdue = put(&*store, new_connection("overdue", clock.now() - secs(500))).await;
    assert_eq!(next().await, Some(clock.now() - secs(500)), "the past counts");
    for id in [overdue, later] {
        store.disconnect(id).await.expect("a working store disconnects");
    }
    assert_eq!(next().await, None, "an ended connection has no refresh_at");
}

/// What an operator's "refresh now" does.
pub async fn making_due_is_for_refreshable_connections(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let make_due = async |id| store.make_due(id, clock.now()).await.expect("a working store makes due");
    let id = put(&*store, new_connection("user", clock.now() + secs(1000))).await;
    assert!(!is_due(&*store, &clock, id).await);
    assert!(make_due(id).await);
    assert!(is_due(&*store, &clock, id).await);
    assert_eq!(find(&*store, id).await.version, evergrant_contract::ids::Version::FIRST, "no token has changed");
    store.disconnect(id).await.expect("a working store disconnects");
    assert!(!make_due(id).await, "a disconnected connection is never due");
    assert!(!make_due(ConnectionId::generate()).await, "an unknown connection is never due");
}
