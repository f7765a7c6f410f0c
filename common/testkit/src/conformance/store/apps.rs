//! The state of provider apps.

use std::sync::Arc;

use evergrant_contract::Timestamp;
use evergrant_contract::app::{App, AppState, Hold};
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::{Clock as _, Store};

use super::steps::{app, app_named, at_once, secs};
use crate::ManualClock;

fn held_by(state: AppState, probe_at: Timestamp) -> Hold {
    Hold { state, probe_at, code: Some(format!("{state}-code")), message: format!("held by {state}") }
}

async fn find(store: &dyn Store, provider: &ProviderName) -> Option<App> {
    let apps = store.apps().await.expect("a working store lists apps");
    apps.into_iter().find(|app| app.provider == *provider)
}

async fn hold(store: &dyn Store, hold: Hold, now: Timestamp) -> bool {
    store.hold(&app(), hold, now).await.expect("a working store holds apps")
}

fn assert_one(news: &[bool], what: &str) {
    assert_eq!(news.iter().filter(|is_news| **is_news).count(), 1, "of {} callers one {what}", news.len());
}

/// Many workers meet the outage at once; people are told of it once.
pub async fn one_caller_announces_a_hold(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    assert_eq!(find(&*store, &app()).await, None, "an app that was never held is not kept");
    let (now, probe_at) = (clock.now(), clock.now() + secs(30));
    let news = at_once(20, |_| {
        let store = Arc::clone(&store);
        async move { hold(&*store, held_by(AppState::Outage, probe_at), now).await }
    })
    .await;
    assert_one(&news, "announces the hold");
    let held = find(&*store, &app()).await.expect("it is held");
    assert_eq!((held.state, held.since), (AppState::Outage, now));
    assert_eq!(held.code.as_deref(), Some("outage-code"));
    assert_eq!(held.message.as_deref(), Some("held by outage"));
    assert!(held.probe_at.is_some(), "somebody will probe it");
}

/// A fault needs a person; that the provider is away as well does not change it.
pub async fn an_outage_becomes_a_fault_and_never_the_reverse(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (now, probe_at) = (clock.now(), clock.now() + secs(30));
    assert!(hold(&*store, held_by(AppState::Outage, probe_at), now).await);
    assert!(hold(&*store, held_by(AppState::Fault, probe_at), now + secs(1)).await, "a fault is news");
    let fault = find(&*store, &app()).await.expect("it is held");
    assert_eq!((fault.state, fault.code.as_deref()), (AppState::Fault, Some("fault-code")));
    assert!(!hold(&*store, held_by(AppState::Outage, probe_at), now + secs(2)).await);
    assert!(!hold(&*store, held_by(AppState::Fault, probe_at), now + secs(3)).await, "a second fault is no news");
    let still = find(&*store, &app()).await.expect("it is held");
    assert_eq!((still.state, still.code.as_deref()), (AppState::Fault, Some("fault-code")));
    assert_eq!(still.since, fault.since, "since when it is at fault, not when somebody noticed again");
}

/// And what held it is gone.
pub async fn one_caller_announces_that_an_app_is_open(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let now = clock.now();
    let open = async |at| store.open(&app(), at).await.expect("a working store opens apps");
    assert!(!open(now).await, "it was never held");
    hold(&*store, held_by(AppState::Outage, now + secs(30)), now).await;
    let news = at_once(20, |_| {
        let store = Arc::clone(&store);
        async move { store.open(&app(), now + secs(60)).await.expect("a working store opens apps") }
    })
    .await;
    assert_one(&news, "announces that the app is open");
    let app = find(&*store, &app()).await.expect("it was held once");
    assert_eq!((app.state, app.since), (AppState::Open, now + secs(60)));
    assert_eq!((app.probe_at, app.code), (None, None));
    assert!(hold(&*store, held_by(AppState::Outage, now + secs(90)), now + secs(61)).await, "held again is news again");
}

/// Recovery probes with one call, not with everybody's.
pub async fn one_of_twenty_gets_the_turn_to_probe(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let now = clock.now();
    let claim = |at: i64| {
        let store = Arc::clone(&store);
        async move {
            let next = now + secs(at + 30);
            store.claim_probe(&app(), now + secs(at), next).await.expect("a working store gives turns")
        }
    };
    assert!(!claim(0).await, "an open app needs no probe");
    hold(&*store, held_by(AppState::Outage, now + secs(10)), now).await;
    assert!(!claim(9).await, "the first turn is not due yet");
    assert_one(&at_once(20, |_| claim(10)).await, "probes");
    assert!(!claim(39).await, "the next turn is not due yet");
    assert_one(&at_once(20, |_| claim(40)).await, "probes in the next turn");
    assert!(store.open(&app(), now + secs(41)).await.expect("a working store opens apps"));
    assert!(!claim(100).await, "it is open again");
}

/// One app's outage is no other's.
pub async fn apps_are_held_apart(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (now, eu) = (clock.now(), app_named("amazon-eu"));
    assert!(hold(&*store, held_by(AppState::Fault, now), now).await);
    assert_eq!(find(&*store, &eu).await, None);
    assert!(store.hold(&eu, held_by(AppState::Outage, now), now).await.expect("a working store holds apps"));
    assert!(store.open(&app(), now).await.expect("a working store opens apps"));
    assert_eq!(find(&*store, &eu).await.map(|app| app.state), Some(AppState::Outage));
    assert_eq!(store.apps().await.expect("a working store lists apps").len(), 2);
}
