//! What is done for whom, day by day, and what that suggests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{ConnectionId, ProviderName, UserId};
use crate::state::words;

/// A day in UTC.
pub type Day = chrono::NaiveDate;

// ------------------------------------------------------------------------------------------------------------- counted

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Refreshes that brought a new access token.
    pub refreshes: u64,
    /// Refreshes that ended without one.
    pub failures: u64,
    /// Of both, those that somebody waited for.
    pub forced: u64,
    /// Tokens given out, and calls of the provider's API made with them.
    pub calls: u64,
    /// What was left of tokens when their scheduled refresh began.
    pub left: Left,
}

/// Seconds that were left of access tokens; negative where a token had ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Left {
    /// How many refreshes.
    pub count: u64,
    /// Of those, how many came after the token had ended.
    pub ended: u64,
    /// The sum of the seconds.
    pub sum: i64,
    /// The least of them; 0 if there was none.
    pub least: i64,
}

impl Left {
    /// One refresh.
    pub const fn one(seconds: i64) -> Self {
        Self { count: 1, ended: (seconds <= 0) as u64, sum: seconds, least: seconds }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let least = match (self.count, other.count) {
            (_, 0) => self.least,
            (0, _) => other.least,
            _ => self.least.min(other.least),
        };
        Self {
            count: self.count.saturating_add(other.count),
            ended: self.ended.saturating_add(other.ended),
            sum: self.sum.saturating_add(other.sum),
            least,
        }
    }

    /// Seconds on average; `None` if there was no refresh.
    pub fn mean(self) -> Option<i64> {
        i64::try_from(self.count).ok().filter(|count| *count > 0).map(|count| self.sum / count)
    }
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            refreshes: self.refreshes.saturating_add(other.refreshes),
            failures: self.failures.saturating_add(other.failures),
            forced: self.forced.saturating_add(other.forced),
            calls: self.calls.saturating_add(other.calls),
            left: self.left.plus(other.left),
        }
    }
}

/// What was done on one day for one user at one provider app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayUse {
    /// The day.
    pub day: Day,
    /// The provider app.
    pub provider: ProviderName,
    /// For whom.
    pub user: UserId,
    /// What.
    pub counts: Counts,
}

/// What was done on one day at one provider app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayTotal {
    /// The day.
    pub day: Day,
    /// The provider app.
    pub provider: ProviderName,
    /// For how many users.
    pub users: u64,
    /// What.
    pub counts: Counts,
}

/// What was done for one user at one provider app, over some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserTotal {
    /// For whom.
    pub user: UserId,
    /// The provider app.
    pub provider: ProviderName,
    /// What.
    pub counts: Counts,
}

words!(
    /// What users are ranked by.
    Rank, "a rank (calls, refreshes, failures, forced)" {
        /// Those who use their tokens most.
        Calls => "calls",
        /// Those who are refreshed most.
        Refreshes => "refreshes",
        /// Those whose refreshes fail most.
        Failures => "failures",
        /// Those who wait for refreshes most.
        Forced => "forced",
    }
);

// -------------------------------------------------------------------------------------------------------------- meter

/// Counts what this process does until somebody stores it. Counting waits for nothing.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Reading>);

/// What was counted and is not stored yet.
#[derive(Debug, Default)]
pub struct Reading {
    /// By day, provider app and user.
    pub counts: HashMap<(Day, ProviderName, UserId), Counts>,
    /// When connections were used last.
    pub used: HashMap<ConnectionId, Timestamp>,
}

impl Meter {
    /// Adds to what was done for a user.
    pub fn add(&self, at: Timestamp, provider: &ProviderName, user: &UserId, counts: Counts) {
        self.reading().add((at.date_naive(), provider.clone(), user.clone()), counts);
    }

