//! The way to the provider: a flow is kept, a cookie ties it to the browser, and the browser gets an address to go to.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use axum_extra::extract::CookieJar;
use evergrant_contract::connection::Connection;
use evergrant_contract::consent::ConsentRequest;
use evergrant_contract::ids::{ConnectionId, ProviderName};
use evergrant_contract::people::{Flow, FlowPurpose};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::State as Standing;
use evergrant_contract::timing::after;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::landing;
use super::provider::{app, is_sign_in_app, own, own_amazon};
use crate::auth::{Caller, SignedIn, challenge, flow_cookie, state_digest};
use crate::edges::extract::{Json, Path, Query};
use crate::problem::{Problem, ProblemKind};
use crate::state::Api;

/// What a sign-in or a connection is to be begun with.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LoginQuery {
    /// Where in the front end to go afterwards: a path such as `/dashboard`, or a page of an allowed origin. This is not
    /// the redirect URI of OAuth, which is configured.
    redirect_uri: Option<String>,
    /// The provider app: another region, for instance. The configured one if absent.
    #[param(value_type = Option<String>, example = "amazon-na")]
    provider: Option<String>,
    /// `true`: connect an account for the user who is signed in, who must be. `false`: sign in, whoever is signed in.
    /// Absent: connect if somebody is signed in, else sign in.
    connect: Option<bool>,
}

/// Where to send the browser.
#[derive(Serialize, ToSchema)]
pub(super) struct ConsentPage {
    /// The consent page.
    auth_url: String,
    /// What the provider gives back unchanged. It works in this browser only.
    state: String,
}

/// Where to send the browser, in the spelling that the original's front end knows from this route.
#[derive(Serialize, ToSchema)]
pub(super) struct ReauthAnswer {
    /// The consent page.
    #[serde(rename = "authUrl")]
    auth_url: String,
    /// What to do with it.
    message: &'static str,
}

/// Which connection is meant.
#[derive(Deserialize, ToSchema)]
pub(super) struct WhichConnection {
    /// The connection. Absent: the one that needs it most.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(super) connection_id: Option<ConnectionId>,
}

/// Begins a sign-in with Amazon, or the connection of an account.
#[utoipa::path(get, path = "/api/auth/amazon/login", operation_id = "beginAmazonLogin", security((), ("session" = [])), tag = "amazon",
    summary = "Begin a sign-in with Amazon, or connect an account", params(LoginQuery),
    responses((status = 200, description = "Where to send the browser. A cookie ties the consent to it.", body = ConsentPage)))]
pub(super) async fn login(
    State(api): State<Arc<Api>>,
    Query(query): Query<LoginQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let return_to = landing::return_to(&api.settings, query.redirect_uri.as_deref().unwrap_or_default())?;
    let provider = named(&api, query.provider.as_deref())?;
    // Credentials that are no good any more are told, not overlooked: they would turn a connection into a sign-in, and
    // perhaps into a second user of the same person.
    let shows_credentials = headers.contains_key(header::AUTHORIZATION) || headers.contains_key("x-api-key");
    let purpose = if query.connect.unwrap_or(shows_credentials) {
        match api.callers.resolve(&headers).await? {
            Caller::User(SignedIn { user, .. }) => FlowPurpose::Connect { user: user.id },
            Caller::Key(_) => {
                return Err(Problem::new(
                    ProblemKind::Forbidden,
                    "Consents are for people who signed in, not for API keys.",
                ));
            }
        }
    } else {
        FlowPurpose::SignIn
    };
    if purpose == FlowPurpose::SignIn && !is_sign_in_app(&api, &provider) {
        let detail = format!("Nobody signs in with `{provider}`. Sign in first, then connect it.");
        return Err(Problem::new(ProblemKind::InvalidParameter, detail));
    }
    let begun = begin(&api, provider, purpose, return_to).await?;
    let answer = ConsentPage { auth_url: begun.auth_url, state: begun.state.expose().to_owned() };
    Ok((NO_STORE, begun.cookies, Json(answer)))
}

/// Begins the mending of the connection that needs it most.
#[utoipa::path(post, path = "/api/auth/amazon/reauth", operation_id = "reauthAmazon", security(("session" = [])), tag = "amazon",
    summary = "Renew a consent", request_body(content = Option<WhichConnection>, description = "Which connection; may be empty."),
    responses((status = 200, description = "Where to send the browser.", body = ReauthAnswer),
        (status = 404, description = "`not-found`: there is no such connection, or it is somebody else's.")))]
