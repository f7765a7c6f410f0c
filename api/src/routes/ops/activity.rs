//! What happened, minute by minute, for charts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use chrono::{DateTime, Utc};
use evergrant_contract::Timestamp;
use evergrant_contract::operations::{Series, Tally};
use evergrant_contract::timing::{after, before, until};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

use super::operator;
use crate::auth::Caller;
use crate::edges::extract::{Json, Query};
use crate::problem::{Problem, ProblemKind};
use crate::routes::connections::view::words;
use crate::state::Api;

const MINUTE: Duration = Duration::from_mins(1);
const ALMOST_A_MINUTE: Duration = Duration::from_millis(59_999);
/// What is shown unless more is asked for.
const USUAL: Duration = Duration::from_hours(1);
/// What is shown at most.
const LONGEST: Duration = Duration::from_hours(48);

/// From when until when.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    /// From this minute on; without it, an hour before `until`.
    since: Option<DateTime<Utc>>,
    /// Until before this; without it, now. At most 48 hours after `since`.
    until: Option<DateTime<Utc>>,
}

/// What happened in each minute, by all processes together.
#[derive(Serialize, ToSchema)]
pub(super) struct Activity {
    /// The begin of the first minute.
    since: DateTime<Utc>,
    /// The end of the last one.
    until: DateTime<Utc>,
    /// Between two values: always 60.
    step_seconds: u32,
    /// What is counted. What never happened in that time is absent.
    series: Vec<Line>,
}

/// One line of a chart.
#[derive(Serialize, ToSchema)]
#[schema(as = ActivitySeries)]
struct Line {
    /// `attempts`: calls of the token endpoint, by verdict. `seconds_left`: scheduled refreshes, by what was left of the
    /// token's life. `force_seconds`: forced refreshes, by how long callers waited. `due`: connections that were due.
    /// `queue_depth`: jobs that waited, by kind.
    #[schema(schema_with = all_series)]
    series: Series,
    /// The provider app, where the series is by provider app.
    provider: Option<String>,
    /// Which part of the series: a verdict, a kind of job, or the upper bound of a bucket in seconds, `+Inf` the last. Each
    /// refresh is counted in one bucket only. May be empty.
    label: String,
    /// The highest of each minute counts, and not the sum; a minute that nobody looked at is null.
    is_level: bool,
    /// A value for each minute, oldest first.
    values: Vec<Option<u64>>,
}

/// Counts and levels of each minute, as compact lines for charts.
#[utoipa::path(get, path = "/api/ops/activity", operation_id = "getActivity", tag = "operations",
    summary = "What happened, minute by minute", params(Span),
    responses((status = 200, description = "What happened.", body = Activity)))]
pub(super) async fn activity(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(span): Query<Span>,
) -> Result<Json<Activity>, Problem> {
    operator(&caller)?;
    let (since, until) = span.minutes(api.clock.now())?;
    let tallies = api.store.activity(since, until).await?;
    let series = lines(since, until, tallies);
    Ok(Json(Activity { since, until, step_seconds: 60, series }))
}

impl Span {
    /// Whole minutes, the present one included.
    fn minutes(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
        let since = self.since.unwrap_or_else(|| before(self.until.unwrap_or(now), USUAL));
        let end = self.until.map_or_else(|| after(now, MINUTE), |until| after(until, ALMOST_A_MINUTE));
        let (first, end) = (minute(since), minute(end));
        if first >= end || evergrant_contract::timing::until(first, end) > LONGEST + MINUTE {
            let detail = "The query parameters `since` and `until` are wrong: a time of at most 48 hours expected.";
            return Err(Problem::new(ProblemKind::InvalidParameter, detail));
        }
        Ok((first, end))
    }
}

/// The begin of the minute.
fn minute(at: Timestamp) -> Timestamp {
    Timestamp::from_timestamp(at.timestamp().div_euclid(60) * 60, 0).unwrap_or(at)
}

fn lines(since: Timestamp, end: Timestamp, tallies: Vec<Tally>) -> Vec<Line> {
    let minutes = index(since, end);
    let mut lines = BTreeMap::new();
    for Tally { minute, series, provider, label, count } in tallies {
        let nothing = (!series.is_level()).then_some(0);
        let values = lines.entry((series, provider, label)).or_insert_with(|| vec![nothing; minutes]);
        if let Some(value) = (minute >= since).then(|| values.get_mut(index(since, minute))).flatten() {
            *value = Some(count);
        }
    }
    let line = |((series, provider, label), values): ((Series, Option<_>, String), _)| Line {
        series,
        provider: provider.as_ref().map(ToString::to_string),
        label,
        is_level: series.is_level(),
        values,
    };
    lines.into_iter().map(line).collect()
}

/// How many minutes after the first.
fn index(since: Timestamp, at: Timestamp) -> usize {
    usize::try_from(until(since, at).as_secs() / 60).unwrap_or(usize::MAX)
}

fn all_series() -> ObjectBuilder {
    words(Series::ALL.iter().map(|word| word.as_str())).schema_type(Type::String)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-23T{text}Z").parse().unwrap()
    }

    #[test]
    fn a_span_is_whole_minutes_and_no_longer_than_two_days() {
        let minutes = |since: Option<&str>, until: Option<&str>| {
            let span = Span { since: since.map(at), until: until.map(at) };
            span.minutes(at("12:00:30")).ok()
        };
        assert_eq!(minutes(None, None), Some((at("11:00:00"), at("12:01:00"))));
        assert_eq!(minutes(Some("11:58:59.999"), None), Some((at("11:58:00"), at("12:01:00"))));
        assert_eq!(minutes(Some("11:58:00"), Some("12:00:00")), Some((at("11:58:00"), at("12:00:00"))));
        assert_eq!(minutes(Some("12:30:00"), None), None, "the end is before the beginning");
        let days =
            |days: u64| Span { since: Some(before(at("12:00:30"), Duration::from_hours(24 * days))), until: None };
        assert!(days(2).minutes(at("12:00:30")).is_ok() && days(3).minutes(at("12:00:30")).is_err());
        let forever = Span { since: Some(Timestamp::MIN_UTC), until: Some(Timestamp::MAX_UTC) };
        assert!(forever.minutes(at("12:00:30")).is_err());
    }

    #[test]
    fn a_minute_without_calls_is_zero_and_a_level_that_nobody_looked_at_is_unknown() {
        let tally = |minute: &str, series, label: &str, count| Tally {
            minute: at(minute),
            series,
            provider: None,
            label: label.to_owned(),
            count,
        };
        let tallies = vec![
            tally("12:00:00", Series::Attempts, "refreshed", 3),
            tally("12:02:00", Series::Attempts, "refreshed", 5),
            tally("12:02:00", Series::Attempts, "transient", 1),
            tally("12:01:00", Series::Due, "", 7),
        ];
        let lines = lines(at("12:00:00"), at("12:03:00"), tallies);
        let seen: Vec<_> = lines.iter().map(|line| (line.series, line.label.as_str(), line.values.clone())).collect();
        let expected = [
            (Series::Attempts, "refreshed", vec![Some(3), Some(0), Some(5)]),
            (Series::Attempts, "transient", vec![Some(0), Some(0), Some(1)]),
            (Series::Due, "", vec![None, Some(7), None]),
        ];
        assert_eq!(seen, expected);
    }
}
