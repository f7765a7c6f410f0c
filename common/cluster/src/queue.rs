//! The job queue on RabbitMQ: one quorum queue for each kind of job.

mod acks;
mod count;
mod drain;
mod in_hand;
mod ledger;
mod message;
mod pack;
mod publish;
mod work;

use std::sync::Arc;

use async_trait::async_trait;
use evergrant_contract::census::{QueueLevel, QueueName};
use evergrant_contract::job::{Job, JobKind};
use evergrant_contract::ports::{FailedJobs, JobHandler, JobQueue, QueueError};
use tokio_util::sync::CancellationToken;

use crate::broker::{QueueReport, Shared};
use count::count;
use drain::Drain;
use publish::Publisher;
use work::Work;

/// The job queue on RabbitMQ.
pub struct RabbitQueue {
    shared: Arc<Shared>,
    publisher: Arc<Publisher>,
}

impl RabbitQueue {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { publisher: Arc::new(Publisher::new(Arc::clone(&shared))), shared }
    }

    /// What the broker counts in every queue, that of dead letters last.
    pub(crate) async fn report(&self) -> Result<Vec<QueueReport>, QueueError> {
        let topology = &self.shared.topology;
        let mut reports = Vec::new();
        for name in JobKind::ALL.iter().map(|kind| topology.queue(*kind)).chain([topology.dead_letter_queue()]) {
            reports.push(count(&self.shared, name).await?);
        }
        Ok(reports)
    }
}

#[async_trait]
impl JobQueue for RabbitQueue {
    async fn publish(&self, jobs: Vec<Job>) -> Result<(), QueueError> {
        self.publisher.publish(&jobs).await
    }

    async fn work(
        &self,
        kind: JobKind,
        concurrency: u32,
        handler: Arc<dyn JobHandler>,
        stop: CancellationToken,
    ) -> Result<(), QueueError> {
        Work::new(Arc::clone(&self.shared), Arc::clone(&self.publisher), kind, concurrency, handler, stop).run().await;
        Ok(())
    }

    async fn depth(&self, kind: JobKind) -> Result<u64, QueueError> {
        count(&self.shared, self.shared.topology.queue(kind)).await.map(|report| report.waiting)
    }

    async fn levels(&self) -> Result<Vec<QueueLevel>, QueueError> {
        let names = QueueName::ALL.iter().copied();
        let level = |(queue, QueueReport { waiting, consumers, .. })| QueueLevel { queue, waiting, consumers };
        Ok(names.zip(self.report().await?).map(level).collect())
    }

    async fn drain_dead_letters(&self, into: Arc<dyn FailedJobs>, stop: CancellationToken) -> Result<(), QueueError> {
        Drain::new(Arc::clone(&self.shared), into, stop).run().await;
        Ok(())
    }
}
