//! What callers are told, and what it costs.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::job::ForceReason;
use evergrant_contract::ports::{Clock as _, Connections as _};
use evergrant_contract::state::Reason;
use evergrant_contract::timing::until;
use evergrant_testkit::Reply;

use super::{Ask, SECOND, SETTINGS, Waited, World, ask, begin, deadline, refreshed};
use crate::settings::ForceSettings;

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_thousand_callers_cost_one_job_and_one_call_and_all_have_the_new_version() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    let callers: Vec<_> = (0..1_000).map(|_| world.refused(id, 1)).collect();
    for caller in callers {
        assert_eq!(world.answered(caller).await, refreshed(2));
    }
    assert_eq!((world.jobs().len(), world.provider.call_count()), (1, 1));
}

#[tokio::test]
async fn callers_of_three_processes_cost_one_call() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    let others = [world.another_process().await, world.another_process().await];
    world.provider.close_gate();
    let mut callers: Vec<_> = (0..100).map(|_| world.refused(id, 1)).collect();
    callers.extend(others.iter().flat_map(|waits| (0..100).map(|_| begin(waits, ask(id, 1)))));
    world.provider.until_waiting(1).await;
    world.provider.open_gate();
    for caller in callers {
        assert_eq!(world.answered(caller).await, refreshed(2));
    }
    assert_eq!(world.provider.call_count(), 1);
}

#[tokio::test]
async fn a_newer_version_answers_with_no_job() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    assert_eq!(world.answered(world.refused(id, 0)).await, refreshed(1));
    assert_eq!(world.jobs(), []);
}

#[tokio::test]
async fn whoever_goes_away_cancels_nothing() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    world.provider.close_gate();
    let (first, second) = (world.refused(id, 1), world.refused(id, 1));
    world.provider.until_waiting(1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    world.provider.open_gate();
    assert_eq!(world.answered(second).await, refreshed(2));

    world.clock.advance(2 * SETTINGS.fresh).await;
    world.provider.close_gate();
    let only = world.refused(id, 2);
    world.provider.until_waiting(1).await;
    only.abort();
    world.provider.open_gate();
    world.settle().await;
    assert_eq!(world.row(id).await.version, Version::new(3));
}

#[tokio::test]
async fn all_are_told_that_the_grant_has_ended() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    world.provider.otherwise(Reply::GrantInvalid);
    let callers: Vec<_> = (0..20).map(|_| world.refused(id, 1)).collect();
    for caller in callers {
        assert_eq!(world.answered(caller).await, Waited::NeedsReauth(Reason::GrantInvalid));
    }
    let (jobs, calls) = (world.jobs().len(), world.provider.call_count());
    assert_eq!(world.answered(world.refused(id, 1)).await, Waited::NeedsReauth(Reason::GrantInvalid));
    assert_eq!((world.jobs().len(), world.provider.call_count()), (jobs, calls), "an ended grant costs nothing");
}

#[tokio::test]
async fn a_disconnect_in_the_middle_is_told_at_once() {
    let world = World::without_workers().await;
    let id = world.connection(HOUR).await;
    let caller = world.refused(id, 1);
    world.settle().await;
    world.store.disconnect(id).await.unwrap();
    assert_eq!(world.answered(caller).await, Waited::NeedsReauth(Reason::ByUser));
}

#[tokio::test]
async fn one_failed_attempt_answers_all_and_those_who_ask_within_the_cool_down() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    world.provider.then([Reply::Transient]);
    let callers: Vec<_> = (0..20).map(|_| world.refused(id, 1)).collect();
    for caller in callers {
        let Waited::Unavailable { retry_after, message, is_app_fault: false } = world.answered(caller).await else {
            panic!("unavailable expected")
        };
        assert_eq!(message, "scripted: server_error");
        assert!(retry_after > SECOND && retry_after <= 15 * SECOND, "{retry_after:?}");
    }
    world.clock.advance(3 * SECOND).await;
    let Waited::Unavailable { retry_after, .. } = world.answered(world.refused(id, 1)).await else {
        panic!("the cool-down expected")
    };
    assert!(retry_after <= 2 * SECOND, "{retry_after:?}");
    assert_eq!(world.provider.call_count(), 1);

    world.clock.advance(2 * SECOND).await;
    assert_eq!(world.answered(world.refused(id, 1)).await, refreshed(2));
    assert_eq!(world.provider.call_count(), 2);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_is_rejected_with_no_call() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    assert_eq!(world.answered(world.refused(id, 1)).await, refreshed(2));
    assert_eq!(world.answered(world.refused(id, 2)).await, Waited::Rejected);
    assert_eq!(world.provider.call_count(), 1);
    world.clock.advance(SETTINGS.fresh).await;
    assert_eq!(world.answered(world.refused(id, 2)).await, refreshed(3));
}

