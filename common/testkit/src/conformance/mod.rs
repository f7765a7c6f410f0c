//! What every adapter of a port must do: one suite a port, each case a function that panics when the adapter does not.
//!
//! An adapter runs a whole suite with one line, such as [`store_conformance!`](crate::store_conformance), which makes one
//! test of each case.

pub mod events;
pub mod keys;
pub mod queue;
pub mod store;

use std::any::Any;
use std::pin::pin;
use std::time::Duration;

/// The longest that a case may wait for anything, in real time. Generous: a machine may be busy, and a broken adapter only
/// costs this once.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The longest that a whole case may take.
const CASE_PATIENCE: Duration = Duration::from_mins(3);

/// Keeps whatever an adapter stands on, such as a database, and cleans up when it is dropped.
pub type Guard = Box<dyn Any + Send>;

/// Waits, and fails the test if it takes longer than [`PATIENCE`].
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(PATIENCE, pin!(work)).await else {
        panic!("{what} did not happen within {PATIENCE:?}");
    };
    done
}

/// Waits for a case, and fails the test if it hangs.
async fn complete(case: impl Future<Output = ()>) {
    let ended = tokio::time::timeout(CASE_PATIENCE, case).await.is_ok();
    assert!(ended, "the case did not end within {CASE_PATIENCE:?}");
}

/// Looks again and again until there is something to see, and fails the test if that takes longer than [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    /// Between two looks: a busy loop would starve what it waits for.
    const PAUSE: Duration = Duration::from_millis(2);
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    soon(what, looking).await
}

/// Makes one test of each case of a suite. The suites call it; adapters call the suites.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($fresh:path; $suite:ident; $($module:ident: $($case:ident),+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::conformance::$suite::run($fresh, $crate::conformance::$suite::$module::$case).await;
            }
        )+)+
    };
}
