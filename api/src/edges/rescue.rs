//! What an answer is made of when a handler has none: it panicked, or took too long.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use evergrant_contract::ports::Clock;
use futures::FutureExt as _;
use tracing::{error, warn};

use crate::problem::{Problem, ProblemKind};

/// How long a request may take.
#[derive(Clone)]
pub(super) struct Patience {
    limit: Duration,
    clock: Arc<dyn Clock>,
}

impl Patience {
    pub(super) fn new(limit: Duration, clock: &Arc<dyn Clock>) -> Self {
        Self { limit, clock: Arc::clone(clock) }
    }
}

/// Ends a request that takes too long. What it had asked for goes on: refreshes are tasks of their own.
pub(super) async fn time(State(patience): State<Patience>, request: Request, next: Next) -> Response {
    tokio::select! {
        response = next.run(request) => response,
        () = patience.clock.sleep(patience.limit) => {
            warn!(seconds = patience.limit.as_secs(), "A request took too long and was ended");
            let detail = "The request took too long and was ended. What it had begun may go on; ask again.";
            Problem::new(ProblemKind::Timeout, detail).retry_after(Duration::from_secs(1)).into_response()
        }
    }
}

/// Answers for a handler that panicked. What it said may hold anything, so that is left to the panic's own hook.
pub(super) async fn panics(request: Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        error!("A request panicked");
        Problem::new(ProblemKind::Internal, "Something went wrong here. The log says what, under the request id.")
            .into_response()
    })
}
