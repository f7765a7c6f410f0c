//! How many scheduled refreshes are under way at once: as many as do some good.
//!
//! A provider that answers in a tenth of a second needs ten times as many calls in flight as one that answers in a
//! hundredth, and nobody should have to know which it is today. The window opens while calls succeed as quickly as before
//! and work waits for it, and closes by a third when the provider or its rate limit holds them back.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a window opens with, and what it closes to at most.
const START: u32 = 64;
const NARROWEST: u32 = 32;
/// What a narrowed window keeps, in percent.
const KEPT_PERCENT: u32 = 70;
/// A call that takes longer than so many times the quickest, and this, does not widen the window: more of them would only
/// wait for each other.
const SLOW_FACTOR: u32 = 4;
const SLOW_MIN: Duration = Duration::from_millis(50);
/// The quickest call is forgotten by and by: each call makes it longer by this part of itself.
const FORGET_PART: u32 = 1_000;

/// What a call says about how many may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It succeeded within this time.
    Fine(Duration),
    /// It failed, was told to slow down, or was not let through by the rate limit.
    Strained,
}

/// The pure part.
#[derive(Debug)]
struct Limit {
    widest: u32,
    now: u32,
    /// Up to here every call that succeeds widens it by one, so that it doubles with each round. Beyond, a whole round does.
    known_good: u32,
    progress: u32,
    /// Calls to be heard of before it may be narrowed again: those that were under way at the last time say the same.
    deaf_for: u32,
    quickest: Option<Duration>,
}

impl Limit {
    fn new(widest: u32) -> Self {
        let now = START.min(widest);
        Self { widest, now, known_good: widest, progress: 0, deaf_for: 0, quickest: None }
    }

    fn hear(&mut self, sign: Sign, is_full: bool) {
        self.deaf_for = self.deaf_for.saturating_sub(1);
        match sign {
            Sign::Fine(took) => {
                let is_slow = self.remember_and_compare(took);
                if is_full && !is_slow {
                    self.widen();
                }
            }
            Sign::Strained if self.deaf_for == 0 => self.narrow(),
            Sign::Strained => {}
        }
    }

    /// Whether a call was slow, compared with the quickest of late.
    fn remember_and_compare(&mut self, took: Duration) -> bool {
        let quickest = self.quickest.map_or(took, |quickest| took.min(quickest + quickest / FORGET_PART));
        self.quickest = Some(quickest);
        took > (quickest * SLOW_FACTOR).max(SLOW_MIN)
    }

    fn widen(&mut self) {
        self.progress += 1;
        let enough = if self.now < self.known_good { 1 } else { self.now };
        if self.progress >= enough && self.now < self.widest {
            self.progress = 0;
            self.now += 1;
        }
    }

    fn narrow(&mut self) {
        self.deaf_for = self.now;
        self.progress = 0;
        self.now = (self.now * KEPT_PERCENT / 100).max(NARROWEST.min(self.widest));
        self.known_good = self.now;
    }
}

/// The window of one process.
pub(crate) struct Window {
    width: Mutex<Width>,
    places: Arc<Semaphore>,
}

struct Width {
    limit: Limit,
    /// Places that there are too many of; they go as they are given back.
    surplus: u32,
}

/// A place in the window; dropped when the refresh is done.
pub(crate) struct Place<'a> {
    window: &'a Window,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut width = self.window.width.lock();
        if width.surplus > 0
            && let Some(permit) = self.permit.take()
        {
            width.surplus -= 1;
            permit.forget();
        }
    }
}

impl Window {
    /// A window that never opens wider than this.
    pub(crate) fn new(widest: u32) -> Self {
        let limit = Limit::new(widest.max(1));
        let places = Arc::new(Semaphore::new(limit.now as usize));
        Self { width: Mutex::new(Width { limit, surplus: 0 }), places }
    }

    /// Waits for a place, first come, first served.
    pub(crate) async fn enter(&self) -> Place<'_> {
        // Nobody closes the semaphore.
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        Place { window: self, permit }
    }

    /// Takes note of what a call says.
    pub(crate) fn hear(&self, sign: Sign) {
        let mut width = self.width.lock();
        let before = width.limit.now;
        width.limit.hear(sign, self.places.available_permits() == 0);
        let now = width.limit.now;
        if now > before {
            let more = now - before;
            let kept = more.min(width.surplus);
            width.surplus -= kept;
            self.places.add_permits((more - kept) as usize);
        } else {
            width.surplus += before - now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Sign = Sign::Fine(Duration::from_millis(10));

    #[test]
    fn it_doubles_with_each_round_while_work_waits_and_stops_at_the_widest() {
        let mut limit = Limit::new(500);
        for expected in [128, 256, 500, 500] {
            for _ in 0..limit.now {
                limit.hear(QUICK, true);
            }
            assert_eq!(limit.now, expected);
        }
    }

    #[test]
    fn it_stays_as_it_is_while_nothing_waits_or_calls_are_slow() {
        let mut limit = Limit::new(500);
        limit.hear(QUICK, false);
        for _ in 0..100 {
            limit.hear(Sign::Fine(Duration::from_secs(1)), true);
        }
        assert_eq!(limit.now, START);
    }

    #[test]
    fn strain_narrows_it_once_for_all_calls_that_were_under_way() {
        let mut limit = Limit::new(500);
        for _ in 0..START {
            limit.hear(Sign::Strained, true);
        }
        assert_eq!(limit.now, START * KEPT_PERCENT / 100);
        for _ in 0..10_000 {
            limit.hear(Sign::Strained, true);
        }
        assert_eq!(limit.now, NARROWEST);
    }

    #[test]
    fn what_was_once_too_much_is_approached_slowly() {
        let mut limit = Limit::new(500);
        limit.hear(Sign::Strained, true);
        let narrowed = limit.now;
        for _ in 0..narrowed {
            limit.hear(QUICK, true);
        }
        assert_eq!(limit.now, narrowed + 1);
    }

    #[test]
    fn a_window_of_one_is_one() {
        let mut limit = Limit::new(1);
        limit.hear(Sign::Strained, true);
        limit.hear(QUICK, true);
        assert_eq!(limit.now, 1);
    }

    #[tokio::test]
    async fn places_follow_the_limit() {
        let window = Window::new(START + 1);
        let mut places = Vec::new();
        for _ in 0..START {
            places.push(window.enter().await);
        }
        assert_eq!(window.places.available_permits(), 0);
        window.hear(QUICK);
        places.push(window.enter().await);
        window.hear(Sign::Strained);
        places.clear();
        let left = (START + 1) * KEPT_PERCENT / 100;
        assert_eq!(window.places.available_permits(), left as usize);
    }
}
