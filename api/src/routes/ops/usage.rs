//! What is done for whom, day by day.

use std::sync::Arc;

use axum::extract::State;
use evergrant_contract::ids::UserId;
use evergrant_contract::usage::Rank;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::operator;
use crate::auth::Caller;
use crate::edges::extract::{Json, Query};
use crate::problem::{Problem, ProblemKind};
use crate::routes::connections::view::words;
use crate::state::Api;
use crate::usage::{UsageQuestion, UsageReport};

/// The longest look back, in days.
const DAYS_MAX: u32 = 366;
/// Users shown at most.
const USERS_MAX: u32 = 200;

/// Which days and users.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    /// How many days, today included: 1 to 366.
    #[serde(default = "a_week")]
    #[param(minimum = 1, maximum = 366, default = 7)]
    days: u32,
    /// What users are ranked by.
    #[serde(default = "by_calls")]
    #[param(schema_with = all_ranks)]
    by: Rank,
    /// How many users are ranked: 1 to 200.
    #[serde(default = "ten")]
    #[param(minimum = 1, maximum = 200, default = 10)]
    limit: u32,
    /// One user's days only.
    #[param(value_type = Option<String>)]
    user: Option<UserId>,
}

/// Refreshes, failures, calls and time left of each day, the users with the most of them, and what that suggests.
#[utoipa::path(get, path = "/api/ops/usage", operation_id = "getUsage", tag = "operations",
    summary = "What is done for whom, day by day", params(Span),
    responses((status = 200, description = "What was done.", body = UsageReport)))]
pub(super) async fn usage(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(span): Query<Span>,
) -> Result<Json<UsageReport>, Problem> {
    operator(&caller)?;
    for (name, number, most) in [("days", span.days, DAYS_MAX), ("limit", span.limit, USERS_MAX)] {
        if !(1..=most).contains(&number) {
            let detail = format!("The query parameter `{name}` is wrong: a number from 1 to {most} expected.");
            return Err(Problem::new(ProblemKind::InvalidParameter, detail));
        }
    }
    let question = UsageQuestion { days: span.days, by: span.by, limit: span.limit, user: span.user };
    let report = UsageReport::read(&*api.store, api.settings.usage, api.clock.now(), &question).await?;
    Ok(Json(report))
}

const fn a_week() -> u32 {
    7
}

const fn ten() -> u32 {
    10
}

const fn by_calls() -> Rank {
    Rank::Calls
}

fn all_ranks() -> ObjectBuilder {
    words(Rank::ALL.iter().map(|word| word.as_str())).schema_type(Type::String)
}
