//! Taking jobs from a queue and handing them to workers, through every loss of the connection.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::job::{Job, JobKind};
use evergrant_contract::ports::{Fate, JobHandler, QueueError};
use futures::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::acks::{AckPace, Answer, Answers, answer_deliveries};
use super::count::count;
use super::in_hand::InHand;
use super::pack::unpack;
use super::publish::Publisher;
use crate::broker::{Link, Shared, close_channel, lost, pauses};

/// How long a finished `RefreshDue` may wait to be acked together with others.
const ACK_LINGER: Duration = Duration::from_millis(5);

/// How many such waits a finished job behind a straggler goes through.
const ACK_PATIENCE: u32 = 8;

/// How long nothing may come before we ask whether nothing waits.
pub(super) const IDLE_CHECK: Duration = Duration::from_secs(10);

/// How long the broker may take to end a consumer that is no longer wanted.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// A subscription that lived this long has earned a fresh start of the pauses.
const STEADY: Duration = Duration::from_secs(10);

/// Deliveries that the broker sends ahead, and how their acks are grouped.
///
/// For bulk work a quarter more than is in hand keeps every hand busy while acks wait for company; where hands are few, other
/// workers would make better use of it. Somebody waits for a forced refresh, so none is ever held by a worker that has no
/// hand free.
fn pace(kind: JobKind, concurrency: u32) -> (u16, AckPace) {
    let (ahead, linger, patience) = match kind {
        JobKind::RefreshDue => (concurrency / 4, ACK_LINGER, ACK_PATIENCE),
        JobKind::ForceRefresh => (0, Duration::ZERO, 0),
    };
    let prefetch = concurrency.saturating_add(ahead).try_into().unwrap_or(u16::MAX);
    let room = usize::try_from(ahead).unwrap_or(usize::MAX).div_ceil(2).max(1);
    (prefetch, AckPace { linger, patience, room })
}

/// A channel that consumes from one queue, with a prefetch and a consumer tag of the broker's choice: reusing a tag with
/// deliveries unanswered crashes the channel on the broker's side.
pub(super) async fn subscribe(link: &Link, queue: &str, prefetch: u16) -> Result<(Channel, Consumer), QueueError> {
    let connection = link.up().await.ok_or_else(|| QueueError::Unavailable("the broker was closed".into()))?;
    // The queue may be gone, which is why the last subscription ended.
    link.redeclare(&connection).await?;
    let channel = connection.create_channel().await.map_err(lost)?;
    channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(lost)?;
    let options = BasicConsumeOptions::default();
    let consumer =
        channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await.map_err(lost)?;
    Ok((channel, consumer))
}

/// Ends a consumer and gives back what it had been sent ahead, so that others take it now and not when our hands are free.
pub(super) async fn unsubscribe(channel: &Channel, consumer: &mut Consumer, give_back: impl Fn(Delivery)) {
    let end = async {
        if channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await.is_ok() {
            while let Some(Ok(delivery)) = consumer.next().await {
                give_back(delivery);
            }
        }
    };
    if timeout(CANCEL_TIMEOUT, end).await.is_err() {
        warn!("The broker did not confirm the end of a consumer; its jobs go back when the channel closes");
    }
}

/// Nothing came although there was room for it. That is well if nothing waits; otherwise the broker has forgotten us.
pub(super) async fn expect_idle(shared: &Shared, queue: &str) -> Result<(), QueueError> {
    match count(shared, queue.to_owned()).await {
        Ok(report) if report.waiting == 0 && report.consumers > 0 => Ok(()),
        Ok(_) => Err(QueueError::Unavailable(format!("messages wait and none came within {IDLE_CHECK:?}"))),
        // The consumer itself is told if its connection is lost.
        Err(_) => Ok(()),
    }
}

