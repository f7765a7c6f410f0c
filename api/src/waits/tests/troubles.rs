//! Lost jobs, lost events, a broker and a store that are away, an app that is held.

use std::time::Duration;

use evergrant_contract::app::{AppState, Hold};
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::ids::Version;
use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{Apps as _, Clock as _, Connections as _, EventBus as _};
use evergrant_contract::timing::after;
use evergrant_testkit::Reply;

use super::{SECOND, SETTINGS, Waited, World, refreshed};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn when_every_event_is_lost_the_row_answers_a_moment_later() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    world.events.set_deaf(true);
    let asked = world.clock.monotonic();
    assert_eq!(world.answered(world.refused(id, 1)).await, refreshed(2));
    let took = world.clock.monotonic().saturating_sub(asked);
    assert!(took >= Duration::from_millis(200) && took <= Duration::from_millis(400), "{took:?}");
}

#[tokio::test]
async fn with_events_nobody_waits_for_the_next_look() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    let caller = world.refused(id, 1);
    world.settle().await;
    assert!(caller.is_finished(), "the event wakes who waits, before any time has passed");
    assert_eq!(caller.await.unwrap(), refreshed(2));
}

#[tokio::test]
async fn a_gap_makes_everybody_look_at_once() {
    let world = World::without_workers().await;
    let id = world.connection(HOUR).await;
    let caller = world.refused(id, 1);
    world.settle().await;
    world.store.disconnect(id).await.unwrap();
    world.settle().await;
    assert!(!caller.is_finished());
    world.events.gap();
    world.settle().await;
    assert!(caller.is_finished());
}

#[tokio::test]
async fn an_event_alone_convinces_nobody() {
    let world = World::without_workers().await;
    let id = world.connection(HOUR).await;
    let caller = world.refused(id, 1);
    world.settle().await;
    for outcome in Outcome::ALL {
        let (outcome, version) = (*outcome, Version::new(2));
        let event =
            Event::Connection { connection: id, version, outcome, reason: None, retry_at: None, traceparent: None };
        world.events.publish(vec![event]).await;
    }
    world.settle().await;
    assert!(!caller.is_finished(), "the row is the truth");
}

#[tokio::test]
async fn a_lost_job_is_published_again() {
    let world = World::without_workers().await;
    let id = world.connection(HOUR).await;
    let caller = world.refused(id, 1);
    world.settle().await;
    assert_eq!(world.queue.take_waiting(JobKind::ForceRefresh).len(), 1);
    world.work();
    let asked = world.clock.monotonic();
    assert_eq!(world.answered(caller).await, refreshed(2));
    let took = world.clock.monotonic().saturating_sub(asked);
    assert!(took >= Duration::from_millis(900) && took <= SECOND * 3 / 2, "{took:?}");
    assert_eq!((world.jobs().len(), world.provider.call_count()), (2, 1));
    assert_eq!(world.jobs()[0], world.jobs()[1], "the same job once more");
}

#[tokio::test]
async fn a_job_in_hand_is_not_published_again() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    world.provider.close_gate();
    let caller = world.refused(id, 1);
    world.provider.until_waiting(1).await;
    world.clock.advance(8 * SECOND).await;
    assert_eq!(world.jobs().len(), 1);
    world.provider.open_gate();
    assert_eq!(world.answered(caller).await, refreshed(2));
}

#[tokio::test]
async fn a_broker_that_is_away_and_comes_back_costs_time_only() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    world.queue.set_down(true);
    let caller = world.refused(id, 1);
    world.clock.advance(4 * SECOND).await;
    assert!(!caller.is_finished());
    world.queue.set_down(false);
    assert_eq!(world.answered(caller).await, refreshed(2));
    assert_eq!(world.provider.call_count(), 1);
}

#[tokio::test]
async fn while_the_broker_is_away_somebody_elses_refresh_answers() {
    let world = World::without_workers().await;
    let id = world.connection(HOUR).await;
    world.queue.set_down(true);
    let caller = world.refused(id, 1);
    world.settle().await;
    world.store.disconnect(id).await.unwrap();
    assert!(matches!(world.answered(caller).await, Waited::NeedsReauth(_)));
}