    /// A token was given out, or a call made with it.
    pub fn used(&self, at: Timestamp, connection: ConnectionId, provider: &ProviderName, user: &UserId) {
        let mut reading = self.reading();
        reading.add((at.date_naive(), provider.clone(), user.clone()), Counts { calls: 1, ..Counts::default() });
        reading.note(connection, at);
    }

    /// Takes what was counted.
    pub fn take(&self) -> Reading {
        std::mem::take(&mut *self.reading())
    }

    /// Puts back what could not be stored.
    pub fn give_back(&self, reading: Reading) {
        let mut now = self.reading();
        for (key, counts) in reading.counts {
            now.add(key, counts);
        }
        for (connection, at) in reading.used {
            now.note(connection, at);
        }
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    fn add(&mut self, key: (Day, ProviderName, UserId), counts: Counts) {
        let sum = self.counts.entry(key).or_default();
        *sum = sum.plus(counts);
    }

    fn note(&mut self, connection: ConnectionId, at: Timestamp) {
        let last = self.used.entry(connection).or_insert(at);
        *last = at.max(*last);
    }
}

// --------------------------------------------------------------------------------------------------------- suggestions

/// What the settings are, as far as suggestions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present {
    /// `refresh_buffer`.
    pub buffer: Duration,
    /// After so long without use a connection rests; `None`: never.
    pub rest_after: Option<Duration>,
}

/// How many connections are refreshed, and how many of those nobody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Unused {
    /// Nobody used them for this many days.
    pub days: u32,
    /// So many.
    pub connections: u64,
    /// Of so many.
    pub of: u64,
}

/// A setting that would serve better, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// Its name.
    pub setting: &'static str,
    /// Its value now, in seconds or days; 0 is off.
    pub now: u64,
    /// A better one.
    pub better: u64,
    /// Why.
    pub why: String,
}

/// Fewer refreshes than this say nothing.
const ENOUGH: u64 = 100;
/// A buffer is not suggested to be smaller than this: an outage of a provider takes minutes.
const BUFFER_MIN: u64 = 300;
/// Nor larger than this: the longest margin that a token of an hour allows by default.
const BUFFER_MAX: u64 = 3_600;
/// Resting is suggested if one in so many connections would rest.
const WORTH_RESTING: u64 = 10;

/// What the counts of some days suggest.
pub fn suggest(present: Present, counts: Counts, unused: Unused) -> Vec<Suggestion> {
    buffer(present.buffer.as_secs(), counts.left).into_iter().chain(rest(present.rest_after, unused)).collect()
}

fn buffer(now: u64, left: Left) -> Option<Suggestion> {
    if left.count < ENOUGH {
        return None;
    }
    let suggestion =
        |better, why| (better != now).then_some(Suggestion { setting: "refresh_buffer", now, better, why });
    if left.ended > 0 {
        let better = (now * 2).clamp(BUFFER_MIN, BUFFER_MAX);
        let why = format!(
            "{} of {} tokens had ended before their scheduled refresh began, one by {} s: a larger buffer leaves room for \
             outages and backlogs of that length",
            left.ended,
            left.count,
            left.least.unsigned_abs()
        );
        return (better > now).then(|| suggestion(better, why)).flatten();
    }
    // Every refresh came while most of the buffer was left: the rest of it was never needed.
    let least = left.least.unsigned_abs();
    let better = (now / 2).max(BUFFER_MIN);
    if better < now && least > better + better / 2 {
        let why = format!(
            "the latest of {} scheduled refreshes still had {least} s left: a smaller buffer refreshes each token later \
             and so less often",
            left.count
        );
        return suggestion(better, why);
    }
    None
}

