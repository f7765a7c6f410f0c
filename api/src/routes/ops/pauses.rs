//! Pauses: what is not refreshed until an operator says so.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use evergrant_contract::controls::{Order, Ordered, Pause, PauseTarget};
use evergrant_contract::ids::{AuditId, ConnectionId, ProviderName};
use evergrant_contract::operations::{Action, AuditEntry};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{PAGE_MAX, operator, reason_of};
use crate::auth::Caller;
use crate::edges::extract::{Json, Path, Query};
use crate::problem::{Problem, ProblemKind};
use crate::routes::connections::within;
use crate::state::Api;

/// By whom something was ordered, why, and since when it stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Order)]
pub(in crate::routes) struct OrderView {
    /// Who: `user <e-mail or id>`, `key <name>` or `cli <name>`.
    #[schema(example = "user ops@example.com")]
    by: String,
    /// Why, in their words.
    why: String,
    /// Since when.
    at: DateTime<Utc>,
}

impl From<Order> for OrderView {
    fn from(Order { by, why, at }: Order) -> Self {
        Self { by, why, at }
    }
}

/// A pause.
#[derive(Serialize, ToSchema)]
#[schema(as = Pause)]
pub(super) struct PauseView {
    /// `queue`, `app` or `connection`.
    #[schema(example = "app")]
    kind: &'static str,
    /// The kind of job (`refresh_due`, `force_refresh`), the provider app, or the connection's id.
    #[schema(example = "amazon-na")]
    name: String,
    #[serde(flatten)]
    order: OrderView,
}

impl From<Pause> for PauseView {
    fn from(Pause { target, order }: Pause) -> Self {
        Self { kind: target.kind(), name: target.name(), order: order.into() }
    }
}

/// Which page of the paused connections.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// How many connections, at most.
    #[serde(default = "page")]
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: u32,
    /// The `next` of the page before.
    after: Option<Uuid>,
}

const fn page() -> u32 {
    50
}

/// Everything that is paused.
#[derive(Serialize, ToSchema)]
#[schema(as = Pauses)]
pub(super) struct PausePage {
    /// Queues and provider apps, all of them.
    items: Vec<PauseView>,
    /// Connections, in the order of their ids.
    connections: Vec<PauseView>,
    /// How many connections are paused.
    connections_total: u64,
    /// What to send as `after` for the next page of connections; null: this is the last one.
    next: Option<Uuid>,
}

/// What is paused, by whom and why.
#[utoipa::path(get, path = "/api/ops/pauses", operation_id = "listPauses", tag = "operations",
    summary = "List what is paused", params(Which),
    responses((status = 200, description = "What is paused.", body = PausePage)))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Result<Json<PausePage>, Problem> {
    operator(&caller)?;
    let limit = within("limit", which.limit, 1, PAGE_MAX)?;
    let items = api.store.pauses().await?.iter().cloned().map(PauseView::from).collect();
    let mut connections = api.store.paused_connections(which.after.map(ConnectionId::from), limit + 1).await?;
    let connections_total = api.store.count_paused_connections().await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = connections.len() <= shown;
    connections.truncate(shown);
    let next = connections.last().filter(|_| !is_last).and_then(|pause| match &pause.target {
        PauseTarget::Connection(id) => Some(id.uuid()),
        PauseTarget::Queue(_) | PauseTarget::App(_) => None,
    });
    let connections = connections.into_iter().map(PauseView::from).collect();
    Ok(Json(PausePage { items, connections, connections_total, next }))
}

/// What is to be paused, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPause {
    /// `queue`, `app` or `connection`.
    #[schema(example = "app")]
    kind: String,
    /// The kind of job (`refresh_due`, `force_refresh`), the provider app, or the connection's id.
    #[schema(example = "amazon-na")]
    name: String,
    /// Why: whoever meets the pause is told.
    #[schema(example = "The client secret is being changed")]
    why: String,
}

/// The pause that stands now.
#[derive(Serialize, ToSchema)]
pub(super) struct Paused {
    #[serde(flatten)]
    pause: PauseView,
    /// It was paused already, and was left as it was.
    was_paused: bool,
}

