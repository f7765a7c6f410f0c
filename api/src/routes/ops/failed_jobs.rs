//! Failed jobs, to be looked at.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use evergrant_contract::failed_job::{FailedJob, FailedJobFilter, FailedJobKey};
use evergrant_contract::ids::JobId;
use evergrant_contract::job::Job;
use futures::try_join;
use serde::Serialize;
use utoipa::ToSchema;

use super::filter::Which;
use super::view::{AuditView, FailedJobView};
use super::{LINES_SHOWN, PAGE_MAX, operator};
use crate::auth::Caller;
use crate::edges::extract::{Json, Path, Query};
use crate::problem::{Problem, ProblemKind};
use crate::replay::{cursor, place};
use crate::routes::connections::view::{AttemptView, ConnectionView};
use crate::routes::connections::within;
use crate::state::Api;

/// Counting stops here: nobody reads a longer number, and it costs.
const COUNTED: u64 = 10_000;

/// One page of failed jobs.
#[derive(Serialize, ToSchema)]
pub(super) struct FailedJobPage {
    /// Newest first.
    items: Vec<FailedJobView>,
    /// What to send as `after` for the next page; null: this is the last one.
    next: Option<String>,
    /// How many there are on all pages. Counted up to 10,000.
    total: u64,
    /// There are more than `total`.
    total_is_at_least: bool,
}

/// Jobs given up on, newest first.
#[utoipa::path(get, path = "/api/ops/failed-jobs", operation_id = "listFailedJobs", tag = "operations",
    summary = "List failed jobs", params(Which),
    responses((status = 200, description = "One page of them.", body = FailedJobPage)))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Result<Json<FailedJobPage>, Problem> {
    operator(&caller)?;
    let limit = within("limit", which.limit, 1, PAGE_MAX)?;
    let (filter, after) = (which.filter()?, which.after.as_deref().map(behind).transpose()?);
    let (mut jobs, (total, total_is_at_least)) = try_join!(
        async { Ok(api.store.failed_jobs(&filter, after, limit + 1).await?) },
        counted(&api, &filter, COUNTED)
    )?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = jobs.len() <= shown;
    jobs.truncate(shown);
    let next = jobs.last().filter(|_| !is_last).map(|job| cursor(job.key()));
    Ok(Json(FailedJobPage { items: jobs.iter().map(FailedJobView::from).collect(), next, total, total_is_at_least }))
}

/// The place behind which a page begins.
pub(super) fn behind(text: &str) -> Result<FailedJobKey, Problem> {
    place(text).ok_or_else(|| {
        let detail = "`after` is wrong: the `next` of the page before expected, as it was.";
        Problem::new(ProblemKind::InvalidParameter, detail)
    })
}

/// How many there are, and whether there are more than that.
pub(super) async fn counted(api: &Api, filter: &FailedJobFilter, at_most: u64) -> Result<(u64, bool), Problem> {
    let count = api.store.count_failed_jobs(filter, at_most + 1).await?;
    Ok((count.min(at_most), count > at_most))
}

/// A failed job with its whole history.
#[derive(Serialize, ToSchema)]
pub(super) struct FailedJobStory {
    #[serde(flatten)]
    job: FailedJobView,
    /// The message body as it came: text, or `base64:…`.
    payload: String,
    /// The same, indented, if it is JSON.
    payload_pretty: Option<String>,
    /// Why the payload is no job that this release knows; null: it is one.
    unreadable: Option<String>,
    /// Every call of the provider for it, oldest first.
    history: Vec<AttemptView>,
    /// The W3C trace context of the job.
    traceparent: Option<String>,
    /// The connection as it is now, if there is one.
    connection: Option<ConnectionView>,
    /// What operators did to it, newest first; up to 100.
    audit: Vec<AuditView>,
    /// When this was looked at.
    looked_at: DateTime<Utc>,
}

/// A failed job: what was to be done, every attempt, the connection as it is now, and what operators did.
#[utoipa::path(get, path = "/api/ops/failed-jobs/{id}", operation_id = "showFailedJob", tag = "operations",
    summary = "Show a failed job", params(("id" = Uuid, Path, description = "The failed job.")),
    responses((status = 200, description = "The failed job.", body = FailedJobStory)))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<JobId>,
) -> Result<Json<FailedJobStory>, Problem> {
    operator(&caller)?;
    let job = found(&api, id).await?;
    let read = Job::decode(job.payload.as_bytes());
    let about = job.connection.or_else(|| read.as_ref().ok().map(|job| job.payload.connection()));
    let subject = id.to_string();
    let row = async {
        match about {
            Some(id) => api.store.find(id).await,
            None => Ok(None),
        }
    };
    let (row, audit) = try_join!(row, api.store.audit_log(Some(&subject), None, LINES_SHOWN))?;
    Ok(Json(FailedJobStory {
        payload_pretty: pretty(&job.payload),
        unreadable: read.err().map(|error| error.to_string()),
        history: job.attempts.iter().cloned().map(AttemptView::from).collect(),
        connection: row.map(ConnectionView::from),
        audit: audit.into_iter().map(AuditView::from).collect(),
        looked_at: api.clock.now(),
        job: FailedJobView::from(&job),
        payload: job.payload,
        traceparent: job.traceparent,
    }))
}

pub(super) async fn found(api: &Api, id: JobId) -> Result<FailedJob, Problem> {
    api.store.failed_job(id).await?.ok_or_else(|| Problem::not_found("failed job"))
}

fn pretty(payload: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(payload).ok()?;
    serde_json::to_string_pretty(&value).ok()
}
