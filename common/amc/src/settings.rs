//! What a client is told.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ports::Clock;

/// What a client is told. Every wait and every length has an end.
#[derive(Clone)]
pub struct ClientSettings {
    /// How often a call is repeated with a newer token after the API refused one.
    pub max_retries: u32,
    /// How long it may take to reach the API.
    pub connect_timeout: Duration,
    /// How long one try may take until the headers of its answer are here.
    pub call_timeout: Duration,
    /// How long the body of an answer may pause.
    pub idle_timeout: Duration,
    /// How long the pauses that the API asks for with 429 may be in all, for one call. A longer one is the caller's to make.
    pub throttle_budget: Duration,
    /// A token that ends sooner than this is refreshed before it is used.
    pub min_validity: Duration,
    /// The longest answer that typed calls read.
    pub body_max: usize,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl ClientSettings {
    /// What suits most callers.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            max_retries: 2,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(1),
            throttle_budget: Duration::from_secs(30),
            // Amazon's own clients leave as much.
            min_validity: Duration::from_mins(1),
            body_max: 16 * 1024 * 1024,
            clock,
        }
    }
}
