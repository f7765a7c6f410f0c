//! Receivers of webhooks: made, changed, tried out, and told again what they missed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use evergrant_contract::ids::{EndpointId, MessageId};
use evergrant_contract::webhook::{
    Delivery, DeliveryAttempt, DeliveryFilter, DeliveryState, DisabledReason, Endpoint, EndpointChange, EndpointState,
    MessageKind,
};
use evergrant_webhooks::{By, Done, HookError, NewEndpoint};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::replay::reason_of;
use super::{PAGE_MAX, operator};
use crate::auth::Caller;
use crate::edges::extract::{Json, Path, Query};
use crate::problem::{Problem, ProblemKind};
use crate::routes::connections::view::words;
use crate::routes::connections::within;
use crate::state::Api;

impl From<HookError> for Problem {
    fn from(error: HookError) -> Self {
        match error {
            HookError::NoEndpoint => Self::not_found("webhook endpoint"),
            HookError::NoDelivery => Self::not_found("delivery of this endpoint"),
            HookError::Store(error) => error.into(),
            wrong @ (HookError::Disabled | HookError::Url(_) | HookError::Description | HookError::Kind) => {
                let mut detail = wrong.to_string();
                if let Some(first) = detail.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                Self::new(ProblemKind::InvalidParameter, format!("{detail}."))
            }
        }
    }
}

/// A receiver, without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct EndpointView {
    id: Uuid,
    /// Where messages are sent to.
    #[schema(example = "https://receiver.example/hooks/evergrant")]
    url: String,
    /// What it is for.
    description: String,
    /// What it is told; empty: everything.
    #[schema(schema_with = kinds)]
    events: Vec<MessageKind>,
    /// Whether it is told anything.
    #[schema(schema_with = endpoint_states)]
    state: EndpointState,
    /// Why not; null: it is.
    #[schema(schema_with = disabled_reasons)]
    disabled_reason: Option<DisabledReason>,
    /// Since when nothing but failures came of it; null: the last try was a success.
    failing_since: Option<DateTime<Utc>>,
    /// Until when the secret before the present one signs too.
    former_secret_until: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl From<Endpoint> for EndpointView {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            id: endpoint.id.uuid(),
            url: endpoint.url,
            description: endpoint.description,
            events: endpoint.events,
            state: endpoint.state,
            disabled_reason: endpoint.disabled_reason,
            failing_since: endpoint.failing_since,
            former_secret_until: endpoint.former_secret_until,
            created_at: endpoint.created_at,
        }
    }
}

/// Every receiver.
#[derive(Serialize, ToSchema)]
pub(super) struct EndpointList {
    /// Oldest first.
    items: Vec<EndpointView>,
}

/// A receiver with its secret, which is shown now and never again.
#[derive(Serialize, ToSchema)]
pub(super) struct EndpointWithSecret {
    #[serde(flatten)]
    endpoint: EndpointView,
    /// What the receiver verifies with. Shown once.
    #[schema(example = "whsec_…")]
    secret: String,
}

impl From<Done> for EndpointWithSecret {
    fn from(done: Done) -> Self {
        // The one place that shows it: whoever asked has to give it to the receiver.
        Self { secret: done.secret.expose().to_owned(), endpoint: done.endpoint.into() }
    }
}

/// A receiver to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Make {
    /// Where messages are sent to: https, without user name and password, and no address inside.
    url: String,
    /// What it is for.
    #[serde(default)]
    description: String,
    /// What it is told; empty: everything.
    #[serde(default)]
    #[schema(schema_with = kinds)]
    events: Vec<MessageKind>,
    /// Why, for the audit log.
    #[serde(default)]
    reason: String,
}

/// What is to change. What is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Alter {
    /// Where messages are sent to.
    #[serde(default)]
    url: Option<String>,
    /// What it is for.
    #[serde(default)]
    description: Option<String>,
    /// What it is told; empty: everything.
    #[serde(default)]
    #[schema(schema_with = kinds)]
    events: Option<Vec<MessageKind>>,
    /// Enables or disables it. Disabling gives up what is on its way.
    #[serde(default)]
    enabled: Option<bool>,
    /// Why, for the audit log.
    #[serde(default)]
    reason: String,
}

/// Why.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Why {
    /// Why, for the audit log.
    reason: String,
}

/// Since when.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    /// Messages from then on.
    since: DateTime<Utc>,
    /// Why, for the audit log.
    #[serde(default)]
    reason: String,
}

/// What a receiver answered.
#[derive(Serialize, ToSchema)]
pub(super) struct Tried {
    /// It answered with a 2xx.
    is_delivered: bool,
    #[serde(flatten)]
    attempt: TryView,
}

/// One try.
#[derive(Serialize, ToSchema)]
pub(super) struct TryView {
    /// When it was sent.
    at: DateTime<Utc>,
    /// The HTTP status; null: no answer came.
    status: Option<u16>,
    /// The beginning of the answer with everything secret-like taken out, or why there is none.
    message: String,
    /// How long it took.
    duration_ms: u64,
}

