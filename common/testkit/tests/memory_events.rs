//! The memory events do what every event bus must do.

use std::any::Any;
use std::sync::Arc;

use evergrant_contract::ports::EventBus;
use evergrant_testkit::MemoryEvents;

async fn fresh() -> Option<(Arc<dyn EventBus>, Box<dyn Any + Send>)> {
    Some((MemoryEvents::new(), Box::new(())))
}

evergrant_testkit::events_conformance!(fresh);
