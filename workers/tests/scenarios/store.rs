//! A store that goes away, and leases whose holders died.

use evergrant_contract::connection::{LeaseRequest, Leased};
use evergrant_contract::ids::{ProcessId, Version};
use evergrant_contract::ports::{Connections as _, Fate, JobHandler as _, Leases as _};
use evergrant_workers::Workers;
use tokio_util::sync::CancellationToken;

use crate::world::{SECOND, SETTINGS, World};

#[tokio::test]
async fn an_answer_is_held_until_the_store_is_back() {
    let world = World::strict();
    let id = world.connection("ada").await;
    let job = world.answered_while_the_store_is_away(world.due_job(id).await).await;
    world.clock.advance(300 * SECOND).await;
    assert!(!job.is_finished(), "far past the lease it still holds the answer");
    world.store.set_down(false);
    world.finish(job).await;
    assert_eq!(world.row(id).await.version, Version::new(2));
    assert_eq!(world.provider.call_count(), 1);
}

#[tokio::test]
async fn the_holder_of_an_answer_wins_against_a_taker_when_the_store_comes_back() {
    let world = World::strict();
    let id = world.connection("ada").await;
    let due = world.due_job(id).await;
    let job = world.answered_while_the_store_is_away(due.clone()).await;
    world.clock.advance(SETTINGS.lease * 2).await;
    world.store.set_down(false);
    // The taker is first to reach the store, and finds the lease lapsed.
    let taker = world.workers().handler().unwrap();
    assert_eq!(taker.handle(due).await, Fate::Done);
    world.finish(job).await;
    assert_eq!(world.row(id).await.version, Version::new(2));
    assert_eq!(world.provider.call_count(), 1);
    world.provider.assert_nothing_spent_twice();
}

#[tokio::test]
async fn an_answer_that_cannot_be_stored_before_the_end_is_spooled_and_adopted_at_the_next_start() {
    let world = World::strict();
    let id = world.connection("ada").await;
    let job = world.answered_while_the_store_is_away(world.due_job(id).await).await;
    world.stop.cancel();
    world.abort.cancel();
    assert_eq!(job.await.unwrap(), Fate::Done);
    assert_eq!(world.spool.len(), 1);

    world.store.set_down(false);
    let stop = CancellationToken::new();
    let workers = Workers { stop: stop.clone(), abort: CancellationToken::new(), ..world.workers() };
    let handler = workers.handler().unwrap();
    let running = tokio::spawn(workers.run(handler));
    for _ in 0..100 {
        world.clock.advance(SECOND).await;
        if world.spool.is_empty() {
            break;
        }
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    assert!(world.spool.is_empty());
    assert_eq!(world.row(id).await.version, Version::new(2));
    assert_eq!(world.provider.call_count(), 1);
}

#[tokio::test]
async fn a_lease_whose_holder_died_is_taken_over_and_the_lost_reply_is_reported() {
    let world = World::strict();
    let id = world.connection("ada").await;
    let due = world.due_job(id).await;
    let dead = ProcessId::generate();
    let request = LeaseRequest {
        connection: id,
        version: Version::FIRST,
        seen_refresh_at: None,
        owner: dead,
        ttl: SETTINGS.lease,
        takeover_grace: SETTINGS.takeover_grace,
        is_awaited: false,
    };
    assert!(matches!(world.store.acquire(request).await.unwrap(), Leased::Held(_)));
    for wait in [SETTINGS.lease, SETTINGS.takeover_grace] {
        world.run(due.clone()).await;
        assert_eq!(world.provider.call_count(), 0);
        world.clock.advance(wait + SECOND).await;
        world.run(due.clone()).await;
    }
    assert_eq!(world.row(id).await.version, Version::new(2));
    let attempts = world.store.attempts(id, 10).await.unwrap();
    assert!(attempts[0].trace.ambiguous);
    assert!(attempts[0].trace.message.contains(&dead.to_string()), "{}", attempts[0].trace.message);
}

#[tokio::test]
async fn a_job_waits_for_a_store_that_is_away_and_goes_back_to_the_queue_at_shutdown() {
    let world = World::new();
    let id = world.connection("ada").await;
    let job = world.due_job(id).await;
    world.store.set_down(true);
    let waiting = world.begin(job.clone());
    world.clock.until_asleep(1).await;
    world.stop.cancel();
    assert_eq!(waiting.await.unwrap(), Fate::PutBack);
}
