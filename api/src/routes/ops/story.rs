//! One connection's whole story.

use std::sync::Arc;

use axum::extract::State;
use evergrant_contract::failed_job::{FailedJobFilter, FailedJobState};
use evergrant_contract::ids::ConnectionId;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::{AuditView, FailedJobView};
use super::{LINES_SHOWN, operator};
use crate::auth::Caller;
use crate::edges::extract::{Json, Path};
use crate::problem::Problem;
use crate::routes::connections::view::{AttemptView, ConnectionView};
use crate::state::Api;

/// Attempts, and failed jobs, that are shown.
const SHOWN: u32 = 100;

/// Everything that is known of a connection but its tokens.
#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionStory)]
pub(super) struct Story {
    connection: ConnectionView,
    /// Fingerprint of the key that its tokens are encrypted with.
    key: Option<String>,
    /// Calls of the provider that did not succeed at once, newest first; up to 100.
    attempts: Vec<AttemptView>,
    /// Failed jobs that nobody has dealt with, newest first; up to 100.
    failed_jobs: Vec<FailedJobView>,
    /// What operators did to it, newest first; up to 100.
    audit: Vec<AuditView>,
}

/// A connection as it stands, what was tried, what failed, and what operators did.
#[utoipa::path(get, path = "/api/ops/connections/{id}", operation_id = "getConnectionStory", tag = "operations",
    summary = "Show everything about a connection", params(("id" = Uuid, Path, description = "The connection.")),
    responses((status = 200, description = "Its story.", body = Story)))]
pub(super) async fn story(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<ConnectionId>,
) -> Result<Json<Story>, Problem> {
    operator(&caller)?;
    let row = api.store.find(id).await?.ok_or_else(|| Problem::not_found("connection").about(id))?;
    let filter =
        FailedJobFilter { states: vec![FailedJobState::Open], connection: Some(id), ..FailedJobFilter::default() };
    let subject = id.to_string();
    let (attempts, jobs, audit) = futures::try_join!(
        api.store.attempts(id, SHOWN),
        api.store.failed_jobs(&filter, None, SHOWN),
        api.store.audit_log(Some(&subject), None, LINES_SHOWN),
    )?;
    Ok(Json(Story {
        key: row.key.clone(),
        connection: row.into(),
        attempts: attempts.into_iter().map(AttemptView::from).collect(),
        failed_jobs: jobs.iter().map(FailedJobView::from).collect(),
        audit: audit.into_iter().map(AuditView::from).collect(),
    }))
}
