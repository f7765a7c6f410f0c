//! The way back from the provider.
//!
//! The browser that comes back must be the one that was sent (the flow cookie), the flow works once, and a step that fails
//! leaves nothing behind. No address that we send a browser to holds anything secret: the page there asks for a token.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use evergrant_contract::people::{Flow, FlowPurpose, UserKey};
use evergrant_contract::secret::Secret;
use metrics::counter;
use serde::Deserialize;
use tracing::Instrument as _;
use utoipa::IntoParams;

use super::consent::{Connected, connect, granted, reconnect};
use super::landing::page;
use super::people::{active, signing_in};
use super::provider::app;
use crate::auth::{clear_flow_cookie, flow_of, sign_in, state_digest};
use crate::edges::extract::Query;
use crate::edges::trace::TraceContext;
use crate::problem::{Problem, ProblemKind};
use crate::state::Api;

/// What the original's front end shows when a sign-in fails.
const FAILED: &str = "Authentication failed";

/// What the provider says. Nothing of it is believed before the state is known.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CallbackQuery {
    /// What tokens are exchanged for.
    code: Option<String>,
    /// What we sent.
    state: Option<String>,
    /// What was granted, if the provider says so here.
    scope: Option<String>,
    /// Why there is no code.
    error: Option<String>,
    /// The same for people. It is not shown: whoever makes the link could write it.
    #[expect(dead_code, reason = "documented, since the provider sends it")]
    error_description: Option<String>,
}

/// Ends a consent: signs in, connects or mends.
#[utoipa::path(get, path = "/api/auth/amazon/callback", operation_id = "endAmazonLogin", security(()), tag = "amazon",
    summary = "Where Amazon sends the browser back to", params(CallbackQuery),
    responses((status = 303, description = "On to the front end: `/auth/success`, `/profile` or `/auth/error`, never with a \
        token. After `/auth/success` the page asks `POST /api/auth/refresh` for one.",
        headers(("Location" = String, description = "A page of the front end.")))))]
