//! `/api/amc/{connection}/…`: a call of the Ads or AMC API, made with the connection's token by the AMC client.

mod headers;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use evergrant_amc::{Answer, Call, Error, TokenError};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::people::Scope;
use http_body_util::LengthLimitError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::edges::extract::Path;
use crate::problem::{Problem, ProblemKind};
use crate::state::Api;

/// How often the call was repeated, on answers of the API beyond.
const RETRIES: HeaderName = HeaderName::from_static("evergrant-retries");
/// Tells an answer of the API beyond from one of ours: `answered`, or `rejected` if it refused a fresh token.
const OUTCOME: HeaderName = HeaderName::from_static("evergrant-outcome");
/// The path as axum writes it, and as the description of the API does.
const DOCUMENTED: [&str; 2] = ["/api/amc/{connection}/{*path}", "/api/amc/{connection}/{path}"];

macro_rules! calls {
    ($($name:ident: $method:ident, $id:literal, $summary:literal $(, $body:literal)?;)+) => {
        /// The routes of this group. They have their own limit of the body, and take as long as the API beyond does.
        pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
            let mut routes = OpenApiRouter::new()$(.routes(routes!($name)))+;
            let [axums, openapis] = DOCUMENTED;
            let paths = &mut routes.get_openapi_mut().paths.paths;
            if let Some(item) = paths.remove(axums) {
                paths.insert(openapis.to_owned(), item);
            }
            routes
        }

        $(
            #[utoipa::path($method, path = "/api/amc/{connection}/{*path}", operation_id = $id, tag = "amc", summary = $summary,
                description = "Made with the connection's access token. A 401 that can be an expired token costs one \
                               refresh, and the call is repeated; a 401 about permissions and every 403 are passed on. \
                               `Amazon-Advertising-API-Scope` and the like are yours to send; token and client id are added.",
                params(
                    ("connection" = uuid::Uuid, Path, description = "Whose token to use."),
                    ("path" = String, Path, description = "The path at the API, such as `amc/instances`, with its query. \
                        Its slashes stay as they are: `%2F` is passed on as that."),
                ),
                $(request_body(content = Option<serde_json::Value>, description = $body),)?
                responses(
                    (status = "default", description = "What the API beyond answered, whatever its status.", content_type = "*/*",
                        headers(
                            ("Evergrant-Retries" = u32, description = "How often the call was repeated."),
                            ("Evergrant-Outcome" = String, description = "`answered`, or `rejected`: a fresh token was refused."),
                        )),
                    (status = 409, description = "The grant has ended: `provider-reauth-required`."),
                    (status = 502, description = "The API beyond did not answer: `bad-gateway`."),
                ))]
            async fn $name(
                State(api): State<Arc<Api>>,
                caller: Caller,
                place: Path<(ConnectionId, String)>,
                OriginalUri(uri): OriginalUri,
                request: Request,
            ) -> Result<Response, Problem> {
                pass_on(&api, &caller, place.0.0, &uri, request).await
            }
        )+
    };
}

calls! {
    get_amc: get, "getAmc", "Read from the Ads or AMC API";
    post_amc: post, "postAmc", "Post to the Ads or AMC API", "Anything; its `Content-Type` goes along.";
    put_amc: put, "putAmc", "Replace at the Ads or AMC API", "Anything; its `Content-Type` goes along.";
    patch_amc: patch, "patchAmc", "Change at the Ads or AMC API", "Anything; its `Content-Type` goes along.";
    delete_amc: delete, "deleteAmc", "Delete at the Ads or AMC API";
}

