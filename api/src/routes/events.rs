//! `GET /api/events`: what happens to the caller's connections, as it happens.

mod frame;
mod listener;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response, Sse};
use evergrant_contract::people::Scope;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::frame::EventData;
use self::listener::Listener;
use crate::auth::Caller;
use crate::problem::{Problem, ProblemKind};
use crate::state::Api;

/// What a browser sends when it comes back.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells nginx not to keep events back until there are many.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Somebody who finds no room may come back after this.
const NO_ROOM: Duration = Duration::from_secs(10);

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(listen))
}

/// Server-sent events about the caller's connections; for admins, and for keys that are not bound to a user, about those
/// of all. No event has a token in it, and every event is a hint: the connection itself is the truth.
///
/// `connection`: something happened to a connection. `app`: a provider app was held or opened; for everybody. `gap`:
/// events may have been missed, so read the list of connections again. `end`: the session has ended or its token has
/// expired, and the stream ends; refresh the session and come back.
///
/// A comment comes every 15 seconds. Come back with `Last-Event-ID` and what was missed comes first, or a `gap` if it is
/// not known here any more.
#[utoipa::path(get, path = "/api/events", operation_id = "listenToEvents", tag = "events",
    summary = "Hear what happens to connections",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was heard.")),
    responses((status = 200, description = "Events, for as long as they are listened to.", body = EventData,
        content_type = "text/event-stream")))]
async fn listen(State(api): State<Arc<Api>>, caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    caller.may(Scope::ConnectionsRead)?;
    let Some(room) = api.hub.enter() else {
        let detail =
            "As many event streams are open as there may be. Come back later, or read the connections instead.";
        return Err(Problem::new(ProblemKind::Overloaded, detail).retry_after(NO_ROOM));
    };
    let last = headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default().to_owned());
    let listener = Listener::new(api, &caller, headers, last.as_deref(), room);
    let mut response = Sse::new(listener.stream()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}
