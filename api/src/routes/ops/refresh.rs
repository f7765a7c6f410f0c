//! Many connections, to be refreshed now.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State as Shared;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::ConnectionFilter;
use evergrant_contract::ids::{ConnectionId, ProviderName, UserId};
use evergrant_contract::state::{Reason, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use uuid::Uuid;

use super::operator;
use super::replay::{LIMIT_MAX, limit_max, rated, reason_of, wrong};
use crate::auth::Caller;
use crate::edges::extract::Json;
use crate::edges::trace::TraceContext;
use crate::problem::Problem;
use crate::refreshes::{Asked, RefreshOrder, RefreshPage, Refreshes};
use crate::replay::Way;
use crate::routes::connections::view::words;
use crate::state::Api;

/// Which connections, as `GET /api/connections` lists them. Everything that is named has to hold; an empty one names all.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Which {
    /// In one of these states; none: any.
    #[schema(schema_with = states)]
    states: Vec<State>,
    /// With this reason for not being `active`.
    #[schema(schema_with = reasons)]
    reason: Option<Reason>,
    /// Of this provider app.
    #[schema(value_type = Option<String>)]
    provider: Option<ProviderName>,
    /// Of this user.
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
    /// Whose user, account or label begins with this, whatever the case of its letters, or whose id this is.
    text: Option<String>,
    /// Whose access token has ended.
    expired: bool,
}

impl Which {
    fn filter(self, now: Timestamp) -> ConnectionFilter {
        let text = self.text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        ConnectionFilter {
            states: self.states,
            reason: self.reason,
            provider: self.provider,
            user: self.user,
            text,
            expired_before: self.expired.then_some(now),
        }
    }
}

/// Which connections, how fast and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshMany {
    /// Which.
    filter: Which,
    /// Only say what would come of it.
    #[serde(default)]
    dry_run: bool,
    /// How many this request deals with.
    #[serde(default = "limit_max")]
    #[schema(minimum = 1, maximum = 1000, default = 1000)]
    limit: u32,
    /// So many in a second, at most. The answer's `wait_ms` says when to send the next request.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    rate: Option<u32>,
    /// The `next` of the answer before.
    #[serde(default)]
    after: Option<Uuid>,
    /// Why, for the audit log.
    #[serde(default)]
    reason: String,
}

/// A connection that was left alone.
#[derive(Serialize, ToSchema)]
struct LeftAlone {
    connection_id: Uuid,
    /// Why.
    #[schema(schema_with = outcomes)]
    outcome: Asked,
    /// The same for people, and what to do.
    detail: &'static str,
}

/// What came of them.
#[derive(Serialize, ToSchema)]
pub(super) struct RefreshedMany {
    /// Nothing was done.
    dry_run: bool,
    /// How many were looked at.
    handled: u64,
    /// Of how many a refresh was asked for, or would be.
    asked: u64,
    /// How many of each outcome.
    outcomes: BTreeMap<&'static str, u64>,
    /// Those that were left alone, or would be, and why.
    left_alone: Vec<LeftAlone>,
    /// Whether there are more: send the same again, with `next` as `after`.
    more: bool,
    /// Where the next request begins.
    next: Option<Uuid>,
    /// Milliseconds to wait before the next request, to keep to the `rate`; 0 without one.
    wait_ms: u64,
    /// What broke this off before its end; null: nothing did. What was asked for stays so: go on from `next` a little later.
    stopped_by: Option<String>,
}

/// Asks for the refresh of all connections that the filter names, also of those whose tokens are still good. One request
/// deals with up to `limit` of them: send it again with `next` as `after` while `more` is true. Nobody is waited for.
#[utoipa::path(post, path = "/api/ops/connections/refresh", operation_id = "refreshConnections", tag = "operations",
    summary = "Refresh many connections", request_body(content = RefreshMany, description = "Which, and why."),
    responses((status = 200, description = "What came of them.", body = RefreshedMany)))]
pub(super) async fn refresh_many(
    Shared(api): Shared<Arc<Api>>,
    caller: Caller,
    Json(many): Json<RefreshMany>,
) -> Result<Json<RefreshedMany>, Problem> {
    operator(&caller)?;
    let RefreshMany { filter, dry_run, limit, rate, after, reason } = many;
    let (actor, reason) = (caller.name(), reason_of(&reason)?);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(wrong(&format!("The field `limit` is wrong: a number from 1 to {LIMIT_MAX} expected.")));
    }
    let limit = limit.min(rate.map(rated).transpose()?.unwrap_or(LIMIT_MAX));
    let order = RefreshOrder { is_dry_run: dry_run, actor, reason, traceparent: TraceContext::current() };
    let way = Way::Queue(Arc::clone(&api.queue));
    let refreshes = Refreshes::new(Arc::clone(&api.store), way, Arc::clone(&api.clock));
    let filter = filter.filter(api.clock.now());
    let page = refreshes.page(&filter, after.map(ConnectionId::from), limit, &order).await?;
    if page.done.is_empty()
        && let Some(trouble) = page.trouble
    {
        return Err(trouble.into());
    }
    let answer = answer(&page, dry_run, rate);
    if !dry_run {
        let (connections, asked) = (answer.handled, answer.asked);
        tracing::info!(
            actor = order.actor,
            asked,
            connections,
            "Refreshes of connections were asked for by an operator"
        );
    }
    Ok(Json(answer))
}

fn answer(page: &RefreshPage, dry_run: bool, rate: Option<u32>) -> RefreshedMany {
    let left = page.done.iter().filter(|(_, asked)| !asked.is_asked());
    let left = left.map(|(id, asked)| LeftAlone { connection_id: id.uuid(), outcome: *asked, detail: asked.told() });
    let left_alone: Vec<_> = left.collect();
    let handled = page.done.len() as u64;
    RefreshedMany {
        dry_run,
        handled,
        asked: handled - left_alone.len() as u64,
        outcomes: page.counts().into_iter().map(|(asked, count)| (asked.as_str(), count)).collect(),
        left_alone,
        more: page.next.is_some() || page.trouble.is_some(),
        next: page.next.map(ConnectionId::uuid),
        wait_ms: rate.filter(|_| !dry_run).map_or(0, |rate| handled * 1000 / u64::from(rate.max(1))),
        stopped_by: page.trouble.as_ref().map(ToString::to_string),
    }
}

fn states() -> ArrayBuilder {
    let state = words(State::ALL.iter().map(|state| state.as_str())).schema_type(Type::String);
    ArrayBuilder::new().items(state).description(Some("In one of these states; none: any."))
}

fn reasons() -> ObjectBuilder {
    let about = "With this reason for not being `active`.";
    words(Reason::ALL.iter().map(|reason| reason.as_str())).schema_type(Type::String).description(Some(about))
}

fn outcomes() -> ObjectBuilder {
    words(Asked::ALL.iter().map(|word| word.as_str())).schema_type(Type::String)
}
