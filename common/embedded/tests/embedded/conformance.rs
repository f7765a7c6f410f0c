//! What every store, queue and event bus must do, done by the embedded ones.

use std::any::Any;
use std::sync::Arc;

use evergrant_contract::ports::Store;
use evergrant_testkit::ManualClock;

use crate::store::{File, keyring};

async fn store(clock: Arc<ManualClock>) -> Option<(Arc<dyn Store>, Box<dyn Any + Send>)> {
    let file = File::new();
    let store = file.open(&keyring(), &clock).await;
    Some((Arc::new(store), Box::new(file)))
}

evergrant_testkit::store_conformance!(store);