async fn pass_on(
    api: &Api,
    caller: &Caller,
    connection: ConnectionId,
    uri: &Uri,
    request: Request,
) -> Result<Response, Problem> {
    let provider = caller.connection(api, connection, Scope::AmcCall).await?.provider;
    if api.providers.get(&provider).is_none_or(|app| app.target.is_none()) {
        let detail = format!("The descriptor of the provider app {provider} does not say where its API is.");
        return Err(Problem::new(ProblemKind::NotConfigured, detail).about(connection));
    }
    let (parts, body) = request.into_parts();
    let call = Call {
        method: parts.method,
        path_and_query: beyond(uri),
        headers: headers::to_send(&parts.headers),
        body: whole(api, &parts.headers, body).await?,
    };
    match api.amc.send(connection, call).await {
        Ok(answer) => Ok(respond(answer, "answered")),
        // Its own words say best why.
        Err(Error::Rejected { answer: Some(answer) }) => Ok(respond(*answer, "rejected")),
        Err(error) => Err(problem(error, connection)),
    }
}

/// What comes after `/api/amc/{connection}`, as it was written: decoding it would change what the API beyond reads.
fn beyond(uri: &Uri) -> String {
    let path = uri.path().splitn(5, '/').nth(4).unwrap_or_default();
    match uri.query() {
        Some(query) => format!("/{path}?{query}"),
        None => format!("/{path}"),
    }
}

/// The body, which is kept for the repetition.
async fn whole(api: &Api, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let limit = api.settings.amc_body_max;
    let too_long = || {
        let detail = format!("The body has more than {limit} bytes, the most that is passed on.");
        Problem::new(ProblemKind::BodyTooLarge, detail)
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > limit)) {
        return Err(too_long());
    }
    let patience = api.settings.request_timeout;
    let received = tokio::select! {
        biased;
        received = to_bytes(body, limit) => received,
        () = api.clock.sleep(patience) => {
            let detail = format!("The body did not come within {} s. Nothing was done.", patience.as_secs());
            return Err(Problem::new(ProblemKind::Timeout, detail));
        }
    };
    received.map_err(|error| {
        if error.source().is_some_and(<dyn StdError>::is::<LengthLimitError>) {
            return too_long();
        }
        Problem::new(ProblemKind::InvalidRequest, "The body broke off. Nothing was done; send it again.")
    })
}

fn respond(answer: Answer, outcome: &'static str) -> Response {
    let Answer { status, headers, body, used } = answer;
    let mut response = Response::new(Body::from_stream(body.into_stream()));
    *response.status_mut() = status;
    *response.headers_mut() = headers::to_return(&headers);
    response.headers_mut().insert(RETRIES, HeaderValue::from(used.retries));
    response.headers_mut().insert(OUTCOME, HeaderValue::from_static(outcome));
    response
}

/// Why there is no answer of the API beyond.
fn problem(error: Error, connection: ConnectionId) -> Problem {
    let message = error.to_string();
    match error {
        Error::NotFound(connection) => Problem::of_token(TokenError::NotFound(connection), connection),
        Error::NeedsReauth { reason } => Problem::of_token(TokenError::NeedsReauth(reason), connection),
        Error::Unavailable { retry_after, message, is_app_fault } => {
            Problem::of_token(TokenError::Unavailable { retry_after, message, is_app_fault }, connection)
        }
        Error::Paused { retry_after, message } => {
            Problem::of_token(TokenError::Paused { retry_after, message }, connection)
        }
        Error::Pending { retry_after } => Problem::of_token(TokenError::Pending { retry_after }, connection),
        Error::Rejected { .. } => Problem::of_token(TokenError::Rejected, connection),
        Error::Refused(message) => Problem::of_token(TokenError::Refused(message), connection),
        Error::Throttled { retry_after } => {
            Problem::new(ProblemKind::ProviderUnavailable, "The API asks for fewer calls.")
                .about(connection)
                .retry_after(retry_after.unwrap_or(Duration::from_secs(5)))
        }
        Error::BadPath(what) => Problem::new(ProblemKind::InvalidRequest, format!("The path is not usable: {what}.")),
        Error::BadRequest(what) => {
            Problem::new(ProblemKind::InvalidRequest, format!("The request is not usable: {what}."))
        }
        Error::Network { .. } | Error::Api { .. } | Error::BodyTooLong { .. } | Error::Unreadable(_) => {
            let detail = format!("{}.", capitalized(&message));
            Problem::new(ProblemKind::BadGateway, detail).about(connection)
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
