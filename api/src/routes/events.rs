//! `GET /api/events`: what happens to the caller's connections, as it happens.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
}