pub(super) async fn reauth(
    State(api): State<Arc<Api>>,
    signed_in: SignedIn,
    body: Option<Json<WhichConnection>>,
) -> Result<impl IntoResponse, Problem> {
    let user = signed_in.user.id;
    let row = match body.and_then(|Json(which)| which.connection_id) {
        Some(id) => Some(own(&api, &user, id).await?),
        None => {
            neediest(own_amazon(&api, &user).await?.into_iter().filter(|row| api.providers.contains_key(&row.provider)))
        }
    };
    let begun = match row {
        Some(row) => begin_reconnect(&api, row).await?,
        None => begin(&api, named(&api, None)?, FlowPurpose::Connect { user }, String::new()).await?,
    };
    let message = "Redirect user to Amazon for re-authentication";
    Ok((NO_STORE, begun.cookies, Json(ReauthAnswer { auth_url: begun.auth_url, message })))
}

/// Begins the mending of one connection.
#[utoipa::path(post, path = "/api/connections/{id}/reconnect", operation_id = "reconnectConnection", security(("session" = [])), tag = "connections",
    summary = "Renew the consent of a connection",
    params(("id" = uuid::Uuid, Path, description = "The connection; it must be the caller's own.")),
    responses((status = 200, description = "Where to send the browser. The same account has to consent.", body = ConsentPage)))]
pub(super) async fn reconnect(
    State(api): State<Arc<Api>>,
    signed_in: SignedIn,
    Path(id): Path<ConnectionId>,
) -> Result<impl IntoResponse, Problem> {
    let row = own(&api, &signed_in.user.id, id).await?;
    let begun = begin_reconnect(&api, row).await?;
    let answer = ConsentPage { auth_url: begun.auth_url, state: begun.state.expose().to_owned() };
    Ok((NO_STORE, begun.cookies, Json(answer)))
}

/// An address that holds a state is for one browser.
const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

struct Begun {
    auth_url: String,
    state: Secret,
    cookies: CookieJar,
}

async fn begin_reconnect(api: &Api, row: Connection) -> Result<Begun, Problem> {
    app(api, &row.provider)?;
    begin(api, row.provider, FlowPurpose::Reconnect { user: row.user, connection: row.id }, String::new()).await
}

async fn begin(api: &Api, provider: ProviderName, purpose: FlowPurpose, return_to: String) -> Result<Begun, Problem> {
    let app = app(api, &provider)?;
    let secret = api.callers.secret();
    let state = secret.new_state();
    let now = api.clock.now();
    // What is sent now is sent again with the code, whatever the configuration says by then.
    let redirect_uri = api.settings.auth.redirect_uri.to_string();
    let code_challenge = challenge(&secret.verifier(state.expose()));
    let request =
        ConsentRequest { redirect_uri: &redirect_uri, state: state.expose(), code_challenge: &code_challenge };
    let auth_url = app.consents.consent_url(&request);
    let expires_at = after(now, api.settings.auth.flow);
    let flow = Flow { state: state_digest(state.expose()), purpose, provider, redirect_uri, return_to, expires_at };
    api.store.keep_flow(&flow, now).await?;
    let cookies = CookieJar::new().add(flow_cookie(&state, api.settings.auth.flow));
    Ok(Begun { auth_url, state, cookies })
}

/// The provider app of this name, or the one to sign in with.
fn named(api: &Api, name: Option<&str>) -> Result<ProviderName, Problem> {
    let Some(name) = name else {
        let provider = api.settings.auth.sign_in_provider.clone();
        return app(api, &provider).map(|_| provider);
    };
    let known = name.parse().ok().filter(|name| api.providers.contains_key(name));
    known.ok_or_else(|| {
        let names: Vec<_> = api.providers.keys().map(ProviderName::as_str).collect();
        let detail =
            format!("`provider` names no provider app that is configured here: there are {}.", names.join(", "));
        Problem::new(ProblemKind::InvalidParameter, detail)
    })
}

/// The connection that a new consent helps most: one that has ended, else one in trouble, else the one whose consent ends
/// first.
fn neediest(rows: impl Iterator<Item = Connection>) -> Option<Connection> {
    let need = |row: &Connection| match row.state {
        Standing::NeedsReauth => 0,
        Standing::Suspect => 1,
        Standing::Failing => 2,
        Standing::Active => 3,
        Standing::Disconnected => 4,
    };
    rows.min_by_key(|row| (need(row), row.refresh_expires_at.unwrap_or(evergrant_contract::Timestamp::MAX_UTC), row.id))
}
