//! The pause that a provider asks for.

use std::time::Duration;

use chrono::{DateTime, Utc};
use evergrant_contract::Timestamp;
use evergrant_contract::timing::until;

/// No pause asked for is kept for longer: a provider that means a day is asked again after an hour.
pub(crate) const LONGEST: Duration = Duration::from_hours(1);

/// Reads a `Retry-After` header: seconds, or a date. `None` if it is neither.
pub(crate) fn read(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    let pause = if let Ok(seconds) = header.parse::<f64>() {
        // Beyond what a duration can hold is still a pause, a very long one.
        (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))?
    } else {
        until(now, DateTime::parse_from_rfc2822(header).ok()?.with_timezone(&Utc))
    };
    Some(pause.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_capped() {
        let now = "2026-11-23T10:00:00Z".parse().unwrap();
        let secs = |secs| Some(Duration::from_secs(secs));
        let cases = [
            ("120", secs(120)),
            (" 0 ", secs(0)),
            ("1.5", Some(Duration::from_millis(1500))),
            ("Mon, 23 Nov 2026 10:02:00 GMT", secs(120)),
            ("Mon, 23 Nov 2026 09:00:00 GMT", secs(0)),
            ("Tue, 24 Nov 2026 10:00:00 GMT", secs(3600)),
            ("99999999999999999999999", secs(3600)),
            ("-5", None),
            ("NaN", None),
            ("soon", None),
            ("", None),
        ];
        for (header, pause) in cases {
            assert_eq!(read(header, now), pause, "{header}");
        }
    }
}