fn rest(rest_after: Option<Duration>, unused: Unused) -> Option<Suggestion> {
    if rest_after.is_some() || unused.connections < ENOUGH || unused.connections * WORTH_RESTING < unused.of {
        return None;
    }
    let why = format!(
        "nobody has used {} of {} connections for {} days: resting ones are refreshed when they are used again, and cost \
         the provider's rate limit nothing until then",
        unused.connections, unused.of, unused.days
    );
    Some(Suggestion { setting: "usage.rest_after_days", now: 0, better: u64::from(unused.days), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRESENT: Present = Present { buffer: Duration::from_mins(15), rest_after: None };
    const NONE_UNUSED: Unused = Unused { days: 30, connections: 0, of: 1_000 };

    fn left(count: u64, ended: u64, least: i64) -> Counts {
        Counts { left: Left { count, ended, sum: 0, least }, ..Counts::default() }
    }

    fn suggested(counts: Counts, unused: Unused) -> Vec<(&'static str, u64)> {
        suggest(PRESENT, counts, unused).into_iter().map(|suggestion| (suggestion.setting, suggestion.better)).collect()
    }

    #[test]
    fn what_was_left_adds_up_and_the_least_stays() {
        let nothing = Left::default();
        let sum = Left::one(700).plus(Left::one(-20)).plus(nothing);
        assert_eq!(sum, Left { count: 2, ended: 1, sum: 680, least: -20 });
        assert_eq!(nothing.plus(Left::one(5)), Left::one(5));
        assert_eq!((sum.mean(), nothing.mean()), (Some(340), None));
    }

    #[test]
    fn tokens_that_ended_ask_for_a_larger_buffer() {
        assert_eq!(suggested(left(1_000, 3, -40), NONE_UNUSED), [("refresh_buffer", 1_800)]);
        let at_most = Present { buffer: Duration::from_hours(1), ..PRESENT };
        assert_eq!(suggest(at_most, left(1_000, 3, -40), NONE_UNUSED), []);
    }

    #[test]
    fn a_buffer_that_was_never_needed_may_be_smaller_but_not_tiny() {
        assert_eq!(suggested(left(1_000, 0, 850), NONE_UNUSED), [("refresh_buffer", 450)]);
        assert_eq!(suggested(left(1_000, 0, 500), NONE_UNUSED), []);
        let small = Present { buffer: Duration::from_mins(5), ..PRESENT };
        assert_eq!(suggest(small, left(1_000, 0, 299), NONE_UNUSED), []);
    }

    #[test]
    fn a_few_refreshes_suggest_nothing() {
        assert_eq!(suggested(left(99, 50, -40), NONE_UNUSED), []);
    }

    #[test]
    fn many_unused_connections_suggest_that_they_rest() {
        let many = Unused { connections: 400, ..NONE_UNUSED };
        assert_eq!(suggested(Counts::default(), many), [("usage.rest_after_days", 30)]);
        let resting = Present { rest_after: Some(Duration::from_hours(24 * 7)), ..PRESENT };
        assert_eq!(suggest(resting, Counts::default(), many), []);
        assert_eq!(suggested(Counts::default(), Unused { connections: 99, ..many }), []);
        assert_eq!(suggested(Counts::default(), Unused { connections: 400, of: 10_000, ..many }), []);
    }

    #[test]
    fn a_meter_adds_up_by_day_and_user_and_takes_back_what_was_not_stored() {
        let meter = Meter::default();
        let (provider, user): (ProviderName, UserId) = ("amazon-na".parse().unwrap(), "ada".parse().unwrap());
        let at = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
        let connection = ConnectionId::generate();
        meter.used(at, connection, &provider, &user);
        let earlier = at - chrono::TimeDelta::hours(1);
        meter.used(earlier, connection, &provider, &user);
        let tomorrow = at + chrono::TimeDelta::days(1);
        meter.add(tomorrow, &provider, &user, Counts { refreshes: 1, ..Counts::default() });

        meter.give_back(meter.take());
        let reading = meter.take();
        assert_eq!(reading.used, HashMap::from([(connection, at)]));
        let key = |at: Timestamp| (at.date_naive(), provider.clone(), user.clone());
        assert_eq!((reading.counts[&key(at)].calls, reading.counts[&key(tomorrow)].refreshes), (2, 1));
        assert!(meter.take().counts.is_empty());
    }
}
