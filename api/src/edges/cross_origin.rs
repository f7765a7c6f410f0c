//! Pages of other sites: those that are named may call, with the user's cookies; all others are told no.

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::problem::{Problem, ProblemKind};

/// How long a browser may remember what it was told.
const REMEMBERED: Duration = Duration::from_mins(10);

/// The origins of other sites that may call.
#[derive(Clone)]
pub(super) struct Origins(Vec<HeaderValue>);

impl Origins {
    /// Exact origins, such as `https://app.example.com`; what can be no header is no origin.
    pub(super) fn new(origins: &[String]) -> Self {
        Self(origins.iter().filter_map(|origin| HeaderValue::from_str(origin.trim_end_matches('/')).ok()).collect())
    }
}

/// Lets the origins in, and refuses the preflights of all others. Without any, no answer says a word about origins.
pub(super) fn around<S: Clone + Send + Sync + 'static>(routes: Router<S>, origins: Origins) -> Router<S> {
    let routes = if origins.0.is_empty() { routes } else { routes.layer(cors(&origins)) };
    routes.layer(from_fn_with_state(origins, refuse_strangers))
}

fn cors(origins: &Origins) -> CorsLayer {
    let own = |name| HeaderName::from_static(name);
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.0.iter().cloned()))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            // Calls of the Ads and AMC API say with these for whom they are.
            own("amazon-ads-accountid"),
            own("amazon-advertising-api-advertiserid"),
            own("amazon-advertising-api-marketplaceid"),
            own("amazon-advertising-api-scope"),
            own("last-event-id"),
            own("traceparent"),
            own("x-request-id"),
            own("x-requested-with"),
        ])
        .expose_headers([
            header::RETRY_AFTER,
            own("evergrant-outcome"),
            own("evergrant-retries"),
            own("traceparent"),
            own("x-request-id"),
        ])
        .max_age(REMEMBERED)
}

/// A preflight asks whether a page may do something that a plain form could not. The header against forged requests rests
/// on strangers being refused here.
async fn refuse_strangers(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_preflight =
        request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if is_preflight && headers.get(header::ORIGIN).is_none_or(|origin| !origins.0.contains(origin)) {
        let detail = "Pages of this origin may not call this API. An operator can name it in ALLOWED_ORIGINS.";
        return Problem::new(ProblemKind::Forbidden, detail).into_response();
    }
    next.run(request).await
}
