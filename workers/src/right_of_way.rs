//! Scheduled refreshes step aside while a forced one is in hand: nobody waits for them.

use std::time::Duration;

use evergrant_contract::ports::Clock;
use tokio::sync::watch;

/// A scheduled refresh steps aside for no longer than this, or a stream of forced ones would starve it.
const STEP_ASIDE_MAX: Duration = Duration::from_millis(500);

/// How many forced refreshes this process has in hand.
pub(crate) struct RightOfWay {
    forced: watch::Sender<usize>,
}

/// A forced refresh in hand; dropped when it is done.
pub(crate) struct Ahead<'a>(&'a RightOfWay);

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        self.0.forced.send_modify(|count| *count -= 1);
    }
}

impl Default for RightOfWay {
    fn default() -> Self {
        Self { forced: watch::channel(0).0 }
    }
}

impl RightOfWay {
    /// A forced refresh is in hand from now on.
    pub(crate) fn go_ahead(&self) -> Ahead<'_> {
        self.forced.send_modify(|count| *count += 1);
        Ahead(self)
    }

    /// Returns when no forced refresh is in hand, or when its patience is at an end.
    pub(crate) async fn step_aside(&self, clock: &dyn Clock) {
        let mut forced = self.forced.subscribe();
        if *forced.borrow() == 0 {
            return;
        }
        tokio::select! {
            // The sender lives as long as this process works.
            _ = forced.wait_for(|count| *count == 0) => {}
            () = clock.sleep(STEP_ASIDE_MAX) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use evergrant_testkit::ManualClock;

    use super::*;

    #[tokio::test]
    async fn scheduled_ones_wait_for_forced_ones_and_not_for_ever() {
        let (clock, way) = (ManualClock::new(), Arc::new(RightOfWay::default()));
        way.step_aside(clock.as_ref()).await;

        let ahead = way.go_ahead();
        let waiting = {
            let (clock, way) = (clock.clone(), Arc::clone(&way));
            tokio::spawn(async move { way.step_aside(clock.as_ref()).await })
        };
        clock.until_asleep(1).await;
        assert!(!waiting.is_finished());
        drop(ahead);
        waiting.await.unwrap();

        let _ahead = way.go_ahead();
        let waiting = {
            let (clock, way) = (clock.clone(), Arc::clone(&way));
            tokio::spawn(async move { way.step_aside(clock.as_ref()).await })
        };
        clock.until_asleep(1).await;
        clock.advance(STEP_ASIDE_MAX).await;
        waiting.await.unwrap();
    }
}
