//! A clock that moves when the test says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use evergrant_contract::Timestamp;
use evergrant_contract::ports::Clock;
use evergrant_contract::timing::after;
use tokio::sync::{oneshot, watch};

use crate::lock;

/// 2027-01-15 08:00:00 UTC, in seconds since 1970.
const START_SECS: i64 = 1_800_000_000;

/// A woken task gets this many turns before time moves on. One is enough to fall asleep again; the others are for what it
/// wakes in its turn.
const TURNS: u32 = 32;

/// How long, in real time, [`ManualClock::until_asleep`] waits before it fails the test.
const PATIENCE: Duration = Duration::from_secs(30);

/// A clock that moves when the test says so: `advance` moves both of its hands, `jump` the wall clock alone.
pub struct ManualClock {
    hands: Mutex<Hands>,
    asleep: watch::Sender<usize>,
}

struct Hands {
    wall: Timestamp,
    monotonic: Duration,
    /// By the time to wake up, then by who fell asleep first.
    sleepers: BTreeMap<Bed, oneshot::Sender<()>>,
    beds_made: u64,
}

type Bed = (Duration, u64);

impl ManualClock {
    /// A clock that stands at 2027-01-15 08:00:00 UTC.
    pub fn new() -> Arc<Self> {
        Self::starting_at(Timestamp::from_timestamp(START_SECS, 0).unwrap_or_default())
    }

    /// A clock that stands at this time.
    pub fn starting_at(wall: Timestamp) -> Arc<Self> {
        // Not at zero: arithmetic into the past must not be special.
        let hands = Hands { wall, monotonic: Duration::from_secs(1_000_000), sleepers: BTreeMap::new(), beds_made: 0 };
        Arc::new(Self { hands: Mutex::new(hands), asleep: watch::Sender::new(0) })
    }

    /// Moves time forward. Whoever sleeps is woken at its own time, in order, and gets turns to run and to fall asleep
    /// again before time moves on, so that a loop of one-second sleeps runs ten times in ten seconds.
    ///
    /// The turns are certain in a single-threaded runtime, as `#[tokio::test]` makes it, and for tasks that wait for
    /// nothing but this clock and each other. Otherwise advance step by step with [`until_asleep`](Self::until_asleep).
    pub async fn advance(&self, by: Duration) {
        give_turns().await;
        let end = self.monotonic() + by;
        while self.wake_next(end) {
            give_turns().await;
        }
        lock(&self.hands).move_to(end);
        give_turns().await;
    }

    /// Moves the wall clock alone, as a correction or a suspended machine does; nobody wakes.
    pub fn jump(&self, by: TimeDelta) {
        lock(&self.hands).wall += by;
    }

    /// How many tasks sleep.
    pub fn sleepers(&self) -> usize {
        lock(&self.hands).sleepers.len()
    }

    /// How long until the next sleeper wakes up, if there is one.
    pub fn next_wake(&self) -> Option<Duration> {
        let hands = lock(&self.hands);
        hands.sleepers.keys().next().map(|(at, _)| at.saturating_sub(hands.monotonic))
    }

    /// Returns when at least so many tasks sleep. Fails the test if that takes longer than 30 real seconds.
    pub async fn until_asleep(&self, tasks: usize) {
        let mut asleep = self.asleep.subscribe();
        let reached = tokio::time::timeout(PATIENCE, asleep.wait_for(|count| *count >= tasks)).await.is_ok();
        assert!(reached, "{} tasks sleep, {tasks} were expected to within {PATIENCE:?}", self.sleepers());
    }

    /// Wakes the first sleeper whose time comes until `end`. `false`: there is none.
    fn wake_next(&self, end: Duration) -> bool {
        let mut hands = lock(&self.hands);
        let Some(first) = hands.sleepers.first_entry().filter(|first| first.key().0 <= end) else { return false };
        let ((at, _), sleeper) = first.remove_entry();
        hands.move_to(at);
        self.asleep.send_replace(hands.sleepers.len());
        let _ = sleeper.send(());
        true
    }

