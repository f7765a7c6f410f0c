//! The routes, one file for each group.

mod amazon;
mod amc;
mod connections;
mod docs;
mod events;
mod ops;
mod profile;
mod session;

use std::sync::Arc;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

use crate::edges;
use crate::page::Page;
use crate::state::Api;

/// Routes that answer at once, or when a refresh has ended.
fn brief() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .merge(session::routes())
        .merge(amazon::routes())
        .merge(profile::routes())
        .merge(connections::routes())
        .merge(ops::routes())
        .merge(docs::routes())
}

/// Routes that stream, for as long as somebody listens: they have time limits of their own.
fn lasting() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().merge(events::routes()).merge(amc::routes())
}

/// Every route of the API with its documentation.
pub(crate) fn documented() -> OpenApiRouter<Arc<Api>> {
    brief().merge(lasting())
}

/// Everything that the process answers: the API within its edges, the web page, and the probes.
pub fn routes(api: Arc<Api>) -> Router {
    let (brief, _) = brief().split_for_parts();
    let (lasting, _) = lasting().split_for_parts();
    edges::around(api, brief, lasting, Page::built())
}
