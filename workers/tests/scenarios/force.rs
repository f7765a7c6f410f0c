//! Forced refreshes: one call, whoever asks.

use evergrant_contract::event::Outcome;
use evergrant_contract::job::Job;
use evergrant_testkit::memory::provider::Reply;

use crate::world::{SECOND, World};

#[tokio::test]
async fn many_forced_refreshes_of_one_version_are_one_call() {
    let world = World::strict();
    let id = world.connection("ada").await;
    let job = world.force_job(id).await;
    let jobs: Vec<_> = (0..50).map(|_| world.begin(Job::new(job.payload.clone()))).collect();
    for job in jobs {
        world.finish(job).await;
    }
    assert_eq!(world.provider.call_count(), 1);
    assert!(world.outcomes(id).contains(&Outcome::Refreshed));
}

#[tokio::test]
async fn one_failed_attempt_answers_all_who_asked_before_it() {
    let world = World::new();
    world.provider.otherwise(Reply::Throttled(None));
    let id = world.connection("ada").await;
    let job = world.force_job(id).await;
    for _ in 0..10 {
        world.run(Job::new(job.payload.clone())).await;
    }
    assert_eq!(world.provider.call_count(), 1);
    assert_eq!(world.outcomes(id), vec![Outcome::Unavailable; 10]);
}

#[tokio::test]
async fn a_forced_refresh_of_an_old_version_is_answered_without_a_call() {
    let world = World::new();
    let id = world.connection("ada").await;
    let stale = world.force_job(id).await;
    world.run(world.due_job(id).await).await;
    world.run(stale).await;
    assert_eq!(world.provider.call_count(), 1);
    assert_eq!(world.outcomes(id), [Outcome::Refreshed, Outcome::Refreshed]);
}

#[tokio::test]
async fn nobody_waits_past_the_deadline_so_the_job_is_dropped() {
    let world = World::new();
    let id = world.connection("ada").await;
    let job = world.force_job(id).await;
    world.clock.advance(10 * SECOND).await;
    world.run(job).await;
    assert_eq!(world.provider.call_count(), 0);
}
