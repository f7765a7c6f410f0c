//! What every store must do, in both of the times that this one can keep.

/// The database's own time, as in production.
mod in_database_time {
    use std::any::Any;
    use std::sync::Arc;

    use evergrant_contract::ports::Store;
    use evergrant_testkit::ManualClock;

    use crate::database::{Database, keyring};

    async fn fresh(_: Arc<ManualClock>) -> Option<(Arc<dyn Store>, Box<dyn Any + Send>)> {
        let database = Database::fresh().await?;
        let store = database.store(keyring()).await;
        Some((Arc::new(store), Box::new(database)))
    }

    evergrant_testkit::store_conformance!(fresh);
}

/// The clock of a test.
mod in_the_time_of_a_clock {
    use std::any::Any;
    use std::sync::Arc;

    use evergrant_contract::ports::Store;
    use evergrant_testkit::ManualClock;

    use crate::database::{Database, keyring};

    async fn fresh(clock: Arc<ManualClock>) -> Option<(Arc<dyn Store>, Box<dyn Any + Send>)> {
        let database = Database::fresh().await?;
        let store = database.store(keyring()).await.with_clock(clock);
        Some((Arc::new(store), Box::new(database)))
    }

    evergrant_testkit::store_conformance!(fresh);
}
