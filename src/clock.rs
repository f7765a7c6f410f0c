//! Real time and real chance: the only place that asks the system for either.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ports::{Chance, Clock};
use evergrant_contract::timing::to_millis;

/// The system's clock.
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic hand starts now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
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

/// The system's random numbers.
pub struct SystemChance;

impl Chance for SystemChance {
    fn roll(&self) -> f64 {
        rand::random()
    }
}
