//! The memory store does what every store must do.

use std::any::Any;
use std::sync::Arc;

use evergrant_contract::ports::{Clock, Store};
use evergrant_testkit::{ManualClock, MemoryStore};

async fn fresh(clock: Arc<ManualClock>) -> Option<(Arc<dyn Store>, Box<dyn Any + Send>)> {
    let clock: Arc<dyn Clock> = clock;
    Some((MemoryStore::new(clock), Box::new(())))
}

evergrant_testkit::store_conformance!(fresh);