#[tokio::test]
async fn a_broker_that_stays_away_is_no_refresh_that_goes_on() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    world.queue.set_down(true);
    let callers = [world.refused(id, 1), world.refused(id, 1)];
    for caller in callers {
        let waited = world.answered(caller).await;
        assert!(matches!(waited, Waited::Away { .. }), "{waited:?}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_and_comes_back_costs_time_only() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    world.store.set_down(true);
    let caller = world.refused(id, 1);
    world.clock.advance(4 * SECOND).await;
    assert!(!caller.is_finished());
    world.store.set_down(false);
    assert_eq!(world.answered(caller).await, refreshed(2));
}

#[tokio::test]
async fn a_store_that_goes_away_after_the_job_was_taken_leaves_it_pending() {
    let world = World::without_workers().await;
    let id = world.connection(HOUR).await;
    let caller = world.refused(id, 1);
    world.settle().await;
    world.store.set_down(true);
    world.clock.advance(SETTINGS.deadline).await;
    assert!(matches!(caller.await.unwrap(), Waited::Pending { .. }));
}

#[tokio::test]
async fn an_app_that_is_held_is_told_with_its_message_and_no_job() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    let hold = |state, message: &str| Hold {
        state,
        probe_at: after(world.clock.now(), 30 * SECOND),
        code: None,
        message: message.to_owned(),
    };
    let provider = "amazon-na".parse().unwrap();
    world.store.hold(&provider, hold(AppState::Outage, "it answers 503"), world.clock.now()).await.unwrap();
    let expected = |message: &str, is_app_fault| Waited::Unavailable {
        retry_after: 30 * SECOND,
        message: format!("Refreshes of amazon-na are paused: {message}"),
        is_app_fault,
    };
    assert_eq!(world.waits.refresh(super::ask(id, 1)).await, expected("it answers 503", false));
    world.store.hold(&provider, hold(AppState::Fault, "invalid_client"), world.clock.now()).await.unwrap();
    assert_eq!(world.waits.refresh(super::ask(id, 1)).await, expected("invalid_client", true));
    assert_eq!(world.jobs(), []);
}

#[tokio::test]
async fn the_attempt_that_finds_the_app_at_fault_is_told_as_that() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    world.provider.then([Reply::AppFault]);
    let caller = world.refused(id, 1);
    world.settle().await;
    let Waited::Unavailable { is_app_fault: true, message, .. } = caller.await.unwrap() else {
        panic!("a fault of the app expected")
    };
    assert!(message.contains("invalid_client"), "{message}");
    assert_eq!(world.row(id).await.version, Version::FIRST);
}

#[tokio::test]
async fn when_it_is_time_for_a_probe_the_caller_waits_for_what_it_finds() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    let provider = "amazon-na".parse().unwrap();
    let hold =
        Hold { state: AppState::Outage, probe_at: world.clock.now(), code: None, message: "it answers 503".to_owned() };
    world.store.hold(&provider, hold, world.clock.now()).await.unwrap();
    // The worker's copy of the states is a second old at most.
    world.clock.advance(2 * SECOND).await;
    world.provider.close_gate();
    let caller = world.refused(id, 1);
    world.provider.until_waiting(1).await;
    world.clock.advance(3 * SECOND).await;
    assert!(!caller.is_finished(), "its own probe is under way");
    world.provider.open_gate();
    assert_eq!(world.answered(caller).await, refreshed(2));
}

#[tokio::test]
async fn a_row_that_was_made_due_meanwhile_is_asked_for_again_as_it_stands() {
    let world = World::without_workers().await;
    let id = world.connection(HOUR).await;
    let caller = world.refused(id, 1);
    world.settle().await;
    world.store.make_due(id, world.clock.now()).await.unwrap();
    world.work();
    assert_eq!(world.answered(caller).await, refreshed(2));
    assert_eq!(world.provider.call_count(), 1);
}
