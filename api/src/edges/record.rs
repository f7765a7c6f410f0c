//! What is kept of every request: its ids, a span, a log line and the metrics.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, gauge, histogram};
use tracing::{Instrument as _, Span, debug, info_span};
use uuid::Uuid;

use super::trace::TraceContext;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The longest request id that is taken from a client.
const REQUEST_ID_MAX: usize = 128;

/// The route of a request that none matches: what strangers ask for must not become labels.
const NO_ROUTE: &str = "none";

/// Gives the request its ids and a span, and takes note of what became of it.
pub(super) async fn record(request: Request, next: Next) -> Response {
    let request_id = request_id(request.headers());
    // One that is not proper begins a new trace, as the recommendation says.
    let caller_is_at = text(request.headers(), &TRACEPARENT).and_then(|text| text.parse().ok());
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    // Never the path itself nor its query: both may hold what is nobody else's business.
    let span = info_span!(
        "api.request",
        method,
        route,
        request_id,
        trace_id = tracing::field::Empty,
        caller = caller(request.headers()),
        status = tracing::field::Empty,
        ms = tracing::field::Empty,
    );
    let context = TraceContext::of(caller_is_at, evergrant_traces::follow(&span, caller_is_at), request_id.clone());
    let traceparent = context.traceparent();
    span.record("trace_id", context.trace_id());
    let entry = Entry { method, route, started: Instant::now(), span: span.clone(), status: None };
    gauge!("evergrant_http_in_flight").increment(1.0);
    let mut response = context.scope(next.run(request)).instrument(span).await;
    entry.end(response.status());
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    if let Ok(value) = HeaderValue::try_from(traceparent) {
        headers.insert(TRACEPARENT, value);
    }
    response
}

/// A request in hand. One whose client went away is taken note of as well: as 499, which proxies made the custom.
struct Entry {
    method: &'static str,
    route: String,
    started: Instant,
    span: Span,
    status: Option<StatusCode>,
}

impl Entry {
    fn end(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let status = self.status.map_or(499, |status| status.as_u16());
        let took = self.started.elapsed();
        gauge!("evergrant_http_in_flight").decrement(1.0);
        histogram!("evergrant_http_request_seconds", "route" => self.route.clone()).record(took);
        counter!(
            "evergrant_http_requests_total",
            "method" => self.method.to_owned(), "route" => self.route.clone(), "status" => status.to_string()
        )
        .increment(1);
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.span.record("status", status).record("ms", ms);
        self.span.in_scope(|| debug!(status, ms, "Request answered"));
    }
}

/// The client's own id for the request if it is harmless in a log, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_harmless = |id: &&str| {
        let harmless = |byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
        !id.is_empty() && id.len() <= REQUEST_ID_MAX && id.bytes().all(harmless)
    };
    text(headers, &REQUEST_ID).filter(is_harmless).map_or_else(|| Uuid::now_v7().to_string(), ToOwned::to_owned)
}

/// What kind of caller this claims to be; whether it is, is found out further in.
fn caller(headers: &HeaderMap) -> &'static str {
    let bearer = text(headers, &header::AUTHORIZATION).unwrap_or_default();
    if headers.contains_key("x-api-key") || bearer.contains(" egk_") {
        "key"
    } else if !bearer.is_empty() {
        "user"
    } else if headers.contains_key(header::COOKIE) {
        "browser"
    } else {
        "nobody"
    }
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_clients_request_id_is_taken_if_it_is_harmless_in_a_log() {
        assert_eq!(request_id(&headers("x-request-id", "Web_1.a-9")), "Web_1.a-9");
        let longest = "x".repeat(REQUEST_ID_MAX);
        assert_eq!(request_id(&headers("x-request-id", &longest)), longest);
        for id in ["", "a b", "a\"b", "a;b", &"x".repeat(REQUEST_ID_MAX + 1)] {
            let made = request_id(&headers("x-request-id", id));
            assert!(made != id && Uuid::try_parse(&made).is_ok(), "{id} became {made}");
        }
    }

    #[test]
    fn the_kind_of_caller_shows_nothing_of_what_was_sent() {
        assert_eq!(caller(&headers("authorization", "Bearer egk_x")), "key");
        assert_eq!(caller(&headers("x-api-key", "egk_x")), "key");
        assert_eq!(caller(&headers("authorization", "Bearer ey")), "user");
        assert_eq!(caller(&headers("cookie", "a=b")), "browser");
        assert_eq!(caller(&HeaderMap::new()), "nobody");
    }
}
