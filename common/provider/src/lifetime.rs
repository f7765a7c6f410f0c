//! How long a token lives, out of whatever the provider wrote.

use std::time::Duration;

use evergrant_contract::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// No access token is believed to live longer. Whatever says so is a mistake, such as a time stamp in the wrong field.
pub(crate) const LONGEST: Duration = Duration::from_hours(400 * 24);

/// What the number in an expiry field counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryUnit {
    /// Seconds from now, as the standard has it.
    #[default]
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// Seconds since 1970: a point in time.
    UnixSeconds,
}

/// An expiry field, read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Expiry {
    /// The field is not there.
    Missing,
    /// So long from now; zero if that is past.
    In(Duration),
    /// The field holds something that is no time to live.
    Absurd,
}

impl Expiry {
    /// Reads a number, or a number as text. A negative one is absurd, unless it is a point in time, which may be past.
    pub(crate) fn read(value: Option<&Value>, unit: ExpiryUnit, now: Timestamp) -> Self {
        let number = match value {
            None | Some(Value::Null) => return Self::Missing,
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) if text.trim().is_empty() => return Self::Missing,
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let Some(number) = number.filter(|number: &f64| number.is_finite() && *number >= 0.0) else {
            return Self::Absurd;
        };
        let seconds = match unit {
            ExpiryUnit::Seconds => number,
            ExpiryUnit::Milliseconds => number / 1000.0,
            ExpiryUnit::UnixSeconds => (number - seconds_since_1970(now)).max(0.0),
        };
        Duration::try_from_secs_f64(seconds).map_or(Self::Absurd, Self::In)
    }

    /// The lifetime to count with, and whether the field was absurd. Too short is harmless, too long is not: so what cannot
    /// be believed becomes the descriptor's default.
    pub(crate) fn lifetime(self, default: Duration) -> (Duration, bool) {
        match self {
            Self::Missing => (default, false),
            Self::In(lifetime) if lifetime <= LONGEST => (lifetime, false),
            Self::In(_) | Self::Absurd => (default, true),
        }
    }
}

fn seconds_since_1970(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits for 285,000 years")]
    let millis = at.timestamp_millis() as f64;
    millis / 1000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn now() -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn read(value: &Value, unit: ExpiryUnit) -> (Duration, bool) {
        Expiry::read(Some(value), unit, now()).lifetime(HOUR)
    }

    #[test]
    fn whatever_the_provider_writes_is_read_or_replaced() {
        let secs = Duration::from_secs;
        let cases = [
            (json!(1800), ExpiryUnit::Seconds, secs(1800), false),
            (json!("1800"), ExpiryUnit::Seconds, secs(1800), false),
            (json!(" 1800 "), ExpiryUnit::Seconds, secs(1800), false),
            (json!(1799.5), ExpiryUnit::Seconds, Duration::from_millis(1_799_500), false),
            (json!(0), ExpiryUnit::Seconds, secs(0), false),
            (json!(1_800_000), ExpiryUnit::Milliseconds, secs(1800), false),
            (json!(1_800_000_600), ExpiryUnit::UnixSeconds, secs(600), false),
            (json!(1_799_999_000), ExpiryUnit::UnixSeconds, secs(0), false),
            (json!(null), ExpiryUnit::Seconds, HOUR, false),
            (json!(""), ExpiryUnit::Seconds, HOUR, false),
            (json!(-1), ExpiryUnit::Seconds, HOUR, true),
            (json!("NaN"), ExpiryUnit::Seconds, HOUR, true),
            (json!("inf"), ExpiryUnit::Seconds, HOUR, true),
            (json!("soon"), ExpiryUnit::Seconds, HOUR, true),
            (json!([3600]), ExpiryUnit::Seconds, HOUR, true),
            (json!(1e300), ExpiryUnit::Seconds, HOUR, true),
            (json!(1_800_003_600), ExpiryUnit::Seconds, HOUR, true),
            (json!(400 * 86_400), ExpiryUnit::Seconds, LONGEST, false),
            (json!(400 * 86_400 + 1), ExpiryUnit::Seconds, HOUR, true),
        ];
        for (value, unit, lifetime, absurd) in cases {
            assert_eq!(read(&value, unit), (lifetime, absurd), "{value} as {unit:?}");
        }
        assert_eq!(Expiry::read(None, ExpiryUnit::Seconds, now()), Expiry::Missing);
    }

    proptest! {
        #[test]
        fn no_number_gives_a_lifetime_past_the_longest(number: f64, unit in 0_usize..3) {
            let unit = [ExpiryUnit::Seconds, ExpiryUnit::Milliseconds, ExpiryUnit::UnixSeconds][unit];
            for value in [json!(number), json!(number.to_string())] {
                prop_assert!(read(&value, unit).0 <= LONGEST);
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            prop_assert!(read(&json!(text), ExpiryUnit::Seconds).0 <= LONGEST);
        }
    }
}
