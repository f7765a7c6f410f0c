//! What every event bus must do. [`run`] makes a bus for a case.

pub mod hearing;

use std::sync::Arc;

use evergrant_contract::ports::EventBus;

use super::Guard;

/// Runs one case on a fresh bus, unless there is no service to make it from.
pub async fn run(
    fresh: impl AsyncFnOnce() -> Option<(Arc<dyn EventBus>, Guard)>,
    case: impl AsyncFnOnce(Arc<dyn EventBus>),
) {
    let Some((bus, guard)) = fresh().await else { return };
    super::complete(case(bus)).await;
    drop(guard);
}

/// Makes one test of each thing that an event bus must do.
///
/// `$fresh` is `async fn() -> Option<(Arc<dyn EventBus>, Box<dyn Any + Send>)>`: a bus that lives as long as the box and
/// that nobody else publishes to, or `None` where the service that it needs is missing.
#[macro_export]
macro_rules! events_conformance {
    ($fresh:path) => {
        $crate::conformance_cases! { $fresh; events;
            hearing:
                every_subscriber_hears_every_event,
                an_event_is_heard_as_it_was_published,
                who_subscribes_before_an_event_hears_it,
                events_without_subscribers_are_nobodys_failure,
                a_dropped_subscriber_harms_nobody,
                many_publish_at_once_and_all_is_heard,
                a_slow_subscriber_hears_a_gap_and_blocks_nobody;
        }
    };
}
