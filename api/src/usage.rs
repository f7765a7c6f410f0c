//! What is done for whom, as the page and `evergrant stats` show it.

use chrono::{Days, NaiveDate};
use evergrant_contract::Timestamp;
use evergrant_contract::ids::UserId;
use evergrant_contract::ports::{Store, StoreError};
use evergrant_contract::usage::{Counts, DayTotal, Present, Rank, Suggestion, Unused, UserTotal, suggest};
use serde::Serialize;
use utoipa::ToSchema;

/// Nobody used a connection for this many days: it is shown as unused where no policy says another number.
const UNUSED_DAYS: u32 = 30;

/// Which days and users.
#[derive(Debug, Clone)]
pub struct UsageQuestion {
    /// How many days, today included; at least 1.
    pub days: u32,
    /// What users are ranked by.
    pub by: Rank,
    /// Users shown at most.
    pub limit: u32,
    /// One user's days only.
    pub user: Option<UserId>,
}

/// What was done for whom, and what that suggests.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageReport {
    /// The first day, in UTC.
    pub since: NaiveDate,
    /// The last day, today.
    pub until: NaiveDate,
    /// Days and provider apps with anything to tell, in their order.
    pub days: Vec<DayUsage>,
    /// The users with the most, most first.
    pub users: Vec<UserUsage>,
    /// Connections that nobody uses.
    pub unused: UnusedConnections,
    /// Settings that would serve better.
    pub suggestions: Vec<SettingSuggestion>,
}

/// What was counted.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageCounts {
    /// Refreshes that brought a new access token.
    pub refreshes: u64,
    /// Refreshes that ended without one.
    pub failures: u64,
    /// Of both, those that somebody waited for.
    pub forced: u64,
    /// Tokens given out, and calls of the provider's API made with them.
    pub calls: u64,
    /// What was left of tokens when their scheduled refresh began; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<TimeLeft>,
}

/// What was left of tokens when their scheduled refresh began.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeLeft {
    /// On average, in seconds.
    pub mean_seconds: i64,
    /// The least, in seconds; negative if the token had ended.
    pub least_seconds: i64,
    /// Tokens that had ended by then.
    pub ended: u64,
}

/// What was done on one day at one provider app.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayUsage {
    /// The day, in UTC.
    pub day: NaiveDate,
    /// The provider app.
    pub provider: String,
    /// For how many users.
    pub users: u64,
    /// What.
    #[serde(flatten)]
    pub counts: UsageCounts,
}

/// What was done for one user at one provider app.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserUsage {
    /// The user.
    pub user_id: String,
    /// The provider app.
    pub provider: String,
    /// What.
    #[serde(flatten)]
    pub counts: UsageCounts,
}

/// Connections that nobody uses.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnusedConnections {
    /// Nobody used them for this many days.
    pub days: u32,
    /// So many.
    pub connections: u64,
    /// Of so many that are refreshed.
    pub of: u64,
    /// Whether they rest: they are refreshed when somebody uses them again.
    pub rest: bool,
}

/// A setting that would serve better.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingSuggestion {
    /// The setting.
    pub setting: String,
    /// Its value now.
    pub now: u64,
    /// A better one.
    pub better: u64,
    /// Why.
    pub why: String,
}

impl UsageReport {
    /// Reads it. The users' ranking and the unused connections cost the store a look at all that it counted.
    pub async fn read(
        store: &dyn Store,
        present: Present,
        now: Timestamp,
        question: &UsageQuestion,
    ) -> Result<Self, StoreError> {
        let until = now.date_naive();
        let since = until.checked_sub_days(Days::new(u64::from(question.days.max(1)) - 1)).unwrap_or(NaiveDate::MIN);
        let days = store.usage_by_day(since, until, question.user.as_ref()).await?;
        let users = match question.user {
            None => store.usage_by_user(since, until, question.by, question.limit).await?,
            Some(_) => Vec::new(),
        };
        let rest_days = present.rest_after.and_then(|after| u32::try_from(after.as_secs() / 86_400).ok());
        let unused_days = rest_days.unwrap_or(UNUSED_DAYS);
        let (connections, of) = store.unused_since(now - Days::new(u64::from(unused_days))).await?;
        let unused = Unused { days: unused_days, connections, of };
        let sum = days.iter().fold(Counts::default(), |sum, day| sum.plus(day.counts));
        let suggestions = match question.user {
            None => suggest(present, sum, unused),
            // What one user does says nothing about settings for all.
            Some(_) => Vec::new(),
        };
        Ok(Self {
            since,
            until,
            days: days.into_iter().map(DayUsage::from).collect(),
            users: users.into_iter().map(UserUsage::from).collect(),
            unused: UnusedConnections { days: unused_days, connections, of, rest: present.rest_after.is_some() },
            suggestions: suggestions.into_iter().map(SettingSuggestion::from).collect(),
        })
    }
}

impl From<Counts> for UsageCounts {
    fn from(counts: Counts) -> Self {
        let Counts { refreshes, failures, forced, calls, left } = counts;
        let left =
            left.mean().map(|mean_seconds| TimeLeft { mean_seconds, least_seconds: left.least, ended: left.ended });
        Self { refreshes, failures, forced, calls, left }
    }
}

impl From<DayTotal> for DayUsage {
    fn from(total: DayTotal) -> Self {
        let DayTotal { day, provider, users, counts } = total;
        Self { day, provider: provider.to_string(), users, counts: counts.into() }
    }
}

impl From<UserTotal> for UserUsage {
    fn from(total: UserTotal) -> Self {
        let UserTotal { user, provider, counts } = total;
        Self { user_id: user.to_string(), provider: provider.to_string(), counts: counts.into() }
    }
}

impl From<Suggestion> for SettingSuggestion {
    fn from(suggestion: Suggestion) -> Self {
        let Suggestion { setting, now, better, why } = suggestion;
        Self { setting: setting.to_owned(), now, better, why }
    }
}
