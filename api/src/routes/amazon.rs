//! Amazon: signing in with it, connecting accounts, and how the connections stand.
//!
//! ```text
//! begin --(auth_url, flow cookie)--> browser --> consent page --> callback --> consent --> front end
//! ```
//!
//! The routes are those of the original project and keep their shapes. They speak of every provider app of the sign-in
//! app's family, which are Amazon's regions; `?provider=` names one.

mod begin;
mod callback;
mod consent;
mod landing;
mod people;
mod provider;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::Api;

pub(in crate::routes) use provider::own_amazon;
pub(in crate::routes) use status::best_first;

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(begin::login))
        .routes(routes!(callback::callback))
        .routes(routes!(callback::elsewhere))
        .routes(routes!(begin::reauth))
        .routes(routes!(begin::reconnect))
        .routes(routes!(status::status))
        .routes(routes!(status::refresh_status))
        .routes(routes!(status::refresh))
        .routes(routes!(status::disconnect))
}
