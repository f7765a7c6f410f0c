//! Failed jobs, to be dealt with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use evergrant_contract::failed_job::{FailedJobFilter, FailedJobState};
use evergrant_contract::ids::JobId;
use evergrant_contract::job::{Job, Payload};
use evergrant_contract::ports::QueueError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use uuid::Uuid;

use super::failed_jobs::{behind, counted, found};
use super::filter::filter_schema;
use super::operator;
use crate::auth::Caller;
use crate::edges::extract::{Json, Path};
use crate::edges::trace::TraceContext;
use crate::problem::{Problem, ProblemKind};
use crate::replay::{Deed, Done, Order, Outcome, Page, ReplayError, Replays, Way, cursor};
use crate::routes::connections::view::words;
use crate::state::Api;

/// Failed jobs that one request deals with, at most.
pub(super) const LIMIT_MAX: u32 = 1000;
/// Between a queue that is too full and the next try.
const CROWDED_WAIT: Duration = Duration::from_secs(5);
/// A dry run counts no further.
const COUNTED: u64 = 1_000_000;
/// The longest reason, in characters.
const REASON_MAX: usize = 500;

/// Why, and with what.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Replay {
    /// Why, for the audit log.
    reason: String,
    /// The job to do instead: an edited payload, as JSON or as text. Of it the connection counts; version and time are taken
    /// from the row as it is.
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
}

/// Why.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Discard {
    /// Why, for the audit log.
    reason: String,
}

/// What came of one failed job.
#[derive(Serialize, ToSchema)]
pub(super) struct Dealt {
    id: Uuid,
    /// What came of it. `published`, `moved_on` and `discarded` close it; after all others it stays as it was.
    #[schema(schema_with = outcomes)]
    outcome: Outcome,
    /// Whether it is closed by this.
    is_closed: bool,
    /// What happened and what to do, for people.
    detail: &'static str,
    /// Of which connection, if that is known.
    connection_id: Option<Uuid>,
}

impl From<&Done> for Dealt {
    fn from(done: &Done) -> Self {
        Self {
            id: done.id.uuid(),
            outcome: done.outcome,
            is_closed: done.outcome.closes_as().is_some(),
            detail: done.outcome.told(),
            connection_id: done.connection.map(evergrant_contract::ids::ConnectionId::uuid),
        }
    }
}

/// Refreshes the connection again, if it still needs it. Looks at the row first: it never spends a spent token.
#[utoipa::path(post, path = "/api/ops/failed-jobs/{id}/replay", operation_id = "replayFailedJob", tag = "operations",
    summary = "Replay a failed job", params(("id" = Uuid, Path, description = "The failed job.")),
    request_body(content = Option<Replay>, description = "Why, and with what; may be empty."),
    responses((status = 200, description = "What came of it.", body = Dealt)))]
pub(super) async fn replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<JobId>,
    body: Option<Json<Replay>>,
) -> Result<Json<Dealt>, Problem> {
    operator(&caller)?;
    let Replay { reason, payload } = body.map(|Json(wish)| wish).unwrap_or_default();
    let edited = payload.map(|payload| edited(&payload)).transpose()?;
    let mut order = order(&caller, Deed::Replay, &reason, false)?;
    if let Some(edited) = &edited {
        order.reason = format!("{} (with an edited payload, about {})", order.reason, edited.connection());
        order.reason = order.reason.trim().to_owned();
    }
    let job = found(&api, id).await?;
    let done = replays(&api).one(&job, edited.as_ref(), &order).await?;
    tell(&order, std::slice::from_ref(&done));
    Ok(Json(Dealt::from(&done)))
}

/// Gives a failed job up for good. The connection stays as it is, and goes on being tried if it can be.
#[utoipa::path(post, path = "/api/ops/failed-jobs/{id}/discard", operation_id = "discardFailedJob", tag = "operations",
    summary = "Discard a failed job", params(("id" = Uuid, Path, description = "The failed job.")),
    request_body(content = Option<Discard>, description = "Why; may be empty."),
    responses((status = 200, description = "What came of it.", body = Dealt)))]
pub(super) async fn discard(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<JobId>,
    body: Option<Json<Discard>>,
) -> Result<Json<Dealt>, Problem> {
    operator(&caller)?;
    let Discard { reason } = body.map(|Json(wish)| wish).unwrap_or_default();
    let order = order(&caller, Deed::Discard, &reason, false)?;
    let job = found(&api, id).await?;
    let done = replays(&api).one(&job, None, &order).await?;
    tell(&order, std::slice::from_ref(&done));
    Ok(Json(Dealt::from(&done)))
}