impl From<DeliveryAttempt> for TryView {
    fn from(attempt: DeliveryAttempt) -> Self {
        let DeliveryAttempt { at, status, message, duration_ms } = attempt;
        Self { at, status, message, duration_ms }
    }
}

/// How many messages.
#[derive(Serialize, ToSchema)]
pub(super) struct Replayed {
    /// Messages that are due again.
    replayed: u64,
}

/// One message for one receiver.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryView {
    /// The message: the `webhook-id` of every try.
    message_id: Uuid,
    /// What it tells.
    #[schema(schema_with = kind_words)]
    r#type: MessageKind,
    /// When that happened.
    at: DateTime<Utc>,
    /// How it stands.
    #[schema(schema_with = delivery_states)]
    state: DeliveryState,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried next; null: it is not.
    due_at: Option<DateTime<Utc>>,
    /// What came of the last try; null: it was not tried yet.
    last: Option<TryView>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            message_id: delivery.message.uuid(),
            r#type: delivery.kind,
            at: delivery.at,
            state: delivery.state,
            attempts: delivery.attempts,
            due_at: delivery.due_at,
            last: delivery.last.map(TryView::from),
        }
    }
}

/// One page of deliveries.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryPage {
    /// Newest message first.
    items: Vec<DeliveryView>,
    /// What to send as `after` for the next page; null: this is the last one.
    next: Option<Uuid>,
}

/// Which deliveries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Only those that stand so: `pending`, `delivered` or `failed`.
    #[param(schema_with = delivery_states)]
    state: Option<DeliveryState>,
    /// Only those of messages that tell this, such as `connection.needs_reauth`.
    #[param(schema_with = kind_words)]
    r#type: Option<MessageKind>,
    /// How many, at most.
    #[serde(default = "page")]
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: u32,
    /// The `next` of the page before.
    after: Option<Uuid>,
}

const fn page() -> u32 {
    50
}

fn kind_words() -> ObjectBuilder {
    words(MessageKind::HAPPENING.iter().map(|word| word.as_str())).schema_type(Type::String)
}

fn kinds() -> Array {
    ArrayBuilder::new().items(kind_words()).build()
}

fn endpoint_states() -> ObjectBuilder {
    words(EndpointState::ALL.iter().map(|word| word.as_str())).schema_type(Type::String)
}

fn disabled_reasons() -> ObjectBuilder {
    words(DisabledReason::ALL.iter().map(|word| word.as_str()))
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
}

fn delivery_states() -> ObjectBuilder {
    words(DeliveryState::ALL.iter().map(|word| word.as_str())).schema_type(Type::String)
}

fn by(caller: &Caller, reason: &str) -> Result<By, Problem> {
    operator(caller)?;
    Ok(By { actor: caller.name(), reason: reason_of(reason)? })
}

/// Every receiver of webhooks.
#[utoipa::path(get, path = "/api/ops/webhooks", operation_id = "listWebhooks", tag = "operations",
    summary = "List webhook endpoints",
    responses((status = 200, description = "All of them.", body = EndpointList)))]
pub(super) async fn list(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<EndpointList>, Problem> {
    operator(&caller)?;
    let endpoints = api.store.endpoints().await?;
    Ok(Json(EndpointList { items: endpoints.into_iter().map(EndpointView::from).collect() }))
}

/// Makes a receiver. Its secret is in the answer, and never shown again.
#[utoipa::path(post, path = "/api/ops/webhooks", operation_id = "createWebhook", tag = "operations",
    summary = "Create a webhook endpoint", request_body(content = Make, description = "The receiver."),
    responses((status = 201, description = "It is told from now on.", body = EndpointWithSecret)))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(make): Json<Make>,
) -> Result<(StatusCode, Json<EndpointWithSecret>), Problem> {
    let by = by(&caller, &make.reason)?;
    let new = NewEndpoint { url: make.url, description: make.description, events: make.events };
    Ok((StatusCode::CREATED, Json(api.hooks.create(new, &by).await?.into())))
}

/// One receiver.
#[utoipa::path(get, path = "/api/ops/webhooks/{id}", operation_id = "showWebhook", tag = "operations",
    summary = "Show a webhook endpoint", params(("id" = Uuid, Path, description = "The endpoint.")),
    responses((status = 200, description = "The endpoint.", body = EndpointView)))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<EndpointId>,
) -> Result<Json<EndpointView>, Problem> {
    operator(&caller)?;
    Ok(Json(api.hooks.show(id).await?.into()))
}

/// Changes a receiver, or enables or disables it.
#[utoipa::path(patch, path = "/api/ops/webhooks/{id}", operation_id = "updateWebhook", tag = "operations",
    summary = "Change a webhook endpoint", params(("id" = Uuid, Path, description = "The endpoint.")),
    request_body(content = Alter, description = "What is to change."),
    responses((status = 200, description = "The endpoint as it is now.", body = EndpointView)))]
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<EndpointId>,
    Json(alter): Json<Alter>,
) -> Result<Json<EndpointView>, Problem> {
    let by = by(&caller, &alter.reason)?;
    let Alter { url, description, events, enabled, reason: _ } = alter;
    let change = EndpointChange { url, description, events, is_enabled: enabled };
    Ok(Json(api.hooks.update(id, change, &by).await?.into()))
}

