//! Who is there and who leads.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ids::ProcessId;
use evergrant_contract::ports::{Clock as _, Peer, Store};

use super::steps::{HOUR, MOMENT, at_once};
use crate::ManualClock;
use crate::conformance::eventually;

const OFFICE: &str = "scheduler";

async fn lead(store: &dyn Store, process: ProcessId, ttl: Duration) -> bool {
    store.lead(OFFICE, process, ttl).await.expect("a working store fills offices")
}

async fn resign(store: &dyn Store, process: ProcessId) {
    store.resign(OFFICE, process).await.expect("a working store takes offices back");
}

/// All start at the same time, as after a power cut.
pub async fn one_of_many_leads(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let leads = at_once(20, |_| {
        let store = Arc::clone(&store);
        async move { lead(&*store, ProcessId::generate(), HOUR).await }
    })
    .await;
    assert_eq!(leads.iter().filter(|leads| **leads).count(), 1, "one of twenty leads");
}

/// It says so again and again, and nobody comes between.
pub async fn a_leader_stays_as_long_as_it_says_so(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (leader, standby) = (ProcessId::generate(), ProcessId::generate());
    for turn in 0..5 {
        assert!(lead(&*store, leader, HOUR).await, "turn {turn}");
        clock.advance(HOUR / 2).await;
        assert!(!lead(&*store, standby, HOUR).await, "turn {turn}");
    }
}

/// A leader that is gone is replaced, and stays replaced when it comes back.
pub async fn an_office_that_lapsed_goes_to_another(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (former, standby) = (ProcessId::generate(), ProcessId::generate());
    assert!(lead(&*store, former, MOMENT).await);
    eventually("the standby's turn", async || {
        clock.advance(10 * MOMENT).await;
        lead(&*store, standby, HOUR).await.then_some(())
    })
    .await;
    assert!(!lead(&*store, former, HOUR).await, "the former leader has been replaced");
}

/// At once, so that a planned restart costs no time; nobody resigns for another.
pub async fn only_the_holder_resigns(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let (leader, standby) = (ProcessId::generate(), ProcessId::generate());
    assert!(lead(&*store, leader, HOUR).await);
    resign(&*store, standby).await;
    assert!(!lead(&*store, standby, HOUR).await, "the leader has not resigned");
    resign(&*store, leader).await;
    assert!(lead(&*store, standby, HOUR).await);
    resign(&*store, leader).await;
    assert!(!lead(&*store, leader, HOUR).await, "a second resignation takes nothing from the next leader");
}

/// Two offices may have two holders.
pub async fn offices_are_held_apart(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let (scheduler, sweeper) = (ProcessId::generate(), ProcessId::generate());
    assert!(lead(&*store, scheduler, HOUR).await);
    assert!(store.lead("sweeper", sweeper, HOUR).await.expect("a working store fills offices"));
    store.resign("sweeper", sweeper).await.expect("a working store takes offices back");
    assert!(!lead(&*store, sweeper, HOUR).await);
}

/// Once each, as they were last announced, until they depart or fall silent.
pub async fn peers_are_those_seen_lately(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let peers = async |within| {
        let mut peers = store.peers(within).await.expect("a working store knows its peers");
        peers.sort_by_key(|peer| peer.process);
        peers
    };
    let announce = async |peer: &Peer| store.announce(peer).await.expect("a working store hears");
    let peer = |role: &str, keys: &[&str]| Peer {
        process: ProcessId::generate(),
        role: role.into(),
        primary_key: keys[0].into(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        seen_at: clock.now(),
        drain: None,
    };
    assert_eq!(peers(HOUR).await, []);
    let (worker, mut api) = (peer("worker", &["key-1", "key-0"]), peer("api", &["key-1"]));
    for peer in [&worker, &api] {
        announce(peer).await;
    }
    (api.primary_key, api.keys) = ("key-2".into(), vec!["key-2".into(), "key-1".into()]);
    announce(&api).await;
    let seen = peers(HOUR).await;
    let as_announced = |peer: &Peer| Peer { seen_at: clock.now(), ..peer.clone() };
    let mut expected = [as_announced(&worker), as_announced(&api)];
    expected.sort_by_key(|peer| peer.process);
    assert_eq!(seen.iter().map(as_announced).collect::<Vec<_>>(), expected);

    store.depart(worker.process).await.expect("a working store lets go");
    assert_eq!(peers(HOUR).await.iter().map(|peer| peer.process).collect::<Vec<_>>(), [api.process]);
    eventually("the silence of a peer", async || {
        clock.advance(10 * MOMENT).await;
        peers(MOMENT).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(peers(HOUR).await.len(), 1, "it fell silent a moment ago, not an hour ago");
}
