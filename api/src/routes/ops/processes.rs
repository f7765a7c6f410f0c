//! Taking a worker out, and back in.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use evergrant_contract::controls::{Drain, Order, Ordered};
use evergrant_contract::ids::ProcessId;
use evergrant_contract::operations::Action;
use evergrant_contract::ports::Peer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::pauses::{OrderView, line, why_of};
use super::{ALIVE_FOR, operator};
use crate::auth::Caller;
use crate::edges::extract::{Json, Path};
use crate::problem::{Problem, ProblemKind};
use crate::state::Api;

/// An order to take no new jobs.
#[derive(Serialize, ToSchema)]
#[schema(as = Drain)]
pub(super) struct DrainView {
    #[serde(flatten)]
    order: OrderView,
    /// Since when it has nothing in hand any more; null: it still finishes what it began.
    done_at: Option<DateTime<Utc>>,
}

impl From<Drain> for DrainView {
    fn from(Drain { order, done_at }: Drain) -> Self {
        Self { order: order.into(), done_at }
    }
}

/// Why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDrain {
    /// Why.
    #[schema(example = "The host is being replaced")]
    why: String,
}

/// The order that stands now.
#[derive(Serialize, ToSchema)]
pub(super) struct Draining {
    process: Uuid,
    drain: DrainView,
    /// It was drained already, and was left as it was.
    was_drained: bool,
}

/// The process takes no new jobs, finishes those in hand, and stays up. A worker of a cluster says that it is not ready.
#[utoipa::path(post, path = "/api/ops/processes/{id}/drain", operation_id = "drainWorker", tag = "operations",
    summary = "Take a worker out", params(("id" = Uuid, Path, description = "The process.")), request_body = NewDrain,
    responses((status = 200, description = "It takes no new jobs.", body = Draining)))]
pub(super) async fn drain(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(process): Path<ProcessId>,
    Json(wish): Json<NewDrain>,
) -> Result<Json<Draining>, Problem> {
    operator(&caller)?;
    let why = why_of(&wish.why)?;
    worker(&api, process).await?;
    let order = Order { by: caller.name(), why, at: api.clock.now() };
    let audit = line(&order, Action::DrainWorker, process.to_string(), "draining");
    let drain = Drain { order, done_at: None };
    let (drain, was_drained) = match api.store.drain(process, &drain, &audit).await? {
        Ordered::Done => (drain, false),
        Ordered::Already(standing) => (standing, true),
        Ordered::NotFound => return Err(Problem::not_found("live process")),
    };
    Ok(Json(Draining { process: process.uuid(), drain: drain.into(), was_drained }))
}

/// What has ended.
#[derive(Serialize, ToSchema)]
pub(super) struct Undrained {
    process: Uuid,
    /// Whether it had been drained.
    was_drained: bool,
}

/// The process takes jobs again.
#[utoipa::path(delete, path = "/api/ops/processes/{id}/drain", operation_id = "resumeWorker", tag = "operations",
    summary = "Take a worker back in", params(("id" = Uuid, Path, description = "The process.")),
    responses((status = 200, description = "It takes jobs.", body = Undrained)))]
pub(super) async fn undrain(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(process): Path<ProcessId>,
) -> Result<Json<Undrained>, Problem> {
    operator(&caller)?;
    worker(&api, process).await?;
    let order = Order { by: caller.name(), why: String::new(), at: api.clock.now() };
    let audit = line(&order, Action::ResumeWorker, process.to_string(), "resumed");
    let was_drained = api.store.undrain(process, &audit).await?.is_some();
    Ok(Json(Undrained { process: process.uuid(), was_drained }))
}

/// The live process, if it takes jobs at all.
async fn worker(api: &Api, process: ProcessId) -> Result<Peer, Problem> {
    let peers = api.store.peers(ALIVE_FOR).await?;
    let peer = peers.into_iter().find(|peer| peer.process == process);
    let peer = peer.ok_or_else(|| Problem::not_found("live process"))?;
    if !peer.runs_workers() {
        let detail =
            format!("This process runs the role `{}`, which takes no jobs: there is nothing to drain.", peer.role);
        return Err(Problem::new(ProblemKind::InvalidParameter, detail));
    }
    Ok(peer)
}
