//! A lane as apalis sees it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::layers::Identity;
use apalis_core::task::Task;
use apalis_core::task::task_id::RandomId;
use apalis_core::worker::context::WorkerContext;
use evergrant_contract::job::Job;
use tokio::sync::futures::OwnedNotified;

use super::lane::Lane;

/// Feeds a worker from a lane. A job leaves the lane when the worker has a free place for it, never before.
pub(super) struct LaneBackend {
    lane: Arc<Lane>,
    arrival: Pin<Box<OwnedNotified>>,
}

impl LaneBackend {
    pub(super) fn new(lane: Arc<Lane>) -> Self {
        let arrival = Box::pin(lane.arrival());
        Self { lane, arrival }
    }
}

impl Backend for LaneBackend {
    type Task = Task<Job>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Task<Job>, Infallible>>> {
        loop {
            if let Some(job) = self.lane.pop() {
                return Poll::Ready(Some(Ok(Task::new(job))));
            }
            // A job that arrived since the look above has left its news behind, so this does not wait for a second one.
            ready!(self.arrival.as_mut().poll(cx));
            self.arrival.set(self.lane.arrival());
        }
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for LaneBackend {
    type Args = Job;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
