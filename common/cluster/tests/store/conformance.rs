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

/// While keys change.
mod turnover {
    use std::any::Any;
    use std::sync::Arc;

    use evergrant_testkit::ManualClock;
    use evergrant_testkit::conformance::keys::Turnover;

    use crate::database::Database;
    use crate::keys::Keys;

    async fn fresh(clock: Arc<ManualClock>) -> Option<(Turnover, Box<dyn Any + Send>)> {
        let database = Database::fresh().await?;
        let keys = Keys::new(3);
        let store = async |numbers: &[usize]| {
            Arc::new(database.store(keys.ring(numbers)).await.with_clock(Arc::clone(&clock) as _))
        };
        let stores = Turnover {
            before: store(&[0, 1]).await,
            after: store(&[1, 0]).await,
            done: store(&[1]).await,
            stranger: store(&[2]).await,
        };
        Some((stores, Box::new(database)))
    }

    evergrant_testkit::keys_conformance!(fresh);
}
