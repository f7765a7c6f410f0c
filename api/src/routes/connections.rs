//! `/api/connections`: connections as services and operators use them, their access tokens, and forced refreshes.

mod ask;
pub(in crate::routes) mod view;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use evergrant_contract::Timestamp;
use evergrant_contract::connection::{Connection, ConnectionFilter};
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::operations::Action;
use evergrant_contract::people::Scope;
use evergrant_contract::state::Reason;
use evergrant_contract::timing::until;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use self::view::{AttemptView, ConnectionView};
use crate::auth::Caller;
use crate::edges::extract::{Json, Path, Query};
use crate::edges::trace::TraceContext;
use crate::problem::{Problem, ProblemKind};
use crate::routes::ops::{audited, reason_of};
use crate::state::Api;

/// Connections on one page, at most.
const PAGE_MAX: u32 = 200;
/// Attempts that are shown, at most.
const ATTEMPTS_MAX: u32 = 100;
/// The longest validity that may be asked for, in seconds. No token lasts for longer than it lasts, whatever is asked for.
const MIN_VALIDITY_MAX: u32 = 86_400;

/// The routes of this group.
pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(attempts))
        .routes(routes!(token))
        .routes(routes!(ask::force_refresh))
        .routes(routes!(disconnect))
}

// ---------------------------------------------------------------------------------------------------------------- list

/// Which connections to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only in these states, separated by commas.
    #[param(example = "failing,needs_reauth")]
    state: Option<String>,
    /// Only of this provider app.
    #[param(example = "amazon-na")]
    provider: Option<String>,
    /// Only of this user: for callers who see the connections of all.
    user: Option<String>,
    /// Only with this reason for not being `active`.
    #[param(example = "grant_invalid")]
    reason: Option<String>,
    /// Only those whose access token has ended.
    #[serde(default)]
    #[param(default = false)]
    expired: bool,
    /// Only those whose user, account or label begins with this, whatever the case of its letters, or whose id this is.
    text: Option<String>,
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

/// One page of connections.
#[derive(Serialize, ToSchema)]
struct ConnectionPage {
    /// In the order of their ids.
    items: Vec<ConnectionView>,
    /// What to send as `after` for the next page; null: this is the last one.
    next: Option<Uuid>,
}

/// The caller's connections; for admins and for keys that are not bound to a user, those of all.
#[utoipa::path(get, path = "/api/connections", operation_id = "listConnections", tag = "connections",
    summary = "List connections", params(Which),
    responses((status = 200, description = "One page of them.", body = ConnectionPage)))]
async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Result<Json<ConnectionPage>, Problem> {
    caller.may(Scope::ConnectionsRead)?;
    let limit = within("limit", which.limit, 1, PAGE_MAX)?;
    let filter = which.filter(&caller, api.clock.now())?;
    // One more than is shown: whether there is a next page is known without asking for it.
    let mut rows = api.store.list(&filter, which.after.map(ConnectionId::from), limit + 1).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = rows.len() <= shown;
    rows.truncate(shown);
    let next = rows.last().filter(|_| !is_last).map(|row| row.id.uuid());
    Ok(Json(ConnectionPage { items: rows.into_iter().map(ConnectionView::from).collect(), next }))
}

impl Which {
    fn filter(&self, caller: &Caller, now: Timestamp) -> Result<ConnectionFilter, Problem> {
        let words = self.state.as_deref().map(|states| states.split(',')).into_iter().flatten();
        let states = words.map(|word| parsed("state", word.trim())).collect::<Result<_, _>>()?;
        let provider = self.provider.as_deref().map(|name| parsed("provider", name)).transpose()?;
        let wanted = self.user.as_deref().map(|id| parsed("user", id)).transpose()?;
        let user = match (caller.user_filter(), wanted) {
            (Some(own), Some(wanted)) if own != wanted => {
                let detail = "Connections of other users are for admins, and for keys that are not bound to a user.";
                return Err(Problem::new(ProblemKind::Forbidden, detail));
            }
            (own, wanted) => own.or(wanted),
        };
        let reason = self.reason.as_deref().map(|word| parsed("reason", word)).transpose()?;
        let text = self.text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let expired_before = self.expired.then_some(now);
        Ok(ConnectionFilter { states, provider, user, expired_before, reason, text })
    }
}

