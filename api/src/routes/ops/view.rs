//! Failed jobs and lines of the audit log as they are shown.

use chrono::{DateTime, Utc};
use evergrant_contract::app::AppState;
use evergrant_contract::failed_job::{FailedJob, FailedJobState};
use evergrant_contract::operations::{Action, AuditEntry};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use uuid::Uuid;

use crate::routes::connections::view::{AttemptView, words};

/// A failed job, as lists show it.
#[derive(Serialize, ToSchema)]
#[schema(as = FailedJob)]
pub(super) struct FailedJobView {
    /// The job's id.
    id: Uuid,
    /// The job's kind, or the queue that it came from.
    #[schema(example = "refresh_due")]
    kind: String,
    /// What became of it.
    #[schema(schema_with = failed_job_states)]
    state: FailedJobState,
    /// The connection that it is about, if it could be read.
    connection_id: Option<Uuid>,
    /// The provider app, if known.
    provider: Option<String>,
    /// One sentence for people about the last error.
    error: String,
    /// How often the provider was called for it.
    attempts: usize,
    /// The last call.
    last_attempt: Option<AttemptView>,
    /// The trace that it belongs to, if it was traced.
    trace_id: Option<String>,
    /// When it was given up on.
    failed_at: DateTime<Utc>,
}

impl From<&FailedJob> for FailedJobView {
    fn from(job: &FailedJob) -> Self {
        Self {
            id: job.id.uuid(),
            kind: job.kind.clone(),
            state: job.state,
            connection_id: job.connection.map(evergrant_contract::ids::ConnectionId::uuid),
            provider: job.provider.as_ref().map(ToString::to_string),
            error: job.error.clone(),
            attempts: job.attempts.len(),
            last_attempt: job.attempts.last().cloned().map(AttemptView::from),
            trace_id: job.traceparent.as_deref().and_then(trace_id),
            failed_at: job.failed_at,
        }
    }
}

/// The trace's id within a W3C trace context.
fn trace_id(traceparent: &str) -> Option<String> {
    let id = traceparent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// Who did what, when and why.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct AuditView {
    id: Uuid,
    /// When.
    at: DateTime<Utc>,
    /// Who: `user <e-mail or id>`, `key <name>` or `cli <name>`.
    #[schema(example = "user ops@example.com")]
    actor: String,
    /// What.
    #[schema(schema_with = actions)]
    action: Action,
    /// To what: the id of a failed job or a connection.
    subject: String,
    /// Why, in the words of whoever did it; may be empty.
    reason: String,
    /// What came of it, in a word.
    #[schema(example = "published")]
    outcome: String,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, at, actor, action, subject, reason, outcome } = entry;
        Self { id: id.uuid(), at, actor, action, subject, reason, outcome }
    }
}

pub(super) fn app_states() -> ObjectBuilder {
    words(AppState::ALL.iter().map(|word| word.as_str())).schema_type(Type::String)
}

fn failed_job_states() -> ObjectBuilder {
    words(FailedJobState::ALL.iter().map(|word| word.as_str())).schema_type(Type::String)
}

fn actions() -> ObjectBuilder {
    words(Action::ALL.iter().map(|word| word.as_str())).schema_type(Type::String)
}