#[tokio::test]
async fn an_operator_gets_a_call_where_others_get_none() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    let insist = |observed| begin(&world.waits, Ask { reason: ForceReason::Operator, ..ask(id, observed) });
    assert_eq!(world.answered(insist(1)).await, refreshed(2));
    assert_eq!(world.answered(world.refused(id, 2)).await, Waited::Rejected);
    assert_eq!(world.answered(insist(2)).await, refreshed(3));
    world.provider.then([Reply::Transient]);
    assert!(matches!(world.answered(insist(3)).await, Waited::Unavailable { .. }));
    assert_eq!(world.answered(insist(3)).await, refreshed(4), "no cool-down");
}

#[tokio::test]
async fn a_version_from_the_future_is_taken_for_the_present_one() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    assert_eq!(world.answered(world.refused(id, 99)).await, refreshed(2));
    assert_eq!(world.answered(world.refused(id, 99)).await, Waited::Rejected, "it is no way around the rules");
    assert_eq!(world.provider.call_count(), 1);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let world = World::new().await;
    assert_eq!(world.answered(world.refused(ConnectionId::generate(), 1)).await, Waited::NotFound);
}

#[tokio::test]
async fn a_callers_own_patience_shortens_its_own_wait_only() {
    let world = World::without_workers().await;
    let id = world.connection(HOUR).await;
    let patient = world.refused(id, 1);
    let hasty = begin(&world.waits, Ask { patience: Some(SECOND), ..ask(id, 1) });
    let not_waiting = begin(&world.waits, Ask { patience: Some(Duration::ZERO), ..ask(id, 1) });
    world.settle().await;
    assert!(not_waiting.is_finished() && !hasty.is_finished());
    world.clock.advance(SECOND).await;
    assert!(matches!(hasty.await.unwrap(), Waited::Pending { .. }));
    assert!(!patient.is_finished());
    world.work();
    assert_eq!(world.answered(patient).await, refreshed(2));
}

#[tokio::test]
async fn at_the_deadline_the_outcome_is_pending_and_the_job_is_dropped_after_it() {
    let world = World::without_workers().await;
    let id = world.connection(HOUR).await;
    let asked_at = world.clock.now();
    let caller = world.refused(id, 1);
    world.clock.advance(SETTINGS.deadline).await;
    assert!(matches!(caller.await.unwrap(), Waited::Pending { .. }));
    assert!(world.jobs().iter().all(|job| until(asked_at, deadline(job)) == SETTINGS.deadline));
}

#[tokio::test]
async fn whoever_comes_late_has_a_whole_wait_all_the_same() {
    let world = World::without_workers().await;
    let id = world.connection(HOUR).await;
    let early = world.refused(id, 1);
    world.clock.advance(9 * SECOND).await;
    let late = world.refused(id, 1);
    world.clock.advance(2 * SECOND).await;
    assert!(matches!(early.await.unwrap(), Waited::Pending { .. }));
    assert!(!late.is_finished());
    world.work();
    assert_eq!(world.answered(late).await, refreshed(2));
}

#[tokio::test]
async fn more_than_may_wait_are_turned_away_and_places_come_free() {
    let world = World::with(ForceSettings { waiters_max: 2, ..SETTINGS }).await;
    let id = world.connection(HOUR).await;
    let waiting = [world.refused(id, 1), world.refused(id, 1)];
    world.settle().await;
    assert_eq!(world.waits.refresh(ask(id, 1)).await, Waited::Overloaded);
    for caller in waiting {
        caller.abort();
        let _ = caller.await;
    }
    world.work();
    assert_eq!(world.answered(world.refused(id, 1)).await, refreshed(2));
}

#[tokio::test]
async fn the_callers_trace_goes_with_the_job() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = Ask { traceparent: Some(trace.to_owned()), ..ask(id, 1) };
    assert_eq!(world.answered(begin(&world.waits, traced)).await, refreshed(2));
    assert_eq!(world.jobs()[0].traceparent.as_deref(), Some(trace));
}

#[tokio::test]
async fn drained_means_that_no_flight_is_under_way() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    world.provider.close_gate();
    let caller = world.refused(id, 1);
    world.provider.until_waiting(1).await;
    let waits = Arc::clone(&world.waits);
    let drained = tokio::spawn(async move { waits.drain().await });
    world.settle().await;
    assert!(!drained.is_finished());
    world.provider.open_gate();
    assert_eq!(world.answered(caller).await, refreshed(2));
    world.settle().await;
    assert!(drained.is_finished());
}
