//! What every store must do for operators. To be part of the suite of the store once every adapter does.

use std::sync::Arc;

pub use super::store::{failed_job_lists, operations, searches};

use super::Guard;
use super::store::OperationsStore;
use crate::ManualClock;

/// Runs one case on a fresh store, unless there is no service to make it from.
pub async fn run(
    fresh: impl AsyncFnOnce(Arc<ManualClock>) -> Option<(Arc<dyn OperationsStore>, Guard)>,
    case: impl AsyncFnOnce(Arc<dyn OperationsStore>, Arc<ManualClock>),
) {
    let clock = ManualClock::new();
    let Some((store, guard)) = fresh(Arc::clone(&clock)).await else { return };
    super::complete(case(store, clock)).await;
    drop(guard);
}
