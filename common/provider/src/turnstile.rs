//! Lets calls of one provider app through at its rate, and holds them while the provider asks for a pause.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evergrant_contract::ports::Clock;

/// Lets calls through one by one, evenly spaced.
///
/// Each caller is told its turn at once and wakes once. A limiter that only answers "not yet" would have hundreds of waiting
/// workers ask again for each of the few calls that are let through, and could tell none of them how long the queue is.
pub(crate) struct Turnstile {
    clock: Arc<dyn Clock>,
    /// Between two calls; zero lets everything through.
    spacing: Duration,
    turns: Mutex<Turns>,
}

/// Times of the monotonic clock.
#[derive(Default)]
struct Turns {
    next: Duration,
    /// The same for those who go ahead.
    next_ahead: Duration,
    paused_until: Duration,
}

impl Turnstile {
    /// `requests_per_second` of zero is no limit.
    pub(crate) fn new(requests_per_second: u32, clock: Arc<dyn Clock>) -> Self {
        let spacing = Duration::from_secs(1).checked_div(requests_per_second).unwrap_or_default();
        Self { clock, spacing, turns: Mutex::default() }
    }

    /// Waits for the caller's turn if it comes within `patience`. `Err`: it does not, and this is how long it would take.
    pub(crate) async fn pass(&self, patience: Duration) -> Result<(), Duration> {
        let give_up_at = self.clock.monotonic().saturating_add(patience);
        let turn = self.take_turn(give_up_at)?;
        self.wait_for(turn, give_up_at).await
    }

    /// The same, ahead of all who wait, but not of others who go ahead. Whoever comes next pays for it with a later turn: for
    /// as long as the others' patience the rate may be up to twice its measure, and is made up for then.
    pub(crate) async fn pass_ahead(&self, patience: Duration) -> Result<(), Duration> {
        let give_up_at = self.clock.monotonic().saturating_add(patience);
        let turn = self.take_turn_ahead(give_up_at)?;
        self.wait_for(turn, give_up_at).await
    }

    async fn wait_for(&self, turn: Duration, give_up_at: Duration) -> Result<(), Duration> {
        loop {
            let now = self.clock.monotonic();
            // A pause may have been asked for while this call was waiting.
            let go_at = turn.max(self.turns().paused_until);
            if go_at <= now {
                return Ok(());
            }
            if go_at > give_up_at {
                return Err(go_at.saturating_sub(now));
            }
            self.clock.sleep(go_at.saturating_sub(now)).await;
        }
    }

    /// Lets nothing through for so long. A shorter pause never ends a longer one.
    pub(crate) fn pause(&self, pause: Duration) {
        let until = self.clock.monotonic().saturating_add(pause);
        let mut turns = self.turns();
        turns.paused_until = turns.paused_until.max(until);
    }

    fn take_turn(&self, give_up_at: Duration) -> Result<Duration, Duration> {
        let now = self.clock.monotonic();
        let mut turns = self.turns();
        let turn = turns.next.max(turns.paused_until).max(now);
        if turn > give_up_at {
            return Err(turn.saturating_sub(now));
        }
        turns.next = turn + self.spacing;
        Ok(turn)
    }

    fn take_turn_ahead(&self, give_up_at: Duration) -> Result<Duration, Duration> {
        let now = self.clock.monotonic();
        let mut turns = self.turns();
        let turn = turns.next_ahead.max(turns.paused_until).max(now);
        if turn > give_up_at {
            return Err(turn.saturating_sub(now));
        }
        turns.next_ahead = turn + self.spacing;
        turns.next = turns.next.max(turn) + self.spacing;
        Ok(turn)
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use evergrant_testkit::ManualClock;

    use super::*;

    const SEC: Duration = Duration::from_secs(1);
    const MILLI: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn calls_go_through_evenly_spaced() {
        let clock = ManualClock::new();
        let turnstile = Arc::new(Turnstile::new(200, clock.clone()));
        let calls: Vec<_> = (0..10)
            .map(|_| {
                let (turnstile, clock) = (Arc::clone(&turnstile), clock.clone());
                tokio::spawn(async move { turnstile.pass(SEC).await.map(|()| clock.monotonic()) })
            })
            .collect();
        clock.until_asleep(9).await;
        let start = clock.monotonic();
        clock.advance(SEC).await;
        for (n, call) in (0_u32..).zip(calls) {
            assert_eq!(call.await.unwrap(), Ok(start + 5 * MILLI * n));
        }
    }

    #[tokio::test]
    async fn whoever_goes_ahead_waits_for_nobody_and_the_next_pay_for_it() {
        let clock = ManualClock::new();
        let turnstile = Arc::new(Turnstile::new(1, clock.clone()));
        assert_eq!(turnstile.pass(Duration::ZERO).await, Ok(()));
        let waiting = {
            let turnstile = Arc::clone(&turnstile);
            tokio::spawn(async move { turnstile.pass(SEC).await })
        };
        clock.until_asleep(1).await;
        assert_eq!(turnstile.pass_ahead(Duration::ZERO).await, Ok(()));
        assert_eq!(turnstile.pass_ahead(Duration::ZERO).await, Err(SEC), "but not ahead of others who go ahead");
        clock.advance(SEC).await;
        assert_eq!(waiting.await.unwrap(), Ok(()), "a turn that was promised is kept");
        assert_eq!(turnstile.pass(Duration::ZERO).await, Err(2 * SEC), "one turn for each of the three");
    }

    #[tokio::test]
    async fn a_pause_holds_those_who_go_ahead_too() {
        let clock = ManualClock::new();
        let turnstile = Turnstile::new(0, clock.clone());
        turnstile.pause(SEC);
        assert_eq!(turnstile.pass_ahead(SEC / 2).await, Err(SEC));
        clock.advance(SEC).await;
        assert_eq!(turnstile.pass_ahead(Duration::ZERO).await, Ok(()));
    }

    #[tokio::test]
    async fn who_cannot_wait_is_told_how_long_and_takes_no_turn() {
        let clock = ManualClock::new();
        let turnstile = Turnstile::new(1, clock.clone());
        assert_eq!(turnstile.pass(Duration::ZERO).await, Ok(()));
        for _ in 0..3 {
            assert_eq!(turnstile.pass(SEC / 2).await, Err(SEC));
        }
        clock.advance(SEC).await;
        assert_eq!(turnstile.pass(Duration::ZERO).await, Ok(()));
    }

    #[tokio::test]
    async fn zero_is_no_limit() {
        let turnstile = Turnstile::new(0, ManualClock::new());
        for _ in 0..1000 {
            assert_eq!(turnstile.pass(Duration::ZERO).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn a_pause_holds_new_calls_and_waiting_ones() {
        let clock = ManualClock::new();
        let turnstile = Arc::new(Turnstile::new(1, clock.clone()));
        assert_eq!(turnstile.pass(Duration::ZERO).await, Ok(()));
        let waiting = {
            let turnstile = Arc::clone(&turnstile);
            tokio::spawn(async move { turnstile.pass(5 * SEC).await })
        };
        clock.until_asleep(1).await;
        turnstile.pause(60 * SEC);
        turnstile.pause(SEC);
        assert_eq!(turnstile.pass(5 * SEC).await, Err(60 * SEC));
        clock.advance(SEC).await;
        assert_eq!(waiting.await.unwrap(), Err(59 * SEC));
        clock.advance(59 * SEC).await;
        assert_eq!(turnstile.pass(Duration::ZERO).await, Ok(()));
    }
}
