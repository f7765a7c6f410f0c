//! Waiting for real processes: looking again and again, for a bounded time.

use std::time::{Duration, Instant};

/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(100);
/// Long enough for a lease to lapse, its grace to pass and a busy machine to come round to it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `look` finds something. Fails the test if that takes longer than `limit`.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < limit, "waited {} s for {what}", limit.as_secs());
        std::thread::sleep(POLL);
    }
}

/// Waits until `look` finds something, for as long as anything here may take.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look)
}
