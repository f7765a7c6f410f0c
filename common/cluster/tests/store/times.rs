//! Leases, offices and peers by the clock, to the millisecond.

use std::time::Duration;

use evergrant_cluster::PgStore;
use evergrant_contract::connection::{LeaseRequest, Leased};
use evergrant_contract::ids::ProcessId;
use evergrant_contract::ports::{Connections as _, Leases as _, Offices as _, Peer};
use evergrant_testkit::ManualClock;

use crate::database::{Database, keyring};
use crate::steps::{HOUR, connect, hold, noon, request};

const MILLISECOND: Duration = Duration::from_millis(1);
/// A millisecond short of it.
const NEARLY_AN_HOUR: Duration = Duration::from_millis(3_599_999);

async fn is_busy(store: &PgStore, request: LeaseRequest) -> bool {
    matches!(store.acquire(request).await.unwrap(), Leased::Busy)
}

/// It is good until its deadline; from there on the first who looks contests it, and takes it after the grace.
#[tokio::test]
async fn a_lease_lapses_and_its_grace_passes_to_the_millisecond() {
    let Some(database) = Database::fresh().await else { return };
    let clock = ManualClock::new();
    let store = database.store(keyring()).await.with_clock(clock.clone());
    let id = connect(&store, 1).await[0];
    let first = hold(&store, LeaseRequest { ttl: HOUR, ..request(id) }).await;
    let other = LeaseRequest { takeover_grace: HOUR, ..request(id) };

    clock.advance(NEARLY_AN_HOUR).await;
    assert!(is_busy(&store, other).await, "it is still good, and not contested");
    clock.advance(MILLISECOND).await;
    assert!(is_busy(&store, other).await, "it has lapsed and is contested from here");
    clock.advance(NEARLY_AN_HOUR).await;
    assert!(is_busy(&store, other).await, "the grace is not over");
    clock.advance(MILLISECOND).await;
    let taken = hold(&store, other).await;
    assert_eq!(taken.taken_over_from, Some(first.lease.owner));
    assert!(is_busy(&store, request(id)).await, "a lease taken over is as good as any");
}

/// The wall clock of a machine may be set; leases do not care.
#[tokio::test]
async fn a_jump_of_the_wall_clock_moves_no_lease() {
    let Some(database) = Database::fresh().await else { return };
    let clock = ManualClock::new();
    let store = database.store(keyring()).await.with_clock(clock.clone());
    let id = connect(&store, 1).await[0];
    hold(&store, request(id)).await;
    let leased_until = async || store.find(id).await.unwrap().unwrap().leased_until;
    let before = leased_until().await;
    clock.jump(chrono::TimeDelta::days(1));
    assert!(is_busy(&store, LeaseRequest { takeover_grace: Duration::ZERO, ..request(id) }).await);
    assert!(is_busy(&store, LeaseRequest { takeover_grace: Duration::ZERO, ..request(id) }).await);
    assert_eq!(leased_until().await, before);
}

/// Whoever died without departing is forgotten by the announcements of the others.
#[tokio::test]
async fn peers_that_died_long_ago_are_forgotten() {
    const LONG: Duration = Duration::from_hours(24 * 365);
    let Some(database) = Database::fresh().await else { return };
    let clock = ManualClock::new();
    let store = database.store(keyring()).await.with_clock(clock.clone());
    let announce = async || {
        let process = ProcessId::generate();
        let peer = Peer {
            process,
            role: "worker".into(),
            primary_key: "k".into(),
            keys: vec!["k".into()],
            seen_at: noon(),
            drain: None,
        };
        store.announce(&peer).await.unwrap();
        process
    };
    let seen = async || store.peers(LONG).await.unwrap().into_iter().map(|peer| peer.process).collect::<Vec<_>>();
    let died = announce().await;
    clock.advance(23 * HOUR).await;
    let lives = announce().await;
    assert_eq!(seen().await, [died, lives]);
    clock.advance(2 * HOUR).await;
    let new = announce().await;
    assert_eq!(seen().await, [lives, new]);
}