    fn lie_down(&self, wait: Duration) -> (Bed, oneshot::Receiver<()>) {
        let (sleeper, woken) = oneshot::channel();
        let mut hands = lock(&self.hands);
        hands.beds_made += 1;
        let bed = (hands.monotonic.saturating_add(wait), hands.beds_made);
        hands.sleepers.insert(bed, sleeper);
        self.asleep.send_replace(hands.sleepers.len());
        (bed, woken)
    }

    fn get_up(&self, bed: Bed) {
        let mut hands = lock(&self.hands);
        hands.sleepers.remove(&bed);
        self.asleep.send_replace(hands.sleepers.len());
    }
}

impl Hands {
    fn move_to(&mut self, monotonic: Duration) {
        let step = monotonic.saturating_sub(self.monotonic);
        self.monotonic += step;
        self.wall = after(self.wall, step);
    }
}

async fn give_turns() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// Clears the bed of a sleep that was given up, so that it is not counted as a sleeper.
struct Tidy<'a>(&'a ManualClock, Bed);

impl Drop for Tidy<'_> {
    fn drop(&mut self) {
        self.0.get_up(self.1);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        lock(&self.hands).wall
    }

    fn monotonic(&self) -> Duration {
        lock(&self.hands).monotonic
    }

    async fn sleep(&self, wait: Duration) {
        if wait.is_zero() {
            return tokio::task::yield_now().await;
        }
        let (bed, woken) = self.lie_down(wait);
        let _tidy = Tidy(self, bed);
        let _ = woken.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn sleepers_wake_in_order_and_at_their_own_time() {
        let clock = ManualClock::new();
        let started = clock.now();
        let log = Arc::new(Mutex::new(Vec::new()));
        for (name, secs) in [("late", 3), ("early", 1), ("later too", 3)] {
            let (clock, log) = (Arc::clone(&clock), Arc::clone(&log));
            tokio::spawn(async move {
                clock.sleep(secs * SECOND).await;
                lock(&log).push((name, (clock.now() - started).num_seconds()));
            });
        }
        clock.until_asleep(3).await;
        clock.advance(2 * SECOND).await;
        assert_eq!((lock(&log).clone(), clock.sleepers()), (vec![("early", 1)], 2));
        clock.advance(8 * SECOND).await;
        assert_eq!(*lock(&log), [("early", 1), ("late", 3), ("later too", 3)]);
        assert_eq!((clock.now() - started).num_seconds(), 10);
    }

    #[tokio::test]
    async fn a_loop_of_sleeps_runs_once_a_turn_within_one_advance() {
        let clock = ManualClock::new();
        let turns = Arc::new(Mutex::new(0));
        let (sleeper, counted) = (Arc::clone(&clock), Arc::clone(&turns));
        tokio::spawn(async move {
            loop {
                sleeper.sleep(SECOND).await;
                *lock(&counted) += 1;
            }
        });
        clock.advance(10 * SECOND).await;
        assert_eq!(*lock(&turns), 10);
        assert_eq!(clock.next_wake(), Some(SECOND));
    }

    #[tokio::test]
    async fn a_jump_moves_the_wall_and_wakes_nobody() {
        let clock = ManualClock::new();
        let (wall, monotonic) = (clock.now(), clock.monotonic());
        let sleeper = Arc::clone(&clock);
        let sleep = tokio::spawn(async move { sleeper.sleep(SECOND).await });
        clock.until_asleep(1).await;
        clock.jump(TimeDelta::hours(-2));
        assert_eq!((clock.now() - wall, clock.monotonic()), (TimeDelta::hours(-2), monotonic));
        assert!(!sleep.is_finished());
        clock.advance(SECOND).await;
        sleep.await.unwrap();
    }

    #[tokio::test]
    async fn a_sleep_that_is_given_up_is_nobodys() {
        let clock = ManualClock::new();
        let sleeper = Arc::clone(&clock);
        let sleep = tokio::spawn(async move { sleeper.sleep(SECOND).await });
        clock.until_asleep(1).await;
        sleep.abort();
        assert!(sleep.await.unwrap_err().is_cancelled());
        assert_eq!((clock.sleepers(), clock.next_wake()), (0, None));
    }
}
