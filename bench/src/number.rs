//! Numbers, from one type to another.

use std::time::Duration;

/// A count, for calculating with it.
#[expect(clippy::cast_precision_loss, reason = "counts and bytes here are far below 2^52")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// The length of something.
pub(crate) const fn count(length: usize) -> u64 {
    length as u64
}

/// Milliseconds, with their fractions.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Mebibytes.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    float(bytes) / (1024.0 * 1024.0)
}
