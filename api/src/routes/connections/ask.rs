//! `POST /api/connections/{id}/force-refresh`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use evergrant_contract::connection::Connection;
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::job::ForceReason;
use evergrant_contract::operations::Action;
use evergrant_contract::people::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::Caller;
use crate::edges::extract::{Json, Path};
use crate::edges::trace::TraceContext;
use crate::problem::{Problem, ProblemKind};
use crate::routes::ops::{audited, reason_of};
use crate::state::Api;
use crate::waits::{Ask, Waited};

/// What was refused, and how long to wait.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct ForceRefresh {
    /// The version of the token that was refused. Nothing is called if a newer one is stored already. Services have to
    /// name it; without it a person insists on a refresh now.
    #[schema(minimum = 1)]
    observed_version: Option<i64>,
    /// How long to wait for the outcome, in milliseconds; no longer than the server's own deadline, `force.wait_ms`. 0:
    /// the refresh is only asked for.
    wait_ms: Option<u32>,
    /// Why, for the audit log, where an operator insists.
    #[serde(default)]
    reason: String,
}

/// A newer token is stored.
#[derive(Serialize, ToSchema)]
pub(super) struct Refreshed {
    /// Always `refreshed`.
    #[schema(example = "refreshed")]
    outcome: &'static str,
    connection_id: Uuid,
    /// The version that is stored now.
    version: i64,
    /// When its access token ends.
    expires_at: Option<DateTime<Utc>>,
}

/// The refresh goes on.
#[derive(Serialize, ToSchema)]
pub(super) struct Pending {
    /// Always `pending`.
    #[schema(example = "pending")]
    outcome: &'static str,
    connection_id: Uuid,
    /// Seconds to wait before asking again; also in the header `Retry-After`.
    retry_after: u64,
}

/// One refresh for all who ask for the same version, however many and wherever they are. Whoever goes away cancels nothing.
#[utoipa::path(post, path = "/api/connections/{id}/force-refresh", operation_id = "forceRefresh", tag = "connections",
    summary = "Refresh a token that was refused", params(("id" = Uuid, Path, description = "The connection.")),
    request_body(content = Option<ForceRefresh>, description = "What was refused; may be empty for a person."),
    responses((status = 200, description = "A newer token is stored.", body = Refreshed),
        (status = 202, description = "The refresh goes on: ask again.", body = Pending,
            headers(("Retry-After" = u64, description = "Seconds to wait before asking again."))),
        (status = 409, description = "The grant has ended, or the token that was refused had just been issued.")))]
pub(super) async fn force_refresh(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<ConnectionId>,
    body: Option<Json<ForceRefresh>>,
) -> Result<Response, Problem> {
    let wish = body.map(|Json(wish)| wish).unwrap_or_default();
    let row = caller.connection(&api, id, Scope::TokensRefresh).await?;
    let (ask, why) = (wish.ask(&caller, &row)?, reason_of(&wish.reason)?);
    let insists = ask.reason == ForceReason::Operator;
    let waited = api.waits.refresh(ask).await;
    if insists {
        audited(&api, &caller, Action::RefreshConnection, id, why, waited.as_str()).await?;
    }
    match waited {
        Waited::Pending { retry_after } => Ok(pending(id, retry_after)),
        waited => {
            let version = waited.or_problem(id)?;
            let expires_at = api.store.find(id).await?.and_then(|row| row.expires_at);
            let (outcome, connection_id) = ("refreshed", id.uuid());
            Ok(Json(Refreshed { outcome, connection_id, version: version.number(), expires_at }).into_response())
        }
    }
}

impl ForceRefresh {
    fn ask(&self, caller: &Caller, row: &Connection) -> Result<Ask, Problem> {
        let (observed, reason) = match self.observed_version {
            Some(version) if version >= 1 => (Version::new(version), ForceReason::Unauthorized),
            Some(_) => return Err(wrong_version("a number of at least 1 expected")),
            None if may_insist(caller) => (row.version, ForceReason::Operator),
            None => return Err(wrong_version("the version of the token that was refused expected")),
        };
        let patience = self.wait_ms.map(|wait| Duration::from_millis(wait.into()));
        Ok(Ask { connection: row.id, observed, reason, patience, traceparent: TraceContext::current() })
    }
}

/// A person, or a service that does what operators do. Others would refresh with every request.
fn may_insist(caller: &Caller) -> bool {
    matches!(caller, Caller::User(_)) || caller.may(Scope::Ops).is_ok()
}

fn wrong_version(expected: &str) -> Problem {
    Problem::new(ProblemKind::InvalidParameter, format!("The field `observed_version` is wrong: {expected}."))
}

fn pending(id: ConnectionId, retry_after: Duration) -> Response {
    let seconds = retry_after.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX);
    let answer = Pending { outcome: "pending", connection_id: id.uuid(), retry_after: seconds };
    let mut response = (StatusCode::ACCEPTED, Json(answer)).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