/// One call of `work`.
pub(super) struct Work {
    shared: Arc<Shared>,
    /// For packs that are taken apart.
    publisher: Arc<Publisher>,
    kind: JobKind,
    queue: String,
    concurrency: u32,
    handler: Arc<dyn JobHandler>,
    stop: CancellationToken,
    /// A permit is a job in hand, whichever subscription it came from.
    hands: Arc<Semaphore>,
    in_hand: TaskTracker,
}

impl Work {
    pub(super) fn new(
        shared: Arc<Shared>,
        publisher: Arc<Publisher>,
        kind: JobKind,
        concurrency: u32,
        handler: Arc<dyn JobHandler>,
        stop: CancellationToken,
    ) -> Self {
        let concurrency = concurrency.max(1);
        let hands = Arc::new(Semaphore::new(usize::try_from(concurrency).unwrap_or(Semaphore::MAX_PERMITS)));
        let (queue, in_hand) = (shared.topology.queue(kind), TaskTracker::new());
        Self { shared, publisher, kind, queue, concurrency, handler, stop, hands, in_hand }
    }

    /// Works until stopped, and returns when the last job in hand is done and its ack is sent.
    pub(super) async fn run(self) {
        let mut pause = pauses();
        while !self.stop.is_cancelled() && !self.shared.closing.is_cancelled() {
            let since = tokio::time::Instant::now();
            match self.one_subscription().await {
                Ok(()) => info!(queue = self.queue, "The subscription ended; subscribing again"),
                Err(refused @ QueueError::Refused(_)) => {
                    error!(queue = self.queue, error = %refused, "Cannot subscribe");
                }
                Err(problem) => warn!(queue = self.queue, error = %problem, "Subscribing again"),
            }
            if since.elapsed() >= STEADY {
                pause = pauses();
            }
            let wait = sleep(pause.next().unwrap_or(STEADY));
            let _ = self.stop.run_until_cancelled(self.shared.closing.run_until_cancelled(wait)).await;
        }
        self.in_hand.close();
        self.in_hand.wait().await;
    }

    async fn one_subscription(&self) -> Result<(), QueueError> {
        let (prefetch, pace) = pace(self.kind, self.concurrency);
        let subscribed = self.stop.run_until_cancelled(subscribe(&self.shared.consume, &self.queue, prefetch)).await;
        let Some(subscribed) = subscribed else { return Ok(()) };
        let (channel, mut consumer) = subscribed?;
        let (answers, reports) = mpsc::unbounded_channel();
        self.in_hand.spawn(answer_deliveries(channel.clone(), pace, reports));
        let ended = self.take_jobs(&channel, &mut consumer, &answers).await;
        if self.stop.is_cancelled() {
            let give_back = |delivery: Delivery| report(&answers, delivery.delivery_tag, Answer::PutBack);
            unsubscribe(&channel, &mut consumer, give_back).await;
        }
        ended
    }

    /// Takes jobs while there are hands for them. Returns when stopped, or when the subscription has ended.
    async fn take_jobs(&self, channel: &Channel, consumer: &mut Consumer, answers: &Answers) -> Result<(), QueueError> {
        loop {
            let Some(hand) = self.hand().await else { return Ok(()) };
            let next = timeout(IDLE_CHECK, consumer.next());
            match self.stop.run_until_cancelled(next).await {
                None | Some(Ok(None)) => return Ok(()),
                Some(Ok(Some(Err(problem)))) => return Err(lost(problem)),
                // What a lost channel had buffered is coming again on the next one.
                Some(Ok(Some(Ok(_)))) if !channel.status().connected() => {}
                Some(Ok(Some(Ok(delivery)))) => self.start_all(&delivery, hand, answers).await,
                Some(Err(_)) => expect_idle(&self.shared, &self.queue).await?,
            }
        }
    }

