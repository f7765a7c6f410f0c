//! How much may be published now: pure.

use std::time::Duration;

/// A provider app that has just been opened again starts at this many jobs a second, and doubles every second.
const RAMP_START: u32 = 10;

/// A bucket that fills at a rate and never holds more than a tenth of a second's worth.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    rate: u32,
    filled: f64,
    at: Duration,
}

impl Pace {
    /// A full bucket.
    pub fn new(rate: u32, now: Duration) -> Self {
        Self { rate, filled: Self::size(rate), at: now }
    }

    fn size(rate: u32) -> f64 {
        (f64::from(rate) / 10.0).max(1.0)
    }

    /// What may be published now, at a rate that may be less than the full one.
    pub fn allowance(&mut self, now: Duration, rate: u32) -> u32 {
        let rate = rate.min(self.rate);
        let earned = now.saturating_sub(self.at).as_secs_f64() * f64::from(rate);
        self.filled = (self.filled + earned).min(Self::size(rate));
        self.at = now;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a tenth of a u32")]
        let allowance = self.filled as u32;
        allowance
    }

    /// So many were published.
    pub fn spend(&mut self, jobs: u32) {
        self.filled -= f64::from(jobs);
    }
}

/// The rate for a provider app that was opened again so long ago.
pub fn ramp(full_rate: u32, open_for: Duration) -> u32 {
    let doublings = u32::try_from(open_for.as_secs()).unwrap_or(u32::MAX).min(31);
    RAMP_START.saturating_mul(1 << doublings).min(full_rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_second_at_any_grain_allows_the_rate() {
        for steps in [10_u32, 25, 100, 1_000] {
            let mut pace = Pace::new(500, Duration::ZERO);
            pace.spend(pace.clone().allowance(Duration::ZERO, 500));
            let mut published = 0;
            for step in 1..=steps {
                let allowance = pace.allowance(SECOND * step / steps, 500);
                pace.spend(allowance);
                published += allowance;
            }
            assert!((498..=500).contains(&published), "{published} in {steps} steps");
        }
    }

    #[test]
    fn idleness_earns_no_burst() {
        let mut pace = Pace::new(500, Duration::ZERO);
        assert_eq!(pace.allowance(SECOND * 3_600, 500), 50);
    }

    #[test]
    fn the_slowest_rate_still_lets_one_through() {
        let mut pace = Pace::new(1, Duration::ZERO);
        assert_eq!(pace.allowance(Duration::ZERO, 1), 1);
    }

    #[test]
    fn an_app_that_is_well_again_is_approached_slowly() {
        let rates: Vec<_> = (0..6).map(|secs| ramp(200, SECOND * secs)).collect();
        assert_eq!(rates, [10, 20, 40, 80, 160, 200]);
        assert_eq!(ramp(20_000, SECOND * 1_000_000), 20_000);
    }
}
