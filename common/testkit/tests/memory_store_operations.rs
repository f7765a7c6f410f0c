//! The memory store does what every store must do for operators.

use std::any::Any;
use std::sync::Arc;

use evergrant_contract::ports::Clock;
use evergrant_testkit::conformance::store::OperationsStore;
use evergrant_testkit::{ManualClock, MemoryStore};

async fn fresh(clock: Arc<ManualClock>) -> Option<(Arc<dyn OperationsStore>, Box<dyn Any + Send>)> {
    let clock: Arc<dyn Clock> = clock;
    Some((MemoryStore::new(clock), Box::new(())))
}

evergrant_testkit::operations_conformance!(fresh);
