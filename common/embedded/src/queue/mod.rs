//! Jobs within one process.

mod backend;
mod lane;

use std::sync::Arc;

use apalis::prelude::{Data, Event, Monitor, ParallelizeExt, WorkerBuilder, WorkerBuilderExt};
use apalis_core::worker::ext::event_listener::EventListenerExt;
use async_trait::async_trait;
use evergrant_contract::census::{QueueLevel, QueueName};
use evergrant_contract::job::{Job, JobKind};
use evergrant_contract::ports::{FailedJobs, Fate, JobHandler, JobQueue, QueueError};
use tokio_util::sync::CancellationToken;

use backend::LaneBackend;
use lane::Lane;

/// A queue within one process: a bounded lane for each kind of job, worked by apalis.
///
/// It keeps nothing on disk and does not need to: a job lost with the process is found again in its row. A job put back goes
/// to the end of its lane and is handed out again as soon as it gets there, so a handler that cannot go on pauses first.
#[derive(Debug)]
pub struct LocalQueue {
    refresh_due: Arc<Lane>,
    force_refresh: Arc<Lane>,
}

impl LocalQueue {
    /// How many jobs of one kind wait at most, unless told otherwise.
    pub const CAPACITY: usize = 100_000;

    /// A queue in which so many jobs of each kind may wait.
    pub fn new(capacity: usize) -> Self {
        Self { refresh_due: Arc::new(Lane::new(capacity)), force_refresh: Arc::new(Lane::new(capacity)) }
    }

    fn lane(&self, kind: JobKind) -> &Arc<Lane> {
        match kind {
            JobKind::RefreshDue => &self.refresh_due,
            JobKind::ForceRefresh => &self.force_refresh,
        }
    }
}

impl Default for LocalQueue {
    fn default() -> Self {
        Self::new(Self::CAPACITY)
    }
}

#[async_trait]
impl JobQueue for LocalQueue {
    /// Takes what there is room for; [`QueueError::Full`] says that some of the jobs did not fit.
    async fn publish(&self, jobs: Vec<Job>) -> Result<(), QueueError> {
        let mut all_fit = true;
        for job in jobs {
            all_fit &= self.lane(job.payload.kind()).push(job);
        }
        if all_fit { Ok(()) } else { Err(QueueError::Full) }
    }

    async fn work(
        &self,
        kind: JobKind,
        concurrency: u32,
        handler: Arc<dyn JobHandler>,
        stop: CancellationToken,
    ) -> Result<(), QueueError> {
        let _taken_from = self.lane(kind).taken_from();
        let desk = Desk { lane: self.lane(kind).clone(), handler };
        let places = usize::try_from(concurrency.max(1)).unwrap_or(usize::MAX);
        let stopping = stop.clone();
        let monitor = Monitor::new()
            .register(move |_restarts| {
                WorkerBuilder::new(kind.as_str())
                    .backend(LaneBackend::new(desk.lane.clone()))
                    // The first layer is the outermost: a place is taken until the job's own task has ended.
                    .concurrency(places)
                    .parallelize(tokio::spawn)
                    .catch_panic()
                    .data(desk.clone())
                    .on_event(move |_worker, event| report(kind, event))
                    .build(handle)
            })
            .should_restart(move |_worker, _error| !stopping.is_cancelled());
        let stopped = async move {
            stop.cancelled().await;
            Ok(())
        };
        monitor.run_with_signal(stopped).await.map_err(|error| QueueError::Refused(error.to_string()))
    }

    async fn depth(&self, kind: JobKind) -> Result<u64, QueueError> {
        Ok(self.lane(kind).len().try_into().unwrap_or(u64::MAX))
    }

    /// There are no dead letters: a job that never became bytes cannot be unreadable.
    async fn levels(&self) -> Result<Vec<QueueLevel>, QueueError> {
        let level = |queue, lane: &Lane| {
            let waiting = lane.len().try_into().unwrap_or(u64::MAX);
            QueueLevel { queue, waiting, consumers: lane.consumers() }
        };
        let dead_letters = QueueLevel { queue: QueueName::DeadLetters, waiting: 0, consumers: 0 };
        let due = level(QueueName::RefreshDue, &self.refresh_due);
        Ok(vec![due, level(QueueName::ForceRefresh, &self.force_refresh), dead_letters])
    }

    /// Waits for `stop`: a job that never became bytes cannot be unreadable.
    async fn drain_dead_letters(&self, _into: Arc<dyn FailedJobs>, stop: CancellationToken) -> Result<(), QueueError> {
        stop.cancelled().await;
        Ok(())
    }
}

/// What a job needs on its way to the handler.
#[derive(Clone)]
struct Desk {
    lane: Arc<Lane>,
    handler: Arc<dyn JobHandler>,
}

async fn handle(job: Job, desk: Data<Desk>) {
    let copy = job.clone();
    match desk.handler.handle(job).await {
        Fate::Done => (),
        Fate::PutBack => desk.lane.put_back(copy),
    }
}

fn report(kind: JobKind, event: &Event) {
    if let Event::Error(error) = event {
        // A job that ends like this is done with: its row is as it was, and the scheduler finds it again.
        tracing::error!(job.kind = %kind, %error, "A job panicked");
    }
}
