//! The pause that the API asks for.

use std::time::Duration;

use chrono::{DateTime, Utc};
use evergrant_contract::Timestamp;
use evergrant_contract::timing::until;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Reads `Retry-After`: seconds, or a date. `None` if there is none, or it is neither.
pub(crate) fn read(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        // Beyond what a duration can hold is still a pause, a very long one.
        return (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    }
    Some(until(now, DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc)))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn seconds_and_dates_are_read() {
        let now = "2026-11-23T10:00:00Z".parse().unwrap();
        let secs = |secs| Some(Duration::from_secs(secs));
        let cases = [
            ("120", secs(120)),
            (" 0 ", secs(0)),
            ("1.5", Some(Duration::from_millis(1500))),
            ("Mon, 23 Nov 2026 10:02:00 GMT", secs(120)),
            ("Mon, 23 Nov 2026 09:00:00 GMT", secs(0)),
            ("99999999999999999999999", Some(Duration::MAX)),
            ("-5", None),
            ("NaN", None),
            ("soon", None),
        ];
        for (text, pause) in cases {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(read(&headers, now), pause, "{text}");
        }
        assert_eq!(read(&HeaderMap::new(), now), None);
    }
}