// ------------------------------------------------------------------------------------------------------ one connection

/// A connection: everything but its tokens.
#[utoipa::path(get, path = "/api/connections/{id}", operation_id = "showConnection", tag = "connections",
    summary = "Show a connection", params(("id" = Uuid, Path, description = "The connection.")),
    responses((status = 200, description = "The connection.", body = ConnectionView)))]
async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<ConnectionId>,
) -> Result<Json<ConnectionView>, Problem> {
    let row = caller.connection(&api, id, Scope::ConnectionsRead).await?;
    Ok(Json(row.into()))
}

/// How many attempts to show.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HowMany {
    /// How many, at most.
    #[serde(default = "attempts_shown")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
}

const fn attempts_shown() -> u32 {
    20
}

/// The attempts that are kept of a connection: those that did not succeed at once.
#[derive(Serialize, ToSchema)]
struct Attempts {
    /// Newest first.
    items: Vec<AttemptView>,
}

/// Calls of the provider's token endpoint that did not succeed, newest first.
#[utoipa::path(get, path = "/api/connections/{id}/attempts", operation_id = "listAttempts", tag = "connections",
    summary = "List the attempts of a connection",
    params(("id" = Uuid, Path, description = "The connection."), HowMany),
    responses((status = 200, description = "Its attempts.", body = Attempts)))]
async fn attempts(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<ConnectionId>,
    Query(how_many): Query<HowMany>,
) -> Result<Json<Attempts>, Problem> {
    let limit = within("limit", how_many.limit, 1, ATTEMPTS_MAX)?;
    caller.connection(&api, id, Scope::ConnectionsRead).await?;
    let attempts = api.store.attempts(id, limit).await?;
    Ok(Json(Attempts { items: attempts.into_iter().map(AttemptView::from).collect() }))
}

// --------------------------------------------------------------------------------------------------------------- token

/// How long the token must last.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Validity {
    /// Seconds that the token must be good for. More than three quarters of a token's whole life counts as that much.
    #[serde(default = "five_minutes")]
    #[param(minimum = 0, maximum = 86400, default = 300)]
    min_validity: u32,
}

const fn five_minutes() -> u32 {
    300
}

/// An access token to be used now. Not to be kept: ask again instead, which costs next to nothing.
#[derive(Serialize, ToSchema)]
struct AccessTokenAnswer {
    access_token: String,
    /// Always `bearer`.
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Whole seconds until it ends.
    expires_in: u64,
    /// When it ends.
    expires_at: DateTime<Utc>,
    /// Its version: to be named to `force-refresh` when the API refuses it.
    version: i64,
    connection_id: Uuid,
    /// The provider app that issued it.
    provider: String,
    /// Where it is good, if the provider app's descriptor says so. Send it nowhere else.
    api_url: Option<String>,
    /// The app's client id, which Amazon wants beside the token.
    client_id: Option<String>,
}

/// A valid access token, refreshed first only if it must be. For services with an API key: a browser never sees a token.
#[utoipa::path(get, path = "/api/connections/{id}/token", operation_id = "getAccessToken", tag = "connections",
    security(("api_key" = [])),
    summary = "Get a valid access token", params(("id" = Uuid, Path, description = "The connection."), Validity),
    responses((status = 200, description = "The token.", body = AccessTokenAnswer,
            headers(("Cache-Control" = String, description = "`no-store`"))),
        (status = 409, description = "The grant has ended: its user has to connect again.")))]