pub(super) async fn callback(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Query(query): Query<CallbackQuery>,
) -> Response {
    let jar = CookieJar::new().add(clear_flow_cookie());
    let mut response = match flow_of_browser(&api, &headers, query.state.as_deref()).await {
        Ok(flow) => {
            // A code works once. From here on the consent is brought to its end, also if the browser goes away.
            let here = TraceContext::current().and_then(|traceparent| traceparent.parse().ok());
            let context = TraceContext::of(None, here, TraceContext::request_id().unwrap_or_default());
            let ended = context.scope(async move { end(&api, &flow, query, jar).await });
            let ended = tokio::spawn(ended.in_current_span());
            ended.await.unwrap_or_else(|_| broken().into_response())
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The address that was asked for holds a code and a state.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn broken() -> Problem {
    Problem::new(ProblemKind::Internal, "Something went wrong here. The log says what, under the request id.")
}

/// The original's other name for the same.
#[utoipa::path(get, path = "/api/auth/callback", operation_id = "endAmazonLoginElsewhere", security(()), tag = "amazon",
    summary = "Redirects to /api/auth/amazon/callback", params(CallbackQuery),
    responses((status = 307, description = "To `/api/auth/amazon/callback`, with the same query.")))]
pub(super) async fn elsewhere(RawQuery(query): RawQuery) -> Response {
    let place = query.map_or_else(|| HERE.to_owned(), |query| format!("{HERE}?{query}"));
    let mut response = redirect(StatusCode::TEMPORARY_REDIRECT, &place);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

const HERE: &str = "/api/auth/amazon/callback";

fn redirect(status: StatusCode, place: &str) -> Response {
    match HeaderValue::from_str(place) {
        Ok(place) => (status, [(header::LOCATION, place)]).into_response(),
        Err(_) => {
            Problem::new(ProblemKind::InvalidRequest, "The query has characters that no address has.").into_response()
        }
    }
}

/// The flow that this browser began, which is used up by this.
async fn flow_of_browser(api: &Api, headers: &HeaderMap, state: Option<&str>) -> Result<Flow, Problem> {
    let unknown = || Problem::new(ProblemKind::InvalidState, "Invalid state parameter");
    let state = state.filter(|state| !state.is_empty()).map(Secret::new).ok_or_else(unknown)?;
    // Somebody else's link would sign this browser in as somebody else.
    let is_ours = flow_of(headers).is_some_and(|began| began.same_as(&state));
    if !is_ours {
        tracing::info!("An answer of a consent page came to a browser that did not ask for it; refused");
        return Err(unknown());
    }
    let flow = api.store.take_flow(&state_digest(state.expose()), api.clock.now()).await?;
    flow.ok_or_else(unknown)
}

async fn end(api: &Api, flow: &Flow, query: CallbackQuery, jar: CookieJar) -> Response {
    let ended = finish(api, flow, query).await;
    let outcome = ended.as_ref().map_or_else(|problem| problem.kind.slug(), |_| "connected");
    counter!("evergrant_consents_total", "provider" => flow.provider.to_string(), "outcome" => outcome).increment(1);
    match ended {
        Ok(Ended { place, session }) => {
            let jar = session.into_iter().fold(jar, CookieJar::add);
            (jar, redirect(StatusCode::SEE_OTHER, &place)).into_response()
        }
        Err(problem) => {
            let is_for_people = matches!(problem.kind, ProblemKind::OtherAccount | ProblemKind::SignInRefused);
            let message = if is_for_people { problem.detail.as_str() } else { FAILED };
            let place = page(&api.settings, "/auth/error", &[("message", message), ("problem", problem.kind.slug())]);
            (jar, redirect(StatusCode::SEE_OTHER, &place)).into_response()
        }
    }
}

/// What became of a consent that went well.
struct Ended {
    place: String,
    session: Option<axum_extra::extract::cookie::Cookie<'static>>,
}

async fn finish(api: &Api, flow: &Flow, query: CallbackQuery) -> Result<Ended, Problem> {
    let CallbackQuery { code, state, scope, error, .. } = query;
    let app = app(api, &flow.provider)?;
    if let Some(error) = error {
        return Err(not_consented(flow, &error));
    }
    let code = code.and_then(Secret::non_empty);
    let code = code.ok_or_else(|| Problem::new(ProblemKind::ConsentFailed, "The provider sent no code."))?;
    let verifier = api.callers.secret().verifier(&state.unwrap_or_default());
    let still_there = match &flow.purpose {
        FlowPurpose::SignIn => None,
        FlowPurpose::Connect { user } | FlowPurpose::Reconnect { user, .. } => {
            let user = api.store.user(UserKey::Id(user)).await?.ok_or_else(|| Problem::not_found("user"))?;
            Some(active(user)?)
        }
    };
    let granted = granted(app, flow, &code, &verifier, &scope.unwrap_or_default()).await?;
    match (&flow.purpose, still_there) {
        (FlowPurpose::Reconnect { connection, .. }, Some(user)) => {
            let connected = reconnect(api, app, flow, (&user.id, *connection), granted).await?;
            Ok(Ended { place: landing(api, flow, "/profile", Some("reauth"), &connected), session: None })
        }
        (FlowPurpose::Connect { .. }, Some(user)) => {
            let connected = connect(api, app, flow, &user.id, granted).await?;
            Ok(Ended { place: landing(api, flow, "/profile", Some("connected"), &connected), session: None })
        }
        _ => {
            let user = signing_in(api, app, flow, &granted).await?;
            let connected = connect(api, app, flow, &user.id, granted).await?;
            let session = sign_in(api, &user).await?;
            let place = landing(api, flow, "/auth/success", None, &connected);
            Ok(Ended { place, session: Some(session.cookie) })
        }
    }
}

/// The page to go on to after a success.
fn landing(api: &Api, flow: &Flow, path: &str, done: Option<&'static str>, connected: &Connected) -> String {
    let mut query = Vec::new();
    query.extend(done.map(|done| (done, "success")));
    if !flow.return_to.is_empty() {
        query.push(("redirect", flow.return_to.as_str()));
    }
    if !connected.missing.is_empty() {
        query.push(("scopes", "reduced"));
    }
    page(&api.settings, path, &query)
}

/// Codes of RFC 6749, section 4.1.2.1. What else a link may say is not repeated anywhere.
fn not_consented(flow: &Flow, error: &str) -> Problem {
    let (kind, code) = match error {
        "access_denied" => (ProblemKind::ConsentDenied, "access_denied"),
        "temporarily_unavailable" => (ProblemKind::ProviderUnavailable, "temporarily_unavailable"),
        "server_error" => (ProblemKind::ProviderUnavailable, "server_error"),
        "invalid_scope" => (ProblemKind::AppCredentialsInvalid, "invalid_scope"),
        "unauthorized_client" => (ProblemKind::AppCredentialsInvalid, "unauthorized_client"),
        "invalid_request" => (ProblemKind::AppCredentialsInvalid, "invalid_request"),
        "unsupported_response_type" => (ProblemKind::AppCredentialsInvalid, "unsupported_response_type"),
        _ => (ProblemKind::ConsentFailed, "other"),
    };
    if kind == ProblemKind::AppCredentialsInvalid {
        tracing::error!(provider = %flow.provider, code, "The consent page refuses this app: see its scopes and return URLs");
    } else {
        tracing::info!(provider = %flow.provider, code, "A consent was not given");
    }
    Problem::new(kind, FAILED)
}
