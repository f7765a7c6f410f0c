//! Sessions: signing in with a password, carrying on, signing out, and who is signed in.
//!
//! The paths and the shapes are those of the original project; `docs/API.md` lists what differs on purpose.

mod grant;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use evergrant_contract::ids::{SessionId, UserId};
use evergrant_contract::people::{SessionEnd, User, UserKey};
use evergrant_contract::secret::Secret;
use metrics::counter;
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use self::grant::{Grant, GrantStatus};
use crate::auth::{
    Caller, Presented, SignedIn, SignedInNow, clear_session_cookie, has_custom_header, presented, refresh_session,
    renew_access, session_ended, session_of, sign_in,
};
use crate::edges::extract::{Json, Query};
use crate::problem::{Problem, ProblemKind};
use crate::state::Api;

/// What the front end of the original project shows.
const NOT_CONNECTED: &str = "You need to authenticate with Amazon Advertising API to access AMC features.";
/// Likewise.
const GRANT_ENDED: &str = "Your Amazon authentication has expired. Please re-authenticate to continue.";
/// The original asks people to authenticate again whenever it cannot tell. There is nothing that they could do.
const CANNOT_TELL: &str =
    "Unable to verify authentication status for the moment. There is nothing to do: it is tried again.";

/// Tokens are for one browser.
const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// The routes of this group.
pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(token_status))
        .routes(routes!(me))
        .routes(routes!(logout))
        .routes(routes!(health))
}

/// What shows who somebody is.
#[derive(Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
struct Credentials {
    /// The e-mail address.
    #[schema(example = "ada@example.com")]
    email: Option<String>,
    /// The password. In the body: in the query it ends up in the logs of proxies.
    password: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct LoginAnswer {
    /// Goes into `Authorization: Bearer`.
    access_token: String,
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Seconds until the access token ends.
    #[schema(example = 900)]
    expires_in: u64,
    user: Person,
}

#[derive(Serialize, ToSchema)]
struct Person {
    #[schema(value_type = String)]
    id: UserId,
    email: String,
    name: String,
}

#[derive(Serialize, ToSchema)]
struct RefreshAnswer {
    /// Goes into `Authorization: Bearer`.
    access_token: String,
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Seconds until the access token ends.
    #[schema(example = 900)]
    expires_in: u64,
    /// Whether this request had the Amazon token refreshed.
    amazon_token_refreshed: bool,
    amazon: Grant,
}

/// How the Amazon grant stands, as the front end of the original project asks for it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TokenStatus {
    has_valid_token: bool,
    /// Whether the user has to connect again. Never because somebody else is unavailable.
    requires_authentication: bool,
    message: Option<&'static str>,
    amazon: Grant,
}

#[derive(Serialize, ToSchema)]
struct Me {
    #[schema(value_type = String)]
    id: UserId,
    email: String,
    name: String,
    is_active: bool,
    is_admin: bool,
    profile_ids: Vec<String>,
    marketplace_ids: Vec<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LogoutQuery {
    /// Ends every session of the user, in all browsers.
    #[serde(default)]
    everywhere: bool,
}

#[derive(Serialize, ToSchema)]
struct Message {
    #[schema(example = "Logged out successfully")]
    message: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Health {
    #[schema(example = "healthy")]
    status: &'static str,
    #[schema(example = "Evergrant")]
    service: &'static str,
    version: &'static str,
}

/// Signs in with e-mail address and password, in the body or (as the original project has it) in the query. Nobody is
/// created on the way.
#[utoipa::path(post, path = "/api/auth/login", operation_id = "login", tag = "session", security(()),
    summary = "Sign in with a password", params(Credentials),
    request_body(content = Option<Credentials>, description = "E-mail address and password."),
    responses((status = 200, description = "Signed in. A cookie holds the session.", body = LoginAnswer),
        (status = 401, description = "`wrong-password`: wrong e-mail address or password.")))]
