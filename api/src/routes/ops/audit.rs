//! The audit log.

use std::sync::Arc;

use axum::extract::State;
use evergrant_contract::ids::AuditId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::view::AuditView;
use super::{PAGE_MAX, operator};
use crate::auth::Caller;
use crate::edges::extract::{Json, Query};
use crate::problem::Problem;
use crate::routes::connections::within;
use crate::state::Api;

/// Which lines.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Only about this: the id of a failed job or a connection.
    subject: Option<String>,
    /// How many, at most.
    #[serde(default = "page")]
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: u32,
    /// The `next` of the page before.
    after: Option<Uuid>,
}

const fn page() -> u32 {
    50
}

/// One page of the audit log.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditPage {
    /// Newest first.
    items: Vec<AuditView>,
    /// What to send as `after` for the next page; null: this is the last one.
    next: Option<Uuid>,
}

/// What operators did, newest first. Lines are never changed.
#[utoipa::path(get, path = "/api/ops/audit", operation_id = "listAuditLog", tag = "operations",
    summary = "Read the audit log", params(Which),
    responses((status = 200, description = "One page of it.", body = AuditPage)))]
pub(super) async fn audit_log(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Result<Json<AuditPage>, Problem> {
    operator(&caller)?;
    let limit = within("limit", which.limit, 1, PAGE_MAX)?;
    let after = which.after.map(AuditId::from);
    let mut entries = api.store.audit_log(which.subject.as_deref(), after, limit + 1).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = entries.len() <= shown;
    entries.truncate(shown);
    let next = entries.last().filter(|_| !is_last).map(|entry| entry.id.uuid());
    Ok(Json(AuditPage { items: entries.into_iter().map(AuditView::from).collect(), next }))
}
