//! The memory store does what every store must do.

use std::any::Any;
use std::sync::Arc;

use evergrant_contract::ports::{Clock, Store};
use evergrant_testkit::conformance::keys::Turnover;
use evergrant_testkit::{ManualClock, MemoryStore};

async fn fresh(clock: Arc<ManualClock>) -> Option<(Arc<dyn Store>, Box<dyn Any + Send>)> {
    let clock: Arc<dyn Clock> = clock;
    Some((MemoryStore::new(clock), Box::new(())))
}

evergrant_testkit::store_conformance!(fresh);

async fn turnover(clock: Arc<ManualClock>) -> Option<(Turnover, Box<dyn Any + Send>)> {
    let rows = MemoryStore::new(clock);
    let stores = Turnover {
        before: rows.with_keys(&["old", "new"]),
        after: rows.with_keys(&["new", "old"]),
        done: rows.with_keys(&["new"]),
        stranger: rows.with_keys(&["theirs"]),
    };
    Some((stores, Box::new(())))
}

evergrant_testkit::keys_conformance!(turnover);
