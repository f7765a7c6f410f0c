//! Refreshes that succeed.

use evergrant_contract::event::Outcome;
use evergrant_contract::ids::Version;
use evergrant_contract::ports::{Clock as _, Connections as _, Fate};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::State;
use evergrant_contract::timing::after;
use evergrant_testkit::memory::provider::Reply;

use crate::world::{HOUR, SECOND, World};

#[tokio::test]
async fn a_due_token_is_refreshed_once_however_often_its_job_is_delivered() {
    let world = World::new();
    let id = world.connection("ada").await;
    let sent_at = world.clock.now();
    let job = world.due_job(id).await;
    for _ in 0..3 {
        assert_eq!(world.run(job.clone()).await, Fate::Done);
    }
    assert_eq!(world.provider.call_count(), 1);
    let row = world.row(id).await;
    assert_eq!((row.state, row.version, row.leased_until), (State::Active, Version::new(2), None));
    assert_eq!(row.expires_at, Some(after(sent_at, HOUR)), "counted from before the request was sent");
    assert!(world.store.refresh_token(id).unwrap().same_as(&Secret::new("Atzr|scripted-1")));
    assert_eq!(world.outcomes(id), [Outcome::Refreshed]);
}

#[tokio::test]
async fn an_answer_without_a_refresh_token_keeps_the_stored_one() {
    let world = World::new();
    world.provider.then([Reply::Refreshed]);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    assert!(world.store.refresh_token(id).unwrap().same_as(&Secret::new("Atzr|ada")));
}

#[tokio::test]
async fn a_hiccup_is_tried_again_within_the_job() {
    let world = World::new();
    world.provider.then([Reply::Transient, Reply::Rotated]);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    let row = world.row(id).await;
    assert_eq!((row.version, row.failures, row.last_error), (Version::new(2), 0, None));
    assert_eq!(world.store.attempts(id, 10).await.unwrap().len(), 1, "the failed call is kept");
}

#[tokio::test]
async fn whoever_waits_may_go_away_the_refresh_goes_on() {
    let world = World::new();
    let id = world.connection("ada").await;
    world.provider.close_gate();
    let waiting = world.begin(world.due_job(id).await);
    world.provider.until_waiting(1).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    world.provider.open_gate();
    for _ in 0..100 {
        world.clock.advance(SECOND).await;
    }
    assert_eq!(world.row(id).await.version, Version::new(2));
}