// ----------------------------------------------------------------------------------------------------------------- many

/// Which failed jobs, and what of them. Exactly one of `filter` and `ids`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Many {
    /// Those that it names, as far as they are open. An empty one names all.
    #[serde(default)]
    #[schema(schema_with = filter_schema)]
    filter: Option<FailedJobFilter>,
    /// These; at most 1000.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Uuid>>, max_items = 1000)]
    ids: Option<Vec<JobId>>,
    /// Only say what would come of it.
    #[serde(default)]
    dry_run: bool,
    /// How many of those that the filter names are dealt with by this request, newest first.
    #[serde(default = "limit_max")]
    #[schema(minimum = 1, maximum = 1000, default = 1000)]
    limit: u32,
    /// So many in a second, at most. The answer's `wait_ms` says when to send the next request.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    rate: Option<u32>,
    /// The `next` of the answer before.
    #[serde(default)]
    after: Option<String>,
    /// Why, for the audit log.
    #[serde(default)]
    reason: String,
}

pub(super) const fn limit_max() -> u32 {
    LIMIT_MAX
}

/// What came of many failed jobs.
#[derive(Serialize, ToSchema)]
pub(super) struct DealtMany {
    /// Nothing was done.
    dry_run: bool,
    /// How many were looked at.
    handled: u64,
    /// How many were closed, or would be.
    closed: u64,
    /// How many of each outcome.
    outcomes: BTreeMap<&'static str, u64>,
    /// Those that stay open, or would, and why.
    left_open: Vec<Dealt>,
    /// Whether there are more: send the same again, with `next` as `after`.
    more: bool,
    /// Where the next request begins.
    next: Option<String>,
    /// Milliseconds to wait before the next request, to keep to the `rate`; 0 without one.
    wait_ms: u64,
    /// What broke this off before its end; null: nothing did. What was done stays done: go on from `next` a little later.
    stopped_by: Option<String>,
    /// For a dry run with a filter: how many failed jobs it names. Counted up to 1,000,000.
    total: Option<u64>,
    /// There are more than `total`.
    total_is_at_least: bool,
}

/// Replays all that the filter or the ids name. One request deals with up to `limit` of them: send it again with `next` as
/// `after` while `more` is true. It can be stopped at any time and begun anew: what was dealt with is closed.
#[utoipa::path(post, path = "/api/ops/failed-jobs/replay", operation_id = "replayFailedJobs", tag = "operations",
    summary = "Replay many failed jobs", request_body(content = Many, description = "Which, and why."),
    responses((status = 200, description = "What came of them.", body = DealtMany)))]
pub(super) async fn replay_many(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(many): Json<Many>,
) -> Result<Json<DealtMany>, Problem> {
    deal_with(&api, &caller, Deed::Replay, many).await.map(Json)
}

/// Gives up all that the filter or the ids name, for good. As for replays: `limit` by `limit`.
#[utoipa::path(post, path = "/api/ops/failed-jobs/discard", operation_id = "discardFailedJobs", tag = "operations",
    summary = "Discard many failed jobs", request_body(content = Many, description = "Which, and why."),
    responses((status = 200, description = "What came of them.", body = DealtMany)))]
pub(super) async fn discard_many(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(many): Json<Many>,
) -> Result<Json<DealtMany>, Problem> {
    deal_with(&api, &caller, Deed::Discard, many).await.map(Json)
}

async fn deal_with(api: &Api, caller: &Caller, deed: Deed, many: Many) -> Result<DealtMany, Problem> {
    operator(caller)?;
    let Many { filter, ids, dry_run, limit, rate, after, reason } = many;
    let order = order(caller, deed, &reason, dry_run)?;
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(wrong(&format!("The field `limit` is wrong: a number from 1 to {LIMIT_MAX} expected.")));
    }
    let limit = limit.min(rate.map(rated).transpose()?.unwrap_or(LIMIT_MAX));
    let after = after.as_deref().map(behind).transpose()?;
    let (page, total) = match (filter, ids) {
        (Some(filter), None) => {
            let filter = only_open(filter)?;
            let total = if dry_run { Some(counted(api, &filter, COUNTED).await?) } else { None };
            (replays(api).page(&filter, after, limit, &order).await?, total)
        }
        (None, Some(ids)) if ids.len() <= LIMIT_MAX as usize => (replays(api).some(&ids, &order).await?, None),
        (None, Some(_)) => return Err(wrong(&format!("The field `ids` is wrong: at most {LIMIT_MAX} ids expected."))),
        _ => return Err(wrong("Say which failed jobs: exactly one of the fields `filter` and `ids` is expected.")),
    };
    if page.done.is_empty()
        && let Some(trouble) = page.trouble
    {
        return Err(trouble.into());
    }
    if !dry_run {
        tell(&order, &page.done);
    }
    Ok(answer(&page, dry_run, rate, total))
}

