//! `/api/ops`: what operators look at and what they do. For admins, and for keys with the scope `ops`.

mod activity;
mod audit;
mod failed_jobs;
mod filter;
mod keys;
mod overview;
pub(in crate::routes) mod pauses;
mod processes;
mod refresh;
mod replay;
mod story;
#[cfg(test)]
mod tests;
mod usage;
mod view;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ids::{AuditId, ConnectionId};
use evergrant_contract::operations::{Action, AuditEntry};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::problem::{Problem, ProblemKind};
use crate::state::Api;
use evergrant_contract::people::Scope;

pub(in crate::routes) use replay::reason_of;

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
        .routes(routes!(usage::usage))
        .routes(routes!(failed_jobs::list))
        .routes(routes!(failed_jobs::show))
        .routes(routes!(replay::replay))
        .routes(routes!(replay::discard))
        .routes(routes!(replay::replay_many))
        .routes(routes!(replay::discard_many))
        .routes(routes!(refresh::refresh_many))
        .routes(routes!(pauses::list))
        .routes(routes!(pauses::pause))
        .routes(routes!(pauses::resume))
        .routes(routes!(processes::drain))
        .routes(routes!(processes::undrain))
        .routes(routes!(keys::keys))
        .routes(routes!(audit::audit_log))
        .routes(routes!(story::story))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::show, webhooks::update, webhooks::delete))
        .routes(routes!(webhooks::rotate_secret))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::replay))
        .routes(routes!(webhooks::replay_missed))
}

/// Adds what an operator did to one connection to the audit log. What people and services do to what is theirs is not there.
pub(in crate::routes) async fn audited(
    api: &Api,
    caller: &Caller,
    action: Action,
    id: ConnectionId,
    reason: String,
    outcome: &str,
) -> Result<(), Problem> {
    if operator(caller).is_err() {
        return Ok(());
    }
    let (at, actor) = (api.clock.now(), caller.name());
    let (subject, outcome) = (id.to_string(), outcome.to_owned());
    Ok(api.store.audit(&AuditEntry { id: AuditId::generate(), at, actor, action, subject, reason, outcome }).await?)
}

/// Whether the caller is an operator. A key that is bound to a user is none, whatever its scopes: here everything of all is
/// shown.
pub(in crate::routes) fn operator(caller: &Caller) -> Result<(), Problem> {
    caller.may(Scope::Ops)?;
    if caller.user_filter().is_some() {
        let detail = "This is for operators, and the API key is bound to a user. Make one that is not.";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    Ok(())
}