async fn token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<ConnectionId>,
    Query(validity): Query<Validity>,
) -> Result<Response, Problem> {
    if matches!(caller, Caller::User(_)) {
        let detail = "Access tokens are for services with an API key; they never go to browsers. Call the provider's API \
                      through /api/amc instead.";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let seconds = within("min_validity", validity.min_validity, 0, MIN_VALIDITY_MAX)?;
    let connection = caller.connection(&api, id, Scope::TokensRead).await?;
    let access = api.tokens.access_of(connection, Duration::from_secs(seconds.into())).await;
    let access = access.map_err(|error| error.problem(id))?;
    let target = api.tokens.target(&access.connection.provider);
    let answer = AccessTokenAnswer {
        access_token: access.token.token.expose().to_owned(),
        token_type: "bearer",
        expires_in: until(api.clock.now(), access.token.expires_at).as_secs(),
        expires_at: access.token.expires_at,
        version: access.token.version.number(),
        connection_id: id.uuid(),
        provider: access.connection.provider.to_string(),
        api_url: target.map(|target| target.api_url.to_string()),
        client_id: target.map(|target| target.client_id.clone()),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

// ---------------------------------------------------------------------------------------------------------- disconnect

/// Why.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Disconnect {
    /// Why, for the audit log, where an operator does it.
    reason: String,
}

/// A connection that was taken away.
#[derive(Serialize, ToSchema)]
struct Disconnected {
    connection_id: Uuid,
    /// Whether it was connected until now.
    changed: bool,
}

/// Removes a connection's tokens. At the provider the user's consent stays as it is, until they take it back there.
#[utoipa::path(post, path = "/api/connections/{id}/disconnect", operation_id = "disconnect", tag = "connections",
    summary = "Disconnect a connection", params(("id" = Uuid, Path, description = "The connection.")),
    request_body(content = Option<Disconnect>, description = "Why; may be empty."),
    responses((status = 200, description = "Its tokens are gone.", body = Disconnected)))]
async fn disconnect(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<ConnectionId>,
    body: Option<Json<Disconnect>>,
) -> Result<Json<Disconnected>, Problem> {
    let why = reason_of(&body.map(|Json(wish)| wish.reason).unwrap_or_default())?;
    // A person does it to what is theirs; of services only those that do what operators do.
    let scope = if matches!(caller, Caller::Key(_)) { Scope::Ops } else { Scope::ConnectionsRead };
    let row = caller.connection(&api, id, scope).await?;
    let changed = taken_away(&api, &row).await?;
    let outcome = if changed { "disconnected" } else { "already_disconnected" };
    audited(&api, &caller, Action::DisconnectConnection, id, why, outcome).await?;
    Ok(Json(Disconnected { connection_id: id.uuid(), changed }))
}

/// Removes a connection's tokens and tells whoever waits or watches. `false`: there were none any more.
pub(in crate::routes) async fn taken_away(api: &Api, row: &Connection) -> Result<bool, Problem> {
    if !api.store.disconnect(row.id).await? {
        return Ok(false);
    }
    tracing::info!(user = %row.user, connection = %row.id, "A connection was disconnected");
    let version = api.store.find(row.id).await.ok().flatten().map_or_else(|| row.version.next(), |row| row.version);
    let event = Event::Connection {
        connection: row.id,
        version,
        outcome: Outcome::Disconnected,
        reason: Some(Reason::ByUser),
        retry_at: None,
        traceparent: TraceContext::current(),
    };
    api.events.publish(vec![event]).await;
    Ok(true)
}

// ---------------------------------------------------------------------------------------------------------- parameters

/// A word of a closed set, or a name.
pub(in crate::routes) fn parsed<T: std::str::FromStr>(parameter: &str, text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| {
        Problem::new(ProblemKind::InvalidParameter, format!("The query parameter `{parameter}` is wrong: {error}."))
    })
}

pub(in crate::routes) fn within(parameter: &str, number: u32, least: u32, most: u32) -> Result<u32, Problem> {
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    let detail = format!("The query parameter `{parameter}` is wrong: a number from {least} to {most} expected.");
    Err(Problem::new(ProblemKind::InvalidParameter, detail))
}
