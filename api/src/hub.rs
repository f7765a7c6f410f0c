//! The events of this process, once, for every stream that somebody holds open.

use std::sync::Arc;

use evergrant_contract::ids::ProcessId;
use evergrant_contract::ports::{Clock, EventBus, Store};
use tokio_util::sync::CancellationToken;

/// Hears the events once and hands them to the streams.
pub struct Hub {
    process: ProcessId,
    store: Arc<dyn Store>,
    events: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    streams_max: usize,
}

impl Hub {
    /// A hub that hears nothing yet.
    pub fn new(
        process: ProcessId,
        store: Arc<dyn Store>,
        events: Arc<dyn EventBus>,
        clock: Arc<dyn Clock>,
        streams_max: usize,
    ) -> Arc<Self> {
        Arc::new(Self { process, store, events, clock, streams_max })
    }

    /// Hears the events until `stop`; then every stream ends.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        stop.cancelled().await;
    }
}
