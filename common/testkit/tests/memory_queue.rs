//! The memory queue does what every queue must do.

use std::any::Any;
use std::sync::Arc;

use evergrant_contract::ports::{Clock, JobQueue};
use evergrant_testkit::{ManualClock, MemoryQueue};

async fn fresh() -> Option<(Arc<dyn JobQueue>, Box<dyn Any + Send>)> {
    let clock: Arc<dyn Clock> = ManualClock::new();
    Some((MemoryQueue::new(clock), Box::new(())))
}

evergrant_testkit::queue_conformance!(fresh);
