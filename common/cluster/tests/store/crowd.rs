//! Many processes on the same rows at once.

use std::collections::HashMap;
use std::sync::Arc;

use evergrant_contract::connection::{Leased, Settled};
use evergrant_contract::ids::Version;
use evergrant_contract::ports::{Connections as _, Leases as _};

use crate::database::{Database, keyring};
use crate::steps::{connect, noon, refreshed, request};

/// Two stores stand for two processes: their batches meet in the database, in every order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_of_the_same_hundred_connections_are_one_holder_each() {
    const CALLERS: usize = 64;
    const CONNECTIONS: usize = 100;
    let Some(database) = Database::fresh().await else { return };
    let keyring = keyring();
    let stores = [Arc::new(database.store(keyring.clone()).await), Arc::new(database.store(keyring).await)];
    let ids = connect(&stores[0], CONNECTIONS).await;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let store = Arc::clone(&stores[caller % 2]);
            // Every caller starts elsewhere, and every other one goes backwards.
            let mut order: Vec<_> = (0..CONNECTIONS).map(|n| ids[(n + caller * 7) % CONNECTIONS]).collect();
            if caller % 4 < 2 {
                order.reverse();
            }
            tokio::spawn(async move {
                let answers = futures::future::join_all(order.iter().map(|id| store.acquire(request(*id)))).await;
                let held = answers.into_iter().filter_map(|answer| match answer.unwrap() {
                    Leased::Held(grant) => Some(grant.lease),
                    Leased::Busy => None,
                    _ => panic!("a connection is held or busy"),
                });
                held.collect::<Vec<_>>()
            })
        })
        .collect();
    let mut holders = HashMap::new();
    for caller in callers {
        for lease in caller.await.unwrap() {
            assert!(holders.insert(lease.connection, lease).is_none(), "{} has two holders", lease.connection);
        }
    }
    assert_eq!(holders.len(), CONNECTIONS, "every lease was free for the first who asked");

    // Each result comes twice, once through each process: one is written, the other lost.
    let results = holders.values().flat_map(|lease| stores.iter().map(move |store| (store, *lease)));
    let settled = results.map(|(store, lease)| store.settle(refreshed(lease, "Atza|new", Some("Atzr|new"))));
    let settled: Vec<_> = futures::future::join_all(settled).await.into_iter().map(Result::unwrap).collect();
    let count = |outcome| settled.iter().filter(|settled| **settled == outcome).count();
    assert_eq!(count(Settled::Written(Version::new(2))), CONNECTIONS);
    assert_eq!(count(Settled::Lost), CONNECTIONS);
    assert_eq!(stores[0].stats(noon(), noon()).await.unwrap().refreshed, CONNECTIONS as u64);
}

/// A batch holds a connection once: the second call is answered after the first, and by what became of it.
#[tokio::test]
async fn the_same_connection_many_times_at_once_is_one_holder() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    let id = connect(&store, 1).await[0];
    let answers = futures::future::join_all((0..200).map(|_| store.acquire(request(id)))).await;
    let held = answers.iter().filter(|answer| matches!(answer, Ok(Leased::Held(_)))).count();
    let busy = answers.iter().filter(|answer| matches!(answer, Ok(Leased::Busy))).count();
    assert_eq!((held, busy), (1, 199));
}