async fn login(
    State(api): State<Arc<Api>>,
    Query(query): Query<Credentials>,
    body: Option<Json<Credentials>>,
) -> Result<Response, Problem> {
    let Json(body) = body.unwrap_or(Json(Credentials { email: None, password: None }));
    let email = given(body.email.or(query.email), "email")?;
    let password = Secret::new(given(body.password.or(query.password), "password")?);
    let user = user_of_password(&api, email.trim(), password).await?;
    let signed_in = sign_in(&api, &user).await?;
    let User { id, email, name, .. } = user;
    let answer = LoginAnswer {
        access_token: signed_in.access_token.expose().to_owned(),
        token_type: "bearer",
        expires_in: signed_in.expires_in,
        user: Person { id, email, name },
    };
    Ok((NO_STORE, CookieJar::new().add(signed_in.cookie), Json(answer)).into_response())
}

/// Carries the session on: with its cookie, which is replaced, or else with an access token that is still good. The
/// Amazon token is refreshed on the way if it has to be; what becomes of that never decides about the session.
#[utoipa::path(post, path = "/api/auth/refresh", operation_id = "refreshSession", security(("session_cookie" = []), ("session" = [])), tag = "session",
    summary = "Refresh the session",
    responses((status = 200, description = "A new access token, and how the Amazon grant stands.", body = RefreshAnswer)))]
async fn refresh(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, Response> {
    let token = session_of(&headers);
    let refused = |problem: Problem| match (problem.kind, &token) {
        (ProblemKind::SessionEnded | ProblemKind::Unauthenticated, Some(_)) => {
            (CookieJar::new().add(clear_session_cookie()), problem).into_response()
        }
        _ => problem.into_response(),
    };
    let SignedInNow { user, cookie, access_token, expires_in, .. } =
        carried_on(&api, &headers, token.as_ref()).await.map_err(refused)?;
    let amazon = Grant::refreshed(&api, &user.id).await;
    let answer = RefreshAnswer {
        access_token: access_token.expose().to_owned(),
        token_type: "bearer",
        expires_in,
        amazon_token_refreshed: amazon.status == GrantStatus::Refreshed,
        amazon,
    };
    Ok((NO_STORE, CookieJar::new().add(cookie), Json(answer)).into_response())
}

/// How the Amazon grant of the user stands. Front ends ask for it once a minute; nothing is refreshed.
#[utoipa::path(get, path = "/api/auth/token-status", operation_id = "getTokenStatus", security(("session" = [])), tag = "session",
    summary = "How the Amazon grant stands",
    responses((status = 200, description = "How it stands.", body = TokenStatus)))]
async fn token_status(State(api): State<Arc<Api>>, signed_in: SignedIn) -> impl IntoResponse {
    let amazon = Grant::as_it_stands(&api, &signed_in.user.id).await;
    let (has_valid_token, requires_authentication, message) = match amazon.status {
        GrantStatus::Ok | GrantStatus::Refreshed => (true, false, None),
        GrantStatus::None => (false, true, Some(NOT_CONNECTED)),
        GrantStatus::ReauthRequired => (false, true, Some(GRANT_ENDED)),
        GrantStatus::Unavailable => (false, false, Some(CANNOT_TELL)),
    };
    Json(TokenStatus { has_valid_token, requires_authentication, message, amazon })
}

/// Who is signed in.
#[utoipa::path(get, path = "/api/auth/me", operation_id = "getMe", security(("session" = [])), tag = "session", summary = "Who is signed in",
    responses((status = 200, description = "The user.", body = Me)))]
async fn me(signed_in: SignedIn) -> impl IntoResponse {
    let User { id, email, name, is_active, is_admin, profile_ids, marketplace_ids, .. } = signed_in.user;
    Json(Me { id, email, name, is_active, is_admin, profile_ids, marketplace_ids })
}

/// Signs out: the session of the cookie and that of the access token are ended, also of one that has expired. Whoever is
/// signed out already is told the same.
#[utoipa::path(post, path = "/api/auth/logout", operation_id = "logout", security((), ("session_cookie" = []), ("session" = [])), tag = "session", summary = "Sign out",
    params(LogoutQuery),
    responses((status = 200, description = "Signed out. The cookie is taken away.", body = Message)))]
