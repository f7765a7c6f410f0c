//! What is done for whom, day by day, and when connections were used.

use std::sync::Arc;

use chrono::{Days, TimeDelta};
use evergrant_contract::ids::{ConnectionId, ProviderName};
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::usage::{Counts, Day, DayUse, Left, Rank};

use super::steps::{app, app_named, at_once, connect, find};
use crate::ManualClock;

fn day(number: u32) -> Day {
    Day::from_ymd_opt(2026, 11, number).expect("a day of November")
}

fn on(number: u32, provider: ProviderName, user: &str, counts: Counts) -> DayUse {
    DayUse { day: day(number), provider, user: user.parse().expect("a user id in a case is well formed"), counts }
}

/// So many calls, and one refresh with so many seconds left.
fn busy(calls: u64, left: i64) -> Counts {
    Counts { refreshes: 1, calls, left: Left::one(left), ..Counts::default() }
}

async fn add(store: &dyn Store, uses: &[DayUse]) {
    store.add_usage(uses).await.expect("a working store counts");
}

/// Days, users and calls of the days from the first to the fifth.
async fn days(store: &dyn Store, user: Option<&str>) -> Vec<(Day, String, u64, Counts)> {
    let user = user.map(|user| user.parse().expect("a user id in a case is well formed"));
    let totals =
        store.usage_by_day(day(1), day(5), user.as_ref()).await.expect("a working store tells what it counted");
    totals.into_iter().map(|total| (total.day, total.provider.to_string(), total.users, total.counts)).collect()
}

async fn ranked(store: &dyn Store, by: Rank, limit: u32) -> Vec<(String, u64)> {
    let totals = store.usage_by_user(day(1), day(5), by, limit).await.expect("a working store ranks its users");
    totals.into_iter().map(|total| (total.user.to_string(), total.counts.calls)).collect()
}

/// Also within one call, and a day without a refresh takes nothing from the least of another.
pub async fn usage_adds_up_by_day_and_provider_app(store: Arc<dyn Store>, _: Arc<ManualClock>) {
    add(&*store, &[]).await;
    assert_eq!(days(&*store, None).await, []);
    let quiet = Counts { failures: 2, forced: 1, ..Counts::default() };
    let eu = app_named("amazon-eu");
    add(
        &*store,
        &[on(2, app(), "ada", quiet), on(2, app(), "ada", busy(5, 700)), on(1, eu.clone(), "bob", busy(1, 9))],
    )
    .await;
    add(&*store, &[on(2, app(), "ada", busy(2, -30)), on(2, app(), "cyd", quiet), on(6, app(), "ada", quiet)]).await;

    let left = Left { count: 2, ended: 1, sum: 670, least: -30 };
    let both = Counts { refreshes: 2, failures: 4, forced: 2, calls: 7, left };
    let (app, eu) = (app().to_string(), eu.to_string());
    assert_eq!(days(&*store, None).await, [(day(1), eu, 1, busy(1, 9)), (day(2), app.clone(), 2, both)]);
    assert_eq!(days(&*store, Some("cyd")).await, [(day(2), app, 1, quiet)]);
    assert_eq!(days(&*store, Some("nobody")).await, []);
}

/// Processes add at the same time, in whatever order each has its users.
pub async fn concurrent_usage_adds_up(store: Arc<dyn Store>, _: Arc<ManualClock>) {
    at_once(20, |caller| {
        let store = Arc::clone(&store);
        async move {
            let mut uses = vec![on(1, app(), "ada", busy(1, 60)), on(1, app(), "bob", busy(2, 60))];
            if caller % 2 == 0 {
                uses.reverse();
            }
            add(&*store, &uses).await;
        }
    })
    .await;
    assert_eq!(ranked(&*store, Rank::Refreshes, 10).await, [("ada".to_owned(), 20), ("bob".to_owned(), 40)]);
}

/// Equals come in the order of their ids; those with none of it do not come.
pub async fn users_are_ranked(store: Arc<dyn Store>, _: Arc<ManualClock>) {
    let failing = Counts { failures: 9, ..Counts::default() };
    add(
        &*store,
        &[on(1, app(), "ada", busy(3, 60)), on(2, app(), "ada", busy(4, 60)), on(1, app(), "bob", busy(9, 60))],
    )
    .await;
    add(&*store, &[on(3, app(), "cyd", failing), on(3, app(), "dan", busy(7, 60)), on(6, app(), "eve", busy(99, 60))])
        .await;
    let most =
        |users: &[(&str, u64)]| users.iter().map(|(user, calls)| ((*user).to_owned(), *calls)).collect::<Vec<_>>();
    assert_eq!(ranked(&*store, Rank::Calls, 10).await, most(&[("bob", 9), ("ada", 7), ("dan", 7)]));
    assert_eq!(ranked(&*store, Rank::Calls, 2).await, most(&[("bob", 9), ("ada", 7)]));
    assert_eq!(ranked(&*store, Rank::Failures, 10).await, most(&[("cyd", 0)]));
    assert_eq!(ranked(&*store, Rank::Forced, 10).await, []);
}

/// And only them.
pub async fn forgetting_usage_takes_the_days_before(store: Arc<dyn Store>, _: Arc<ManualClock>) {
    add(
        &*store,
        &[on(1, app(), "ada", busy(1, 60)), on(1, app(), "bob", busy(1, 60)), on(2, app(), "ada", busy(1, 60))],
    )
    .await;
    let forget = async || store.forget_usage_before(day(2)).await.expect("a working store forgets");
    assert_eq!((forget().await, forget().await), (2, 0));
    assert_eq!(days(&*store, None).await.len(), 1);
}

/// A time that is told late takes nothing back, and an id that is nobody's is no error.
pub async fn the_latest_use_of_a_connection_is_noted(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "ada").await;
    let last_used = async |id| store.last_used(id).await.expect("a working store knows when");
    let note = async |uses: &[_]| store.note_used(uses).await.expect("a working store notes uses");
    let created = find(&*store, id).await;
    assert_eq!(last_used(id).await, created.consent_at.max(Some(created.created_at)), "a consent is a use");
    assert_eq!(last_used(ConnectionId::generate()).await, None);

    let later = created.created_at.max(clock.now()) + TimeDelta::hours(1);
    let earlier = later - TimeDelta::minutes(5);
    note(&[(id, earlier), (id, later), (ConnectionId::generate(), later), (id, earlier)]).await;
    assert_eq!(last_used(id).await, Some(later));
    note(&[(id, earlier)]).await;
    assert_eq!(last_used(id).await, Some(later));
}

/// Of those that are refreshed: one that has ended is nobody's to rest.
pub async fn unused_connections_are_counted(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (ada, bob) = (connect(&*store, &clock, "ada").await, connect(&*store, &clock, "bob").await);
    let gone = connect(&*store, &clock, "gone").await;
    assert!(store.disconnect(gone).await.expect("a working store disconnects"));
    let created = find(&*store, ada).await.created_at.max(find(&*store, bob).await.created_at).max(clock.now());
    let unused = async |since| store.unused_since(since).await.expect("a working store counts");
    let month = created + Days::new(30);
    assert_eq!(unused(month).await, (2, 2));
    store.note_used(&[(bob, month)]).await.expect("a working store notes uses");
    assert_eq!(unused(month).await, (1, 2));
    assert_eq!(unused(created - Days::new(30)).await, (0, 2));
}
