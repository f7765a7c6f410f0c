//! A provider app that is held.

use evergrant_contract::app::AppState;
use evergrant_contract::event::Event;
use evergrant_contract::ids::Version;
use evergrant_contract::state::State;
use evergrant_testkit::memory::provider::Reply;

use crate::world::{SECOND, World};

#[tokio::test]
async fn an_outage_holds_the_app_costs_no_connection_anything_and_heals_by_a_probe() {
    let world = World::new();
    world.provider.otherwise(Reply::Transient);
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(world.connection(&format!("user-{n}")).await);
    }
    for id in &ids {
        world.run(world.due_job(*id).await).await;
    }
    assert_eq!(world.app_state().await, AppState::Outage);
    let calls_when_held = world.provider.call_count();
    assert!(calls_when_held <= 8, "{calls_when_held} calls until the breaker tripped and the first probes");

    // A day of outage: every due connection is tried again and again by a scheduler that knows nothing.
    for _ in 0..200 {
        world.clock.advance(5 * SECOND).await;
        for id in ids.iter().take(3) {
            world.run(world.due_job(*id).await).await;
        }
    }
    for id in &ids {
        let row = world.row(*id).await;
        assert_eq!((row.state, row.version), (State::Active, Version::FIRST), "failures: {}", row.failures);
        assert!(row.failures <= 1, "only who failed before the breaker tripped has it on record");
    }
    assert!(world.open_jobs().await.is_empty());

    world.provider.otherwise(Reply::Rotated);
    world.clock.advance(10 * SECOND).await;
    for id in &ids {
        world.run(world.due_job(*id).await).await;
    }
    assert_eq!(world.app_state().await, AppState::Open);
    for id in &ids {
        world.run(world.due_job(*id).await).await;
        assert_eq!(world.row(*id).await.failures, 0);
    }
}

#[tokio::test]
async fn a_refused_client_secret_pauses_the_app_says_so_once_and_touches_no_connection() {
    let world = World::new();
    world.provider.otherwise(Reply::AppFault);
    let (ada, bob) = (world.connection("ada").await, world.connection("bob").await);
    let before = (world.row(ada).await, world.row(bob).await);
    for id in [ada, bob, ada, bob] {
        world.run(world.due_job(id).await).await;
    }
    assert_eq!(world.provider.call_count(), 1, "held after the first refusal");
    assert_eq!(world.app_state().await, AppState::Fault);
    let announced = world.events.published().into_iter().filter(|event| matches!(event, Event::App { .. })).count();
    assert_eq!(announced, 1);
    assert_eq!((world.row(ada).await, world.row(bob).await), before);

    world.provider.otherwise(Reply::Rotated);
    world.clock.advance(61 * SECOND).await;
    for id in [ada, bob] {
        world.run(world.due_job(id).await).await;
    }
    assert_eq!(world.app_state().await, AppState::Open);
    assert_eq!(world.row(bob).await.version, Version::new(2));
}
