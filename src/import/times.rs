//! Times as exports write them.

use chrono::{DateTime, NaiveDateTime, TimeDelta};
use evergrant_contract::Timestamp;
use evergrant_contract::timing::to_millis;
use serde_json::Value;

/// Numbers from here on are milliseconds: as seconds they would be past the year 5000.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// No access token lives longer: what claims to is a slip of units, and is taken for unknown.
const LONGEST_LIFE: TimeDelta = TimeDelta::days(366);

/// With a zone, or in UTC without one; with `T` or a space; with or without a fraction. Or a number since 1970, in
/// seconds or milliseconds.
pub(super) fn parse(value: &Value) -> Option<Timestamp> {
    let time = match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)).and_then(since_1970),
        Value::String(text) => of_text(text.trim()),
        _ => None,
    };
    time.map(to_millis)
}

/// When an access token ends; `None`, which counts as ended, if that is not known or not to be believed.
pub(super) fn expiry(value: Option<&Value>, now: Timestamp) -> Option<Timestamp> {
    parse(value?).filter(|at| *at - now < LONGEST_LIFE)
}

fn of_text(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<f64>() {
        return since_1970(whole(number)?);
    }
    let zoned = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"];
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let zoned = zoned.iter().find_map(|format| DateTime::parse_from_str(text, format).ok());
    let in_utc = || {
        let text = text.strip_suffix(['Z', 'z']).unwrap_or(text);
        naive.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    zoned.map(|time| time.to_utc()).or_else(|| in_utc().map(|time| time.and_utc()))
}

#[expect(clippy::cast_possible_truncation, reason = "a fraction of a second does not matter, and the cast saturates")]
fn whole(number: f64) -> Option<i64> {
    number.is_finite().then_some(number as i64)
}

fn since_1970(number: i64) -> Option<Timestamp> {
    match number {
        ..=0 => None,
        1..MILLISECONDS_FROM => DateTime::from_timestamp_secs(number),
        MILLISECONDS_FROM.. => DateTime::from_timestamp_millis(number),
    }
}
