//! Not all worlds at once: each is up to six processes and two servers.

use std::sync::{Condvar, Mutex, PoisonError};

/// Worlds that may exist at one time in this process. Under nextest each test is a process of its own, and the test group
/// `worlds` in .config/nextest.toml says the same.
const WORLDS: usize = 2;

static EXISTING: Mutex<usize> = Mutex::new(0);
static ONE_ENDED: Condvar = Condvar::new();

/// The right to have a world.
pub(crate) struct Turn(());

impl Turn {
    /// Waits until there is room for another world.
    pub(crate) fn wait() -> Self {
        let existing = EXISTING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut existing =
            ONE_ENDED.wait_while(existing, |existing| *existing >= WORLDS).unwrap_or_else(PoisonError::into_inner);
        *existing += 1;
        Self(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *EXISTING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ONE_ENDED.notify_one();
    }
}