    /// Starts the jobs of a delivery, each when there is a hand for it. Those that are not started by the stop go back with
    /// the whole.
    async fn start_all(&self, delivery: &Delivery, hand: OwnedSemaphorePermit, answers: &Answers) {
        let tag = delivery.delivery_tag;
        let jobs = match self.read(delivery) {
            Ok(jobs) => jobs,
            Err(refused) => return report(answers, tag, refused),
        };
        if jobs.len() > 1 && delivery.redelivered && self.part(&jobs).await {
            return report(answers, tag, Answer::Ack);
        }
        let in_hand = Arc::new(InHand::new(tag, jobs.len(), answers.clone()));
        let mut hand = Some(hand);
        for job in jobs {
            let free = match hand.take() {
                Some(hand) => Some(hand),
                None => self.hand().await,
            };
            let Some(free) = free else { return };
            self.start(job, free, Arc::clone(&in_hand));
        }
    }

    /// The jobs of a delivery, or how to refuse it.
    fn read(&self, delivery: &Delivery) -> Result<Vec<Job>, Answer> {
        let jobs = unpack(&delivery.data).map_err(|problem| {
            error!(queue = self.queue, error = %problem, "A message that is not a job goes to the dead letters");
            Answer::Reject
        })?;
        if let Some(job) = jobs.iter().find(|job| job.payload.kind() != self.kind) {
            error!(queue = self.queue, job.kind = %job.payload.kind(), "A job in the wrong queue goes to the dead letters");
            return Err(Answer::Reject);
        }
        Ok(jobs)
    }

    /// Publishes the jobs of a pack one by one, so that each has its deliveries counted for itself. Whether that was done:
    /// while the broker takes no messages they are worked on together.
    async fn part(&self, jobs: &[Job]) -> bool {
        let parted = self.publisher.publish_apart(jobs).await;
        parted
            .inspect_err(|problem| warn!(error = %problem, "Jobs that came again together cannot be parted now"))
            .is_ok()
    }

    fn start(&self, job: Job, hand: OwnedSemaphorePermit, in_hand: Arc<InHand>) {
        let handler = Arc::clone(&self.handler);
        self.in_hand.spawn(async move {
            in_hand.note(do_job(handler, job).await);
            // The delivery is answered before there is room for another.
            drop(in_hand);
            drop(hand);
        });
    }

    /// A free hand; `None` when stopped.
    async fn hand(&self) -> Option<OwnedSemaphorePermit> {
        self.stop.run_until_cancelled(Arc::clone(&self.hands).acquire_owned()).await?.ok()
    }
}

/// Nobody takes reports any more once the channel is closed; then the job comes again.
fn report(answers: &Answers, tag: u64, answer: Answer) {
    let _ = answers.send((tag, answer));
}

/// Does the job. A panic is a defect of ours that another delivery would only meet again; the row stays due, so the job is
/// not lost with it.
async fn do_job(handler: Arc<dyn JobHandler>, job: Job) -> Fate {
    let (id, kind) = (job.id, job.payload.kind());
    AssertUnwindSafe(handler.handle(job)).catch_unwind().await.unwrap_or_else(|_| {
        error!(job.id = %id, job.kind = %kind, "A job handler panicked; the scheduler finds its row again");
        Fate::Done
    })
}

/// Ends a subscription of the drain, which has no acks to group.
pub(super) async fn leave(channel: &Channel, consumer: &mut Consumer) {
    unsubscribe(channel, consumer, drop).await;
    close_channel(channel).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forced_refresh_is_never_sent_ahead_nor_kept_waiting_for_its_ack() {
        let (prefetch, pace) = pace(JobKind::ForceRefresh, 8);
        assert_eq!((prefetch, pace.linger, pace.room), (8, Duration::ZERO, 1));
    }

    #[test]
    fn bulk_work_is_sent_ahead_within_what_the_protocol_can_say() {
        let (prefetch, bulk) = pace(JobKind::RefreshDue, 100);
        assert_eq!((prefetch, bulk.room), (125, 13));
        assert_eq!(pace(JobKind::RefreshDue, 60_000).0, u16::MAX);
        let (prefetch, bulk) = pace(JobKind::RefreshDue, 3);
        assert_eq!((prefetch, bulk.room), (3, 1));
    }
}
