//! How a user's Amazon connections stand, and what can be done to them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use chrono::{DateTime, Utc};
use evergrant_contract::connection::Connection;
use evergrant_contract::job::ForceReason;
use evergrant_contract::state::{Reason, State as Standing};
use evergrant_contract::timing::until;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::begin::WhichConnection;
use super::provider::{own, own_amazon};
use crate::auth::SignedIn;
use crate::edges::extract::Json;
use crate::edges::trace::TraceContext;
use crate::problem::{Problem, ProblemKind};
use crate::routes::connections::taken_away;
use crate::state::Api;
use crate::waits::Ask;

/// A process that has not announced itself for so long is taken for gone.
const ALIVE: Duration = Duration::from_secs(30);

/// Where people take an app's permission away. Amazon has no way for the app itself to do it.
const REMOVE_AT: &str = "https://www.amazon.com/ap/adam";

/// How the caller's Amazon connections stand.
#[derive(Serialize, ToSchema)]
pub(super) struct AmazonStatus {
    /// At least one is kept alive.
    authenticated: bool,
    /// The same for people.
    message: &'static str,
    /// Refreshes happen by themselves: always, for connections that are kept alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_refresh_enabled: Option<bool>,
    /// The access token of the one that is in the best order.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_info: Option<AmazonTokenInfo>,
    /// All of them, the best first.
    connections: Vec<AmazonConnection>,
}

/// When an access token ends.
#[derive(Serialize, ToSchema)]
struct AmazonTokenInfo {
    expires_at: DateTime<Utc>,
    /// 0 when it has ended.
    expires_in_seconds: u64,
    is_expired: bool,
}

/// One Amazon connection.
#[derive(Serialize, ToSchema)]
struct AmazonConnection {
    id: Uuid,
    provider: String,
    account: String,
    label: String,
    /// `active`, `failing`, `suspect`, `needs_reauth` or `disconnected`.
    state: &'static str,
    /// Why it is not `active`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    version: i64,
    scopes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    /// When the consent ends and has to be renewed, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    consent_ends_at: Option<DateTime<Utc>>,
}

/// Whether somebody refreshes, as the original's front end asks it.
#[derive(Serialize, ToSchema)]
pub(super) struct AmazonRefreshStatus {
    /// A scheduler has announced itself within the last half minute.
    service_running: bool,
    /// How many connections are kept alive, those of everybody together.
    tracked_users: u64,
    /// At least one of the caller's is among them.
    user_tracked: bool,
    refresh_interval_seconds: u64,
    refresh_buffer_seconds: u64,
}

/// What became of a refresh that was asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct AmazonRefreshed {
    message: &'static str,
    has_valid_token: bool,
    connection_id: Uuid,
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
}

/// What became of connections that were taken away.
#[derive(Serialize, ToSchema)]
pub(super) struct AmazonDisconnected {
    success: bool,
    message: &'static str,
    /// Those that were connected until now.
    disconnected: Vec<Uuid>,
    /// The tokens are gone from here. What is left to do at Amazon, which has no way for us to do it.
    next_step: String,
}

/// How the caller's Amazon connections stand.
#[utoipa::path(get, path = "/api/auth/amazon/status", operation_id = "amazonStatus", security(("session" = [])), tag = "amazon",
    summary = "How the caller's Amazon connections stand",
    responses((status = 200, description = "How they stand.", body = AmazonStatus)))]
pub(super) async fn status(State(api): State<Arc<Api>>, signed_in: SignedIn) -> Result<Json<AmazonStatus>, Problem> {
    let rows = best_first(own_amazon(&api, &signed_in.user.id).await?);
    let now = api.clock.now();
    let best = rows.first();
    let authenticated = best.is_some_and(|row| row.state.is_refreshable());
    let message = match best.map(|row| row.state) {
        None | Some(Standing::Disconnected) => "No Amazon account is connected",
        Some(Standing::NeedsReauth) => "Your Amazon authentication has expired. Please re-authenticate to continue.",
        Some(Standing::Failing) => "Amazon account connected; Amazon does not answer for the moment",
        Some(Standing::Active | Standing::Suspect) => "Amazon account connected",
    };
    let expires_at = best.filter(|_| authenticated).and_then(|row| row.expires_at);
    Ok(Json(AmazonStatus {
        authenticated,
        message,
        auto_refresh_enabled: authenticated.then_some(true),
        token_info: expires_at.map(|at| AmazonTokenInfo {
            expires_at: at,
            expires_in_seconds: until(now, at).as_secs(),
            is_expired: at <= now,
        }),
        connections: rows.iter().map(shown).collect(),
    }))
}

/// Whether somebody refreshes.
#[utoipa::path(get, path = "/api/auth/amazon/refresh-status", operation_id = "amazonRefreshStatus", security(("session" = [])), tag = "amazon",
    summary = "Whether refreshes happen by themselves",
    responses((status = 200, description = "Whether they do.", body = AmazonRefreshStatus)))]
