//! When a message that did not arrive is tried again.

use std::time::Duration;

/// The pauses of the Standard Webhooks specification, between one try and the next.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// Pauses are made longer by up to this share, so that messages that failed together are not tried together.
const JITTER: f64 = 0.1;

/// The pause after this many tries; `None`: it is given up. `chance` in 0..1.
pub(crate) fn pause(attempts: u32, chance: f64) -> Option<Duration> {
    let nth = usize::try_from(attempts.checked_sub(1)?).ok()?;
    PAUSES.get(nth).map(|pause| pause.mul_f64(1.0 + JITTER * chance.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tries_in_three_days_and_no_more() {
        let pauses: Vec<_> = (1..).map_while(|attempts| pause(attempts, 0.0)).collect();
        assert_eq!(pauses, PAUSES);
        assert_eq!(pause(10, 0.5), None);
        assert_eq!(pause(1, 1.0), Some(Duration::from_millis(5_500)));
        assert!(pauses.iter().sum::<Duration>() > Duration::from_hours(72));
    }
}
