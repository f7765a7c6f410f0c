//! The clock of a process that has no other.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ports::Clock;
use evergrant_contract::timing::to_millis;

/// The machine's clock, for services that link this library and have no clock of their own to inject.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock that counts from now.
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
        let now = chrono::Utc::now();
        to_millis(now)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }
}
