//! The edges: everything between a socket and a handler, and what every answer has in common.
//!
//! ```text
//! record -> headers -> rescue -> room -> cross_origin -> limits -> (time) -> handler
//! ```

mod address;
mod cross_origin;
pub(crate) mod extract;
mod headers;
mod limits;
mod record;
mod rescue;
mod room;
#[cfg(test)]
mod tests;
pub(crate) mod trace;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};

use crate::page::Page;
use crate::probes::Probes;
use crate::problem::{Problem, ProblemKind};
use crate::state::Api;

/// Puts the edges around the routes: `brief` ones have a time limit, `lasting` ones have limits of their own. Probes are
/// outside of what turns requests away, because they are asked above all when there are too many. What no route takes is
/// for the page.
pub(crate) fn around(api: Arc<Api>, brief: Router<Arc<Api>>, lasting: Router<Arc<Api>>, page: Page) -> Router {
    let settings = &api.settings;
    let room = room::Room::new(settings.in_flight_max);
    let origins = cross_origin::Origins::new(&settings.allowed_origins);
    let limits = Arc::new(limits::Limits::new(settings, &api.clock));
    let patience = rescue::Patience::new(settings.request_timeout, &api.clock);
    let headers = headers::Headers::new(settings);
    let body_max = settings.body_max;
    let probes = Probes::routes(Arc::clone(&api.probes));

    let routes = brief
        .layer(from_fn_with_state(patience, rescue::time))
        .merge(lasting)
        .merge(page.routes())
        .fallback(move |request: Request| async move { page.answer(&request) })
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(body_max))
        .layer(from_fn_with_state((Arc::clone(&api), limits), limits::keep));
    cross_origin::around(routes, origins)
        .layer(from_fn_with_state(room, room::enter))
        .with_state(api)
        .merge(probes.method_not_allowed_fallback(method_not_allowed))
        .layer(from_fn(rescue::panics))
        .layer(from_fn_with_state(headers, headers::set))
        .layer(from_fn(record::record))
}

async fn method_not_allowed(method: Method) -> Problem {
    let detail = format!("This path does not know {method}. The header Allow names the methods that it knows.");
    Problem::new(ProblemKind::MethodNotAllowed, detail)
}
