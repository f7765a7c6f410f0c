//! The wall clock, read in one place.

use chrono::{DateTime, Utc};

/// The time of day. The simulator plays the outside world, whose clock nobody injects.
#[expect(
    clippy::disallowed_methods,
    reason = "the outside world has its own clock; this is the only place that reads it"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    now().timestamp_millis()
}
