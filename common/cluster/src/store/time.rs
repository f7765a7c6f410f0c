//! The store's own time, in which leases, offices and peers are kept.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::ports::Clock;
use evergrant_contract::timing::{after, before, to_millis};

/// Whose clock is the store's.
#[derive(Clone)]
pub(super) enum StoreTime {
    /// The database's: the one clock that a whole cluster shares.
    Database,
    /// A test's.
    Clock {
        /// Its monotonic hand moves the store's time: a jump of its wall clock moves no lease.
        clock: Arc<dyn Clock>,
        /// Where the wall clock stood when the monotonic one stood at zero.
        epoch: Timestamp,
    },
}

impl StoreTime {
    pub(super) fn of(clock: Arc<dyn Clock>) -> Self {
        let epoch = before(clock.now(), clock.monotonic());
        Self::Clock { clock, epoch }
    }

    /// What statements put in place of the database's time; `None` leaves it to the database.
    pub(super) fn now(&self) -> Option<Timestamp> {
        match self {
            Self::Database => None,
            Self::Clock { clock, epoch } => Some(to_millis(after(*epoch, clock.monotonic()))),
        }
    }
}

/// A duration for a `bigint` parameter; the longest that fits if it does not.
pub(super) fn millis(duration: Duration) -> i64 {
    // A thousand years: past any use, and far from where PostgreSQL's own arithmetic overflows.
    const LONGEST_MS: i64 = 1_000 * 365 * 24 * 3_600 * 1_000;
    i64::try_from(duration.as_millis()).unwrap_or(LONGEST_MS).min(LONGEST_MS)
}
