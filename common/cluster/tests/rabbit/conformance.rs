//! What every queue and every event bus must do.

use std::any::Any;
use std::sync::Arc;

use evergrant_contract::ports::{EventBus, JobQueue};

use crate::support::Place;

async fn queue() -> Option<(Arc<dyn JobQueue>, Box<dyn Any + Send>)> {
    let place = Place::new()?;
    let broker = place.broker().await;
    Some((broker.queue(), Box::new((broker, place))))
}

async fn events() -> Option<(Arc<dyn EventBus>, Box<dyn Any + Send>)> {
    let place = Place::new()?;
    let broker = place.broker().await;
    Some((broker.events(), Box::new((broker, place))))
}

mod of_queues {
    evergrant_testkit::queue_conformance!(super::queue);
}

mod of_events {
    evergrant_testkit::events_conformance!(super::events);
}
