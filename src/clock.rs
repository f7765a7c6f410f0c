//! Real time and real chance: the only place that asks the system for either.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::TimeDelta;
use evergrant_contract::Timestamp;
use evergrant_contract::ports::{Chance, Clock};
use evergrant_contract::timing::to_millis;
use parking_lot::Mutex;
use tracing::warn;

/// What the wall clock may gain or lose between two looks and be followed at once: corrections are made in small steps.
const STEP_MAX: i64 = 1_000;
/// A wall clock that jumped further is believed when it has stood by it for so long. A token that is stamped by a clock that
/// is wrong for seconds would be refreshed minutes too late.
const BELIEVED_AFTER: Duration = Duration::from_secs(30);

/// The system's clock: its wall clock, but for jumps that do not last.
pub struct SystemClock {
    started: Instant,
    wall: Mutex<Wall>,
}

/// How far the wall clock is ahead of the monotonic one, in milliseconds: as it is believed, and as it has said since.
#[derive(Debug)]
struct Wall {
    ahead: i64,
    doubted: Option<Doubt>,
}

#[derive(Debug)]
struct Doubt {
    ahead: i64,
    since: Duration,
}

impl Wall {
    /// How far the wall clock is ahead now, given what it says.
    fn read(&mut self, says: i64, monotonic: Duration) -> i64 {
        let is_near = |other: i64| (says - other).abs() <= STEP_MAX;
        if is_near(self.ahead) {
            (self.ahead, self.doubted) = (says, None);
            return says;
        }
        match &mut self.doubted {
            Some(doubt) if is_near(doubt.ahead) => {
                doubt.ahead = says;
                if monotonic >= doubt.since + BELIEVED_AFTER {
                    warn!(
                        seconds = (says - self.ahead) / 1_000,
                        "The system's clock stands by its jump: it is followed"
                    );
                    (self.ahead, self.doubted) = (says, None);
                }
            }
            doubted => {
                warn!(
                    seconds = (says - self.ahead) / 1_000,
                    "The system's clock has jumped: it is not followed unless it stands by it"
                );
                *doubted = Some(Doubt { ahead: says, since: monotonic });
            }
        }
        self.ahead
    }
}

impl SystemClock {
    /// A clock whose monotonic hand starts now.
    pub fn start() -> Self {
        let started = Instant::now();
        Self { started, wall: Mutex::new(Wall { ahead: wall_clock().timestamp_millis(), doubted: None }) }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let (monotonic, wall) = (self.monotonic(), wall_clock());
        let elapsed = TimeDelta::milliseconds(i64::try_from(monotonic.as_millis()).unwrap_or(i64::MAX));
        let says = (wall - elapsed).timestamp_millis();
        let believed = self.wall.lock().read(says, monotonic);
        to_millis(wall + TimeDelta::milliseconds(believed - says))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
fn wall_clock() -> Timestamp {
    chrono::Utc::now()
}

/// The system's random numbers.
pub struct SystemChance;

impl Chance for SystemChance {
    fn roll(&self) -> f64 {
        rand::random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TEN_MINUTES: i64 = 600_000;

    fn wall() -> Wall {
        Wall { ahead: 0, doubted: None }
    }

    #[test]
    fn small_corrections_are_followed_at_once() {
        let mut wall = wall();
        let read: Vec<_> = [5, 900, 1_700, 700].into_iter().map(|says| wall.read(says, SECOND)).collect();
        assert_eq!(read, [5, 900, 1_700, 700]);
    }

    #[test]
    fn a_jump_that_does_not_last_was_none() {
        for jump in [TEN_MINUTES, -TEN_MINUTES] {
            let mut wall = wall();
            for second in 0..29 {
                assert_eq!(wall.read(jump, SECOND * second), 0);
            }
            assert_eq!(wall.read(3, SECOND * 29), 3);
            // The next one has to stand by it from the start.
            assert_eq!(wall.read(jump, SECOND * 31), 3);
        }
    }

    #[test]
    fn a_jump_that_lasts_is_believed() {
        let mut wall = wall();
        assert_eq!(wall.read(TEN_MINUTES, SECOND), 0);
        assert_eq!(wall.read(TEN_MINUTES + 500, SECOND * 31), TEN_MINUTES + 500);
    }

    #[test]
    fn a_clock_that_goes_on_jumping_is_not() {
        let mut wall = wall();
        for second in 0..120 {
            assert_eq!(wall.read(TEN_MINUTES * i64::from(second + 1), SECOND * second), 0);
        }
    }

    #[test]
    fn it_goes_as_the_system_does() {
        let clock = SystemClock::start();
        let apart = (clock.now() - wall_clock()).num_milliseconds().abs();
        assert!(apart <= 1_000, "{apart} ms");
    }
}
