//! The job queue on RabbitMQ: one quorum queue for each kind of job.

mod acks;
mod drain;
mod ledger;
mod message;
mod publish;
mod work;

use std::sync::Arc;

use async_trait::async_trait;
use evergrant_contract::job::{Job, JobKind};
use evergrant_contract::ports::{FailedJobs, JobHandler, JobQueue, QueueError};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ErrorKind};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::broker::{QueueReport, Shared, close_channel, lost};
use drain::Drain;
use publish::Publisher;
use work::Work;

/// The job queue on RabbitMQ.
pub struct RabbitQueue {
    shared: Arc<Shared>,
    publisher: Publisher,
}

impl RabbitQueue {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { publisher: Publisher::new(Arc::clone(&shared)), shared }
    }

    /// What the broker counts in every queue, that of dead letters last.
    pub(crate) async fn report(&self) -> Result<Vec<QueueReport>, QueueError> {
        let topology = &self.shared.topology;
        let mut reports = Vec::new();
        for name in JobKind::ALL.iter().map(|kind| topology.queue(*kind)).chain([topology.dead_letter_queue()]) {
            reports.push(self.count(name).await?);
        }
        Ok(reports)
    }

    /// Counts on the consuming connection: the other one falls silent when the broker has an alarm, and just then people ask.
    async fn count(&self, name: String) -> Result<QueueReport, QueueError> {
        let patience = self.shared.publish_timeout;
        let connection = self.shared.consume.up_within(patience).await?;
        let counted = timeout(patience, self.ask(&connection, name)).await;
        counted.map_err(|_| QueueError::Unavailable(format!("the broker did not answer within {patience:?}")))?
    }

    async fn ask(&self, connection: &Connection, name: String) -> Result<QueueReport, QueueError> {
        let channel = connection.create_channel().await.map_err(lost)?;
        let passive = QueueDeclareOptions::default().passive();
        match channel.queue_declare(name.as_str().into(), passive, FieldTable::default()).await {
            Ok(queue) => {
                close_channel(&channel).await;
                let (waiting, consumers) = (queue.message_count().into(), queue.consumer_count().into());
                Ok(QueueReport { name, waiting, consumers })
            }
            // Somebody deleted it, and with it everything that was waiting.
            Err(problem) if matches!(problem.kind(), ErrorKind::ProtocolError(e) if e.get_id() == 404) => {
                self.shared.consume.redeclare(connection).await?;
                Ok(QueueReport { name, waiting: 0, consumers: 0 })
            }
            Err(problem) => Err(lost(problem)),
        }
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
        Work::new(Arc::clone(&self.shared), kind, concurrency, handler, stop).run().await;
        Ok(())
    }

    async fn depth(&self, kind: JobKind) -> Result<u64, QueueError> {
        self.count(self.shared.topology.queue(kind)).await.map(|report| report.waiting)
    }

    async fn drain_dead_letters(&self, into: Arc<dyn FailedJobs>, stop: CancellationToken) -> Result<(), QueueError> {
        Drain::new(Arc::clone(&self.shared), into, stop).run().await;
        Ok(())
    }
}
