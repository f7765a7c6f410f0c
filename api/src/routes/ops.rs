//! `/api/ops`: what operators look at and what they do. For admins, and for keys with the scope `ops`.

mod activity;
mod audit;
mod failed_jobs;
mod filter;
mod overview;
mod replay;
mod story;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;
use std::time::Duration;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::problem::{Problem, ProblemKind};
use crate::state::Api;
use evergrant_contract::people::Scope;

/// A process that has not been heard of for longer is gone.
const ALIVE_FOR: Duration = Duration::from_secs(45);
/// Rows on one page, at most.
const PAGE_MAX: u32 = 200;
/// Lines of the audit log that are shown with what they are about.
const LINES_SHOWN: u32 = 100;

/// The routes of this group.
pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(overview::overview))
        .routes(routes!(overview::processes))
        .routes(routes!(activity::activity))
        .routes(routes!(failed_jobs::list))
        .routes(routes!(failed_jobs::show))
        .routes(routes!(replay::replay))
        .routes(routes!(replay::discard))
        .routes(routes!(replay::replay_many))
        .routes(routes!(replay::discard_many))
        .routes(routes!(audit::audit_log))
        .routes(routes!(story::story))
}

/// Whether the caller is an operator. A key that is bound to a user is none, whatever its scopes: here everything of all is
/// shown.
fn operator(caller: &Caller) -> Result<(), Problem> {
    caller.may(Scope::Ops)?;
    if caller.user_filter().is_some() {
        let detail = "This is for operators, and the API key is bound to a user. Make one that is not.";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    Ok(())
}
