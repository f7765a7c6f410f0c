//! Quantiles and medians: pure.

use std::time::Duration;

use crate::number::{count, float, millis};

/// The value below which this share (0 to 1) of a sorted list lies, by the nearest rank; zero if there is none.
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * float(count(sorted.len()))).ceil().max(1.0);
    let at = (1..=sorted.len()).find(|at| float(count(*at)) >= rank).unwrap_or(sorted.len());
    at.checked_sub(1).and_then(|at| sorted.get(at)).copied().unwrap_or_default()
}

/// The middle one; the mean of the two in the middle of an even number. `None` if there is none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    let is_odd = sorted.len() % 2 == 1;
    Some(if is_odd { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

/// How long things took.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Spread {
    /// How many were timed.
    pub count: u64,
    /// Half were as quick, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 were as quick.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

impl Spread {
    /// Of times in any order, each less this much that is not ours.
    pub fn over(times: &[Duration], not_ours: Duration) -> Self {
        let mut sorted: Vec<_> = times.iter().map(|time| time.saturating_sub(not_ours)).collect();
        sorted.sort_unstable();
        Self {
            count: count(sorted.len()),
            p50_ms: millis(quantile(&sorted, 0.5)),
            p99_ms: millis(quantile(&sorted, 0.99)),
            max_ms: millis(quantile(&sorted, 1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis_of(numbers: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        numbers.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn quantiles_are_values_of_the_list() {
        let hundred = millis_of(1..=100);
        for (share, expected) in [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)] {
            assert_eq!(quantile(&hundred, share), Duration::from_millis(expected), "{share}");
        }
        assert_eq!(quantile(&millis_of([7]), 0.99), Duration::from_millis(7));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn the_median_does_not_care_about_outliers_or_order() {
        assert_eq!(median(&[3.0, 1.0, 1000.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 1000.0]), Some(3.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn what_is_not_ours_is_taken_off_each_time() {
        let spread = Spread::over(&millis_of([30, 10, 22]), Duration::from_millis(20));
        assert_eq!(spread, Spread { count: 3, p50_ms: 2.0, p99_ms: 10.0, max_ms: 10.0 });
    }
}
