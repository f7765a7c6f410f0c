//! From the dead-letter queue into failed jobs, where people can see, filter and replay them.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::failed_job::FailedJob;
use evergrant_contract::ports::{FailedJobs, QueueError};
use futures::StreamExt;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::message;
use super::work::{IDLE_CHECK, expect_idle, leave, subscribe};
use crate::broker::{Shared, lost, pauses};

/// Dead letters sent ahead. They are rare, and each is recorded by itself.
const PREFETCH: u16 = 16;

/// The pause when there is no other.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One call of `drain_dead_letters`.
pub(super) struct Drain {
    shared: Arc<Shared>,
    queue: String,
    into: Arc<dyn FailedJobs>,
    stop: CancellationToken,
}

impl Drain {
    pub(super) fn new(shared: Arc<Shared>, into: Arc<dyn FailedJobs>, stop: CancellationToken) -> Self {
        Self { queue: shared.topology.dead_letter_queue(), shared, into, stop }
    }

    pub(super) async fn run(self) {
        let mut pause = pauses();
        while !self.stop.is_cancelled() && !self.shared.closing.is_cancelled() {
            match self.one_subscription().await {
                Ok(()) => pause = pauses(),
                Err(problem) => warn!(queue = self.queue, error = %problem, "Subscribing to the dead letters again"),
            }
            let wait = sleep(pause.next().unwrap_or(LONGEST_PAUSE));
            let _ = self.stop.run_until_cancelled(self.shared.closing.run_until_cancelled(wait)).await;
        }
    }

    async fn one_subscription(&self) -> Result<(), QueueError> {
        let subscribed = self.stop.run_until_cancelled(subscribe(&self.shared.consume, &self.queue, PREFETCH)).await;
        let Some(subscribed) = subscribed else { return Ok(()) };
        let (channel, mut consumer) = subscribed?;
        loop {
            match self.stop.run_until_cancelled(timeout(IDLE_CHECK, consumer.next())).await {
                None | Some(Ok(None)) => break,
                Some(Ok(Some(delivery))) => self.record(&channel, &delivery.map_err(lost)?).await?,
                Some(Err(_)) => expect_idle(&self.shared, &self.queue).await?,
            }
        }
        if self.stop.is_cancelled() {
            leave(&channel, &mut consumer).await;
        }
        Ok(())
    }

    /// Records one dead letter, however long the store is away, and only then acks it. When stopped it stays in the queue.
    async fn record(&self, channel: &Channel, delivery: &Delivery) -> Result<(), QueueError> {
        for failed in message::failed_jobs(delivery, self.shared.clock.now()) {
            if !self.record_one(&failed).await {
                return Ok(());
            }
            info!(job.id = %failed.id, job.kind = failed.kind, error = failed.error, "A dead letter is now a failed job");
        }
        channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await.map_err(lost)
    }

    /// Whether it was recorded before the stop.
    async fn record_one(&self, failed: &FailedJob) -> bool {
        let mut pause = pauses();
        while let Err(problem) = self.into.record(failed.clone()).await {
            error!(job.id = %failed.id, error = %problem, "A dead letter could not be recorded; it is kept, trying again");
            let wait = sleep(pause.next().unwrap_or(LONGEST_PAUSE));
            if self.stop.run_until_cancelled(wait).await.is_none() {
                return false;
            }
        }
        true
    }
}