async fn logout(
    State(api): State<Arc<Api>>,
    Query(query): Query<LogoutQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let cookie = session_of(&headers);
    if cookie.is_some() {
        require_custom_header(&headers)?;
    }
    let of_cookie = cookie.and_then(|token| api.callers.secret().read_session_token(token.expose()));
    let of_bearer = match presented(&headers) {
        Ok(Some(Presented::Jwt(token))) => api.callers.session_of_jwt(&token),
        _ => None,
    };
    let mut sessions: Vec<SessionId> = of_cookie.map(|(id, _)| id).into_iter().chain(of_bearer).collect();
    sessions.dedup();
    if query.everywhere {
        sign_out_everywhere(&api, &sessions).await?;
    }
    for id in sessions {
        if api.store.end_session(id, SessionEnd::SignedOut, api.clock.now()).await? {
            info!(session = %id, "A session was ended by its user");
        }
        api.callers.forget(id).await;
    }
    let gone = CookieJar::new().add(clear_session_cookie());
    Ok((NO_STORE, gone, Json(Message { message: "Logged out successfully" })).into_response())
}

/// Whether this process serves. Load balancers ask `/readyz` instead, which also asks what the process depends on.
#[utoipa::path(get, path = "/api/health", operation_id = "getHealth", tag = "session", security(()),
    summary = "Whether the API serves",
    responses((status = 200, description = "It does.", body = Health)))]
async fn health(State(api): State<Arc<Api>>) -> impl IntoResponse {
    Json(Health { status: "healthy", service: "Evergrant", version: api.probes.version })
}

/// The user whose password this is. Whatever is wrong, the answer and the time that it takes are the same.
async fn user_of_password(api: &Api, email: &str, password: Secret) -> Result<User, Problem> {
    let user = api.store.user(UserKey::Email(email)).await?.filter(|user| user.is_active);
    // Nobody has this id: the store is asked as often for those who do not exist.
    let nobody = || UserId::try_from(Uuid::nil().to_string());
    let hash = match user.as_ref().map_or_else(nobody, |user| Ok(user.id.clone())) {
        Ok(id) => api.store.password(&id).await?.filter(|_| user.is_some()),
        Err(_) => None,
    };
    let is_right = api.callers.passwords().verify(hash, password).await?;
    let outcome = if is_right { "right" } else { "wrong" };
    counter!("evergrant_password_checks_total", "outcome" => outcome).increment(1);
    let wrong = || Problem::new(ProblemKind::WrongPassword, "Wrong e-mail address or password.");
    user.filter(|_| is_right).ok_or_else(wrong)
}

fn given(value: Option<String>, name: &str) -> Result<String, Problem> {
    let value = value.filter(|value| !value.trim().is_empty());
    value.ok_or_else(|| Problem::new(ProblemKind::InvalidParameter, format!("The field `{name}` is missing.")))
}

/// The cookie decides if there is one of ours; the access token counts only without.
async fn carried_on(api: &Api, headers: &HeaderMap, cookie: Option<&Secret>) -> Result<SignedInNow, Problem> {
    if let Some(token) = cookie {
        require_custom_header(headers)?;
        let is_ours = api.callers.secret().read_session_token(token.expose()).is_some();
        if is_ours || presented(headers).ok().flatten().is_none() {
            return refresh_session(api, token).await;
        }
    }
    match api.callers.resolve(headers).await? {
        Caller::User(signed_in) => renew_access(api, signed_in).await,
        Caller::Key(_) => Err(Problem::new(ProblemKind::Forbidden, "An API key has no session and needs no refresh.")),
    }
}

fn require_custom_header(headers: &HeaderMap) -> Result<(), Problem> {
    if has_custom_header(headers) {
        return Ok(());
    }
    let detail = "A cookie alone is not believed: send the header `X-Requested-With` with any value.";
    Err(Problem::new(ProblemKind::CsrfHeaderMissing, detail))
}

/// Only out of an open session: a token that was taken from a dead one must not end the others.
async fn sign_out_everywhere(api: &Api, sessions: &[SessionId]) -> Result<(), Problem> {
    let now = api.clock.now();
    for id in sessions {
        let Some(session) = api.store.session(*id).await?.filter(|session| session.is_open(now)) else { continue };
        let ended = api.store.end_sessions(&session.user, SessionEnd::SignedOutEverywhere, now).await?;
        info!(user = %session.user, sessions = ended, "All sessions of a user were ended by the user");
        return Ok(());
    }
    if sessions.is_empty() {
        return Err(Problem::new(ProblemKind::Unauthenticated, "Nobody is signed in here. Sign in first."));
    }
    Err(session_ended())
}
