//! The OpenAPI document, out of the routes themselves.

use utoipa::openapi::OpenApi;

/// The document that describes every route.
pub fn document() -> OpenApi {
    let (_, document) = crate::routes::documented().split_for_parts();
    document
}
