//! When to refresh, how long to back off: pure arithmetic over times and a share of chance.

use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::Timestamp;

/// Refreshes are spread over this share of the margin, so that tokens issued together are not refreshed together.
const JITTER_SHARE_OF_MARGIN: f64 = 0.2;

/// `at`, cut to the millisecond that both databases keep.
pub fn to_millis(at: DateTime<Utc>) -> Timestamp {
    at.duration_trunc(TimeDelta::milliseconds(1)).unwrap_or(at)
}

/// `at` plus `wait`; the end of time if that is past it.
pub fn after(at: Timestamp, wait: Duration) -> Timestamp {
    TimeDelta::from_std(wait).ok().and_then(|wait| at.checked_add_signed(wait)).unwrap_or(Timestamp::MAX_UTC)
}

/// `at` minus `early`; the beginning of time if that is before it.
pub fn before(at: Timestamp, early: Duration) -> Timestamp {
    TimeDelta::from_std(early).ok().and_then(|early| at.checked_sub_signed(early)).unwrap_or(Timestamp::MIN_UTC)
}

/// From `from` until `until`; zero if that is past.
pub fn until(from: Timestamp, until: Timestamp) -> Duration {
    (until - from).to_std().unwrap_or_default()
}

/// How early a token is refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Margin {
    /// The most: `refresh_buffer`.
    pub buffer: Duration,
    /// The most as a share of the token's lifetime, in percent: what makes 5-minute tokens work.
    pub share_percent: u8,
}

impl Margin {
    /// How long before its end a token of this lifetime is refreshed.
    pub fn of(self, lifetime: Duration) -> Duration {
        self.buffer.min(lifetime * u32::from(self.share_percent) / 100)
    }

    /// When to refresh a token that ends at `expires_at`. `chance` in 0..1 spreads refreshes, always towards earlier.
    pub fn refresh_at(self, expires_at: Timestamp, lifetime: Duration, chance: f64) -> Timestamp {
        let margin = self.of(lifetime);
        to_millis(before(expires_at, margin + margin.mul_f64(JITTER_SHARE_OF_MARGIN * chance.clamp(0.0, 1.0))))
    }
}

/// How long to leave a connection alone after a job that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// After the first failure.
    pub first: Duration,
    /// Doubling stops here.
    pub cap: Duration,
}

impl BackOff {
    /// The wait after so many failures in a row: doubled each time up to the cap; `chance` in 0..1 picks from its upper half.
    pub fn wait(self, failures: u32, chance: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let full = self.first.saturating_mul(1 << doublings).min(self.cap);
        full.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn an_hour_keeps_the_whole_buffer_and_short_tokens_keep_a_share() {
        let margin = Margin { buffer: 15 * MINUTE, share_percent: 25 };
        assert_eq!(margin.of(60 * MINUTE), 15 * MINUTE);
        assert_eq!(margin.of(30 * MINUTE), MINUTE * 15 / 2);
        assert_eq!(margin.of(2 * MINUTE), MINUTE / 2);
        assert_eq!(margin.of(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn back_off_doubles_to_its_cap() {
        let back_off = BackOff { first: Duration::from_secs(10), cap: 10 * MINUTE };
        let full: Vec<_> = (1..=8).map(|failures| back_off.wait(failures, 1.0).as_secs()).collect();
        assert_eq!(full, [10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(back_off.wait(1, 0.0), Duration::from_secs(5));
        assert_eq!(back_off.wait(u32::MAX, 1.0), 10 * MINUTE);
    }

    proptest! {
        #[test]
        fn a_refresh_is_due_before_the_end_and_within_the_lifetime(
            lifetime_secs in 0_u64..10_000_000, buffer_secs in 0_u64..100_000, share in 1_u8..=50, chance in 0.0..1.0,
        ) {
            let issued = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
            let lifetime = Duration::from_secs(lifetime_secs);
            let expires_at = after(issued, lifetime);
            let margin = Margin { buffer: Duration::from_secs(buffer_secs), share_percent: share };
            let refresh_at = margin.refresh_at(expires_at, lifetime, chance);
            prop_assert!(refresh_at <= expires_at);
            prop_assert!(refresh_at >= issued, "a 15-minute margin on a 10-minute token must not loop");
        }
    }
}
