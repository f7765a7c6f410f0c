//! The API's description: for programs as `OpenAPI`, for people as a page made of it.

mod page;

#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::Api;

/// The page needs its own style sheet and nothing else: no script, no other site.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// It changes with the release only.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");
const STYLE: &str = include_str!("docs/page.css");

static DOCUMENT: LazyLock<String> = LazyLock::new(|| crate::openapi::document().to_pretty_json().unwrap_or_default());
static PAGE: LazyLock<String> = LazyLock::new(|| {
    // Plain structs with string keys: serialization cannot fail.
    page::render(&serde_json::to_value(crate::openapi::document()).unwrap_or_default())
});

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(document)).routes(routes!(page)).routes(routes!(style))
}

/// This description, in the form that tools read.
#[utoipa::path(get, path = "/api/openapi.json", operation_id = "getOpenApi", tag = "docs", security(()),
    summary = "The description for programs",
    responses((status = 200, description = "An OpenAPI 3.1 document.", content_type = "application/json",
        body = serde_json::Value)))]
async fn document() -> Response {
    answer("application/json", DOCUMENT.as_str())
}

/// This description, to be read in a browser.
#[utoipa::path(get, path = "/api/docs", operation_id = "getDocs", tag = "docs", security(()),
    summary = "The description for people",
    responses((status = 200, description = "A page.", content_type = "text/html", body = String)))]
async fn page() -> Response {
    let mut response = answer("text/html; charset=utf-8", PAGE.as_str());
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// The style sheet of that page.
#[utoipa::path(get, path = "/api/docs.css", operation_id = "getDocsStyle", tag = "docs", security(()),
    summary = "The style of the description for people",
    responses((status = 200, description = "A style sheet.", content_type = "text/css", body = String)))]
async fn style() -> Response {
    answer("text/css; charset=utf-8", STYLE)
}

fn answer(kind: &'static str, body: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] =
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CACHE_CONTROL, CACHE)];
    (headers, body).into_response()
}