fn answer(page: &Page, dry_run: bool, rate: Option<u32>, total: Option<(u64, bool)>) -> DealtMany {
    let open = page.done.iter().filter(|done| done.outcome.closes_as().is_none());
    let left_open: Vec<_> = open.map(Dealt::from).collect();
    let handled = page.done.len() as u64;
    DealtMany {
        dry_run,
        handled,
        closed: handled - left_open.len() as u64,
        outcomes: page.counts().into_iter().map(|(outcome, count)| (outcome.as_str(), count)).collect(),
        left_open,
        more: page.next.is_some() || page.trouble.is_some(),
        next: page.next.map(cursor),
        wait_ms: rate.filter(|_| !dry_run).map_or(0, |rate| handled * 1000 / u64::from(rate.max(1))),
        stopped_by: page.trouble.as_ref().map(ToString::to_string),
        total: total.map(|(total, _)| total),
        total_is_at_least: total.is_some_and(|(_, is_at_least)| is_at_least),
    }
}

pub(super) fn rated(rate: u32) -> Result<u32, Problem> {
    if (1..=LIMIT_MAX).contains(&rate) {
        return Ok(rate);
    }
    Err(wrong(&format!("The field `rate` is wrong: a number from 1 to {LIMIT_MAX} expected.")))
}

/// Only open ones can be dealt with: whoever names others means something else.
fn only_open(filter: FailedJobFilter) -> Result<FailedJobFilter, Problem> {
    if filter.states.iter().any(|state| *state != FailedJobState::Open) {
        return Err(wrong("The field `filter.states` is wrong: only failed jobs that are `open` can be dealt with."));
    }
    Ok(FailedJobFilter { states: vec![FailedJobState::Open], ..filter })
}

fn replays(api: &Api) -> Replays {
    Replays::new(Arc::clone(&api.store), Way::Queue(Arc::clone(&api.queue)), Arc::clone(&api.clock))
}

fn order(caller: &Caller, deed: Deed, reason: &str, is_dry_run: bool) -> Result<Order, Problem> {
    let reason = reason_of(reason)?;
    Ok(Order { deed, is_dry_run, actor: caller.name(), reason, traceparent: TraceContext::current() })
}

/// What the audit log keeps of why something was done.
pub(in crate::routes) fn reason_of(reason: &str) -> Result<String, Problem> {
    if reason.chars().count() > REASON_MAX || reason.contains(char::is_control) {
        let detail = format!("The field `reason` is wrong: one line of at most {REASON_MAX} characters expected.");
        return Err(wrong(&detail));
    }
    Ok(reason.trim().to_owned())
}

/// The job within an edited payload.
fn edited(payload: &Value) -> Result<Payload, Problem> {
    let text = match payload {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let job = Job::decode(text.as_bytes());
    Ok(job.map_err(|error| wrong(&format!("The field `payload` is wrong: {error}.")))?.payload)
}

pub(super) fn wrong(detail: &str) -> Problem {
    Problem::new(ProblemKind::InvalidParameter, detail)
}

fn tell(order: &Order, done: &[Done]) {
    let closed = done.iter().filter(|done| done.outcome.closes_as().is_some()).count();
    match order.deed {
        Deed::Replay => tracing::info!(actor = order.actor, closed, jobs = done.len(), "Failed jobs were replayed"),
        Deed::Discard => tracing::info!(actor = order.actor, closed, jobs = done.len(), "Failed jobs were discarded"),
    }
}

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => error.into(),
            ReplayError::Queue(error) => {
                tracing::warn!(%error, "A replay found the queue away or full");
                let detail = "The queue is away or full for the moment. Nothing was closed; try again.";
                let wait = Duration::from_secs(if matches!(error, QueueError::Full) { 10 } else { 2 });
                Self::new(ProblemKind::Unavailable, detail).retry_after(wait)
            }
            ReplayError::Crowded { .. } => {
                let detail = format!("{error}. Nothing was closed; go on when they have taken some of them away.");
                Self::new(ProblemKind::Unavailable, detail).retry_after(CROWDED_WAIT)
            }
        }
    }
}

fn outcomes() -> ObjectBuilder {
    words(Outcome::ALL.iter().map(|word| word.as_str())).schema_type(Type::String)
}
