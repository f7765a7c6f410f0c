//! What every store, queue and event bus must do, done by the embedded ones.

use std::any::Any;
use std::sync::Arc;

use evergrant_contract::ports::{EventBus, JobQueue, Store};
use evergrant_contract::secret::Secret;
use evergrant_embedded::{LocalEvents, LocalQueue};
use evergrant_testkit::ManualClock;
use evergrant_testkit::conformance::keys::Turnover;
use evergrant_vault::Keyring;

use crate::store::{File, keyring, keyring_of};

async fn store(clock: Arc<ManualClock>) -> Option<(Arc<dyn Store>, Box<dyn Any + Send>)> {
    let file = File::new();
    let store = file.open(&keyring(), &clock).await;
    Some((Arc::new(store), Box::new(file)))
}

evergrant_testkit::store_conformance!(store);

async fn turnover(clock: Arc<ManualClock>) -> Option<(Turnover, Box<dyn Any + Send>)> {
    let (file, keys) = (File::new(), [(); 3].map(|()| Keyring::generate_key()));
    let [old, new, theirs] = &keys;
    let store = async |keys: &[&Secret]| Arc::new(file.open(&keyring_of(keys), &clock).await);
    let stores = Turnover {
        before: store(&[old, new]).await,
        after: store(&[new, old]).await,
        done: store(&[new]).await,
        stranger: store(&[theirs]).await,
    };
    Some((stores, Box::new(file)))
}

evergrant_testkit::keys_conformance!(turnover);

async fn queue() -> Option<(Arc<dyn JobQueue>, Box<dyn Any + Send>)> {
    Some((Arc::new(LocalQueue::default()), Box::new(())))
}

evergrant_testkit::queue_conformance!(queue);

async fn bus() -> Option<(Arc<dyn EventBus>, Box<dyn Any + Send>)> {
    Some((Arc::new(LocalEvents::default()), Box::new(())))
}

evergrant_testkit::events_conformance!(bus);
