//! The headers that every answer has, for browsers that would otherwise guess.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::settings::ApiSettings;

/// Whether browsers reach us over TLS, and are to stay with it.
#[derive(Clone, Copy)]
pub(super) struct Headers {
    is_https: bool,
}

impl Headers {
    pub(super) fn new(settings: &ApiSettings) -> Self {
        Self { is_https: settings.public_url.scheme() == "https" }
    }
}

/// Never left out, whatever the handler set.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// For answers that are data: nothing in them may run. Pages name their own.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Two years, as the preload lists ask for; subdomains are not ours to speak for.
const STAY_WITH_TLS: &str = "max-age=63072000";

/// Sets the headers on the way out.
pub(super) async fn set(State(settings): State<Headers>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(DATA_POLICY));
    if settings.is_https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(STAY_WITH_TLS));
    }
    if is_api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        headers.append(header::VARY, HeaderValue::from_static("authorization, cookie"));
    }
    response
}