/// Removes a receiver with its deliveries.
#[utoipa::path(delete, path = "/api/ops/webhooks/{id}", operation_id = "deleteWebhook", tag = "operations",
    summary = "Delete a webhook endpoint", params(("id" = Uuid, Path, description = "The endpoint.")),
    responses((status = 204, description = "It is told nothing any more.")))]
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<EndpointId>,
) -> Result<StatusCode, Problem> {
    api.hooks.delete(id, &by(&caller, "")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a receiver a new secret. The former one signs beside it for a day.
#[utoipa::path(post, path = "/api/ops/webhooks/{id}/rotate-secret", operation_id = "rotateWebhookSecret",
    tag = "operations", summary = "Rotate a webhook secret",
    params(("id" = Uuid, Path, description = "The endpoint.")),
    request_body(content = Option<Why>, description = "Why; may be empty."),
    responses((status = 200, description = "The new secret, shown once.", body = EndpointWithSecret)))]
pub(super) async fn rotate_secret(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<EndpointId>,
    body: Option<Json<Why>>,
) -> Result<Json<EndpointWithSecret>, Problem> {
    let by = by(&caller, &why(body))?;
    Ok(Json(api.hooks.rotate_secret(id, &by).await?.into()))
}

/// Sends `webhook.test` at once, disabled or not, and tells what the receiver answered.
#[utoipa::path(post, path = "/api/ops/webhooks/{id}/test", operation_id = "testWebhook", tag = "operations",
    summary = "Test a webhook endpoint", params(("id" = Uuid, Path, description = "The endpoint.")),
    request_body(content = Option<Why>, description = "Why; may be empty."),
    responses((status = 200, description = "What the receiver answered.", body = Tried)))]
pub(super) async fn test(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<EndpointId>,
    body: Option<Json<Why>>,
) -> Result<Json<Tried>, Problem> {
    let by = by(&caller, &why(body))?;
    let answered = api.hooks.test(id, &by).await?;
    Ok(Json(Tried { is_delivered: answered.is_delivered, attempt: answered.attempt.into() }))
}

/// What a receiver was told and how that went, newest message first.
#[utoipa::path(get, path = "/api/ops/webhooks/{id}/deliveries", operation_id = "listWebhookDeliveries",
    tag = "operations", summary = "List webhook deliveries",
    params(("id" = Uuid, Path, description = "The endpoint."), Which),
    responses((status = 200, description = "One page of them.", body = DeliveryPage)))]
pub(super) async fn deliveries(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<EndpointId>,
    Query(which): Query<Which>,
) -> Result<Json<DeliveryPage>, Problem> {
    operator(&caller)?;
    let limit = within("limit", which.limit, 1, PAGE_MAX)?;
    api.hooks.show(id).await?;
    let filter = DeliveryFilter { state: which.state, kind: which.r#type };
    let after = which.after.map(MessageId::from);
    let mut rows = api.store.deliveries(id, &filter, after, limit + 1).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = rows.len() <= shown;
    rows.truncate(shown);
    let next = rows.last().filter(|_| !is_last).map(|row| row.message.uuid());
    Ok(Json(DeliveryPage { items: rows.into_iter().map(DeliveryView::from).collect(), next }))
}

/// Sends one message again, whatever became of it, under the same `webhook-id`.
#[utoipa::path(post, path = "/api/ops/webhooks/{id}/deliveries/{message}/replay", operation_id = "replayWebhook",
    tag = "operations", summary = "Replay a webhook delivery",
    params(("id" = Uuid, Path, description = "The endpoint."), ("message" = Uuid, Path, description = "The message.")),
    request_body(content = Option<Why>, description = "Why; may be empty."),
    responses((status = 200, description = "It is due.", body = Replayed)))]
pub(super) async fn replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((id, message)): Path<(EndpointId, MessageId)>,
    body: Option<Json<Why>>,
) -> Result<Json<Replayed>, Problem> {
    let by = by(&caller, &why(body))?;
    api.hooks.replay(id, message, &by).await?;
    Ok(Json(Replayed { replayed: 1 }))
}

/// Sends again what a receiver missed: what was given up, and what came while it was disabled.
#[utoipa::path(post, path = "/api/ops/webhooks/{id}/replay", operation_id = "replayMissedWebhooks", tag = "operations",
    summary = "Replay missed webhooks", params(("id" = Uuid, Path, description = "The endpoint.")),
    request_body(content = Since, description = "Since when."),
    responses((status = 200, description = "How many are due.", body = Replayed)))]
pub(super) async fn replay_missed(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<EndpointId>,
    Json(since): Json<Since>,
) -> Result<Json<Replayed>, Problem> {
    let by = by(&caller, &since.reason)?;
    Ok(Json(Replayed { replayed: api.hooks.replay_missed(id, since.since, &by).await? }))
}

fn why(body: Option<Json<Why>>) -> String {
    body.map(|Json(why)| why.reason).unwrap_or_default()
}