/// Nothing of it is refreshed from now on, in the whole cluster and through every restart, until it is resumed. Processes that
/// run know within a second; a refresh that is in hand is finished. Repeating it changes nothing.
#[utoipa::path(post, path = "/api/ops/pauses", operation_id = "pause", tag = "operations",
    summary = "Pause a queue, a provider app or a connection", request_body = NewPause,
    responses((status = 200, description = "It is paused.", body = Paused)))]
pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(wish): Json<NewPause>,
) -> Result<Json<Paused>, Problem> {
    operator(&caller)?;
    let (target, why) = (target_of(&wish.kind, &wish.name)?, why_of(&wish.why)?);
    if let PauseTarget::App(provider) = &target {
        known(&api, provider).await?;
    }
    let order = Order { by: caller.name(), why, at: api.clock.now() };
    let audit = line(&order, Action::Pause, target.subject(), "paused");
    let pause = Pause { target, order };
    match api.store.pause(&pause, &audit).await? {
        Ordered::Done => Ok(Json(Paused { pause: pause.into(), was_paused: false })),
        Ordered::Already(standing) => Ok(Json(Paused { pause: standing.into(), was_paused: true })),
        Ordered::NotFound => Err(Problem::not_found("connection")),
    }
}

/// Why a pause ends.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    /// Why, for the audit log.
    #[serde(default)]
    reason: String,
}

/// What was resumed.
#[derive(Serialize, ToSchema)]
pub(super) struct Resumed {
    /// Whether it was paused.
    was_paused: bool,
    /// The pause that has ended.
    pause: Option<PauseView>,
}

/// What fell due meanwhile is due at once, the longest overdue first. Repeating it changes nothing.
#[utoipa::path(delete, path = "/api/ops/pauses/{kind}/{name}", operation_id = "resume", tag = "operations",
    summary = "Resume what is paused",
    params(("kind" = String, Path, description = "`queue`, `app` or `connection`."),
        ("name" = String, Path, description = "The kind of job, the provider app, or the connection's id."), Why),
    responses((status = 200, description = "It is not paused any more.", body = Resumed)))]
pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((kind, name)): Path<(String, String)>,
    Query(why): Query<Why>,
) -> Result<Json<Resumed>, Problem> {
    operator(&caller)?;
    let (target, why) = (target_of(&kind, &name)?, reason_of(&why.reason)?);
    let order = Order { by: caller.name(), why, at: api.clock.now() };
    let audit = line(&order, Action::Resume, target.subject(), "resumed");
    let ended = api.store.resume(&target, &audit).await?;
    Ok(Json(Resumed { was_paused: ended.is_some(), pause: ended.map(PauseView::from) }))
}

/// The line of the audit log about an order.
pub(super) fn line(order: &Order, action: Action, subject: String, outcome: &str) -> AuditEntry {
    let Order { by, why, at } = order.clone();
    AuditEntry { id: AuditId::generate(), at, actor: by, action, subject, reason: why, outcome: outcome.to_owned() }
}

/// A reason that has to be given: people meet its effect far from here.
pub(super) fn why_of(why: &str) -> Result<String, Problem> {
    let why = reason_of(why)?;
    if why.is_empty() {
        let detail = "The field `why` is missing: whoever meets the effect of this is told why.";
        return Err(Problem::new(ProblemKind::InvalidParameter, detail));
    }
    Ok(why)
}

fn target_of(kind: &str, name: &str) -> Result<PauseTarget, Problem> {
    PauseTarget::named(kind, name)
        .map_err(|error| Problem::new(ProblemKind::InvalidParameter, format!("`kind` or `name` is wrong: {error}.")))
}

/// Whether there is such a provider app: a slip of the pen would pause nothing.
async fn known(api: &Api, provider: &ProviderName) -> Result<(), Problem> {
    let is_known =
        api.providers.contains_key(provider) || api.store.apps().await?.iter().any(|app| app.provider == *provider);
    if is_known { Ok(()) } else { Err(Problem::not_found("provider app")) }
}