pub(super) async fn refresh_status(
    State(api): State<Arc<Api>>,
    signed_in: SignedIn,
) -> Result<Json<AmazonRefreshStatus>, Problem> {
    let peers = api.store.peers(ALIVE).await?;
    let now = api.clock.now();
    let stats = api.store.stats(now, now).await?;
    let kept_alive = stats.by_state.iter().filter(|(state, _)| state.is_refreshable());
    let rows = own_amazon(&api, &signed_in.user.id).await?;
    Ok(Json(AmazonRefreshStatus {
        service_running: peers.iter().any(|peer| matches!(peer.role.as_str(), "serve" | "scheduler")),
        tracked_users: kept_alive.map(|(_, count)| count).sum(),
        user_tracked: rows.iter().any(|row| row.state.is_refreshable()),
        refresh_interval_seconds: api.settings.refresh_interval.as_secs(),
        refresh_buffer_seconds: api.settings.refresh_buffer.as_secs(),
    }))
}

/// Refreshes now, and answers when it is done.
#[utoipa::path(post, path = "/api/auth/amazon/refresh", operation_id = "refreshAmazon", security(("session" = [])), tag = "amazon",
    summary = "Refresh an Amazon token now",
    request_body(content = Option<WhichConnection>, description = "Which connection; may be empty: the one in the best order."),
    responses((status = 200, description = "A new token is stored.", body = AmazonRefreshed),
        (status = 404, description = "`not-found`: there is no such connection, or it is somebody else's."),
        (status = 409, description = "The grant has ended: the user has to connect again.")))]
pub(super) async fn refresh(
    State(api): State<Arc<Api>>,
    signed_in: SignedIn,
    body: Option<Json<WhichConnection>>,
) -> Result<Json<AmazonRefreshed>, Problem> {
    let user = &signed_in.user.id;
    let row = match body.and_then(|Json(which)| which.connection_id) {
        Some(id) => own(&api, user, id).await?,
        None => best_first(own_amazon(&api, user).await?).into_iter().next().ok_or_else(|| {
            let detail = "You need to authenticate with Amazon Advertising API to access AMC features.";
            Problem::new(ProblemKind::ProviderReauthRequired, detail)
        })?,
    };
    let ask = Ask {
        connection: row.id,
        observed: row.version,
        reason: ForceReason::Operator,
        patience: None,
        traceparent: TraceContext::current(),
    };
    let version = api.waits.refresh(ask).await.or_problem(row.id)?;
    let expires_at = api.store.find(row.id).await?.and_then(|row| row.expires_at);
    Ok(Json(AmazonRefreshed {
        message: "Token refreshed successfully",
        has_valid_token: true,
        connection_id: row.id.uuid(),
        version: version.number(),
        expires_at,
    }))
}

/// Takes connections away: their tokens are removed here.
#[utoipa::path(post, path = "/api/auth/amazon/disconnect", operation_id = "disconnectAmazon", security(("session" = [])), tag = "amazon",
    summary = "Disconnect Amazon accounts",
    request_body(content = Option<WhichConnection>, description = "Which connection; may be empty: all of the caller's at Amazon."),
    responses((status = 200, description = "Their tokens are gone.", body = AmazonDisconnected),
        (status = 404, description = "`not-found`: there is no such connection, or it is somebody else's.")))]
pub(super) async fn disconnect(
    State(api): State<Arc<Api>>,
    signed_in: SignedIn,
    body: Option<Json<WhichConnection>>,
) -> Result<Json<AmazonDisconnected>, Problem> {
    let user = &signed_in.user.id;
    let rows = match body.and_then(|Json(which)| which.connection_id) {
        Some(id) => vec![own(&api, user, id).await?],
        None => own_amazon(&api, user).await?,
    };
    let mut disconnected = Vec::new();
    for row in rows.iter().filter(|row| row.state != Standing::Disconnected) {
        if taken_away(&api, row).await? {
            disconnected.push(row.id.uuid());
        }
    }
    Ok(Json(AmazonDisconnected {
        success: true,
        message: "Amazon account disconnected successfully",
        disconnected,
        next_step: format!("To withdraw the permission at Amazon too, remove the app at {REMOVE_AT}"),
    }))
}

/// Those that work before those that do not, and of these the one whose token lasts longest.
pub(in crate::routes) fn best_first(mut rows: Vec<Connection>) -> Vec<Connection> {
    let rank = |row: &Connection| match row.state {
        Standing::Active => 0,
        Standing::Suspect => 1,
        Standing::Failing => 2,
        Standing::NeedsReauth => 3,
        Standing::Disconnected => 4,
    };
    rows.sort_by_key(|row| (rank(row), std::cmp::Reverse(row.expires_at), row.id));
    rows
}

fn shown(row: &Connection) -> AmazonConnection {
    AmazonConnection {
        id: row.id.uuid(),
        provider: row.provider.to_string(),
        account: row.account.clone(),
        label: row.label.clone(),
        state: row.state.as_str(),
        reason: row.reason.map(Reason::as_str),
        version: row.version.number(),
        scopes: row.scopes.clone(),
        expires_at: row.expires_at,
        consent_ends_at: row.refresh_expires_at,
    }
}
