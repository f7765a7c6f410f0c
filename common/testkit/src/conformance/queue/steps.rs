//! The steps that cases are made of.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::census::QueueName;
use evergrant_contract::ids::{ConnectionId, JobId, Version};
use evergrant_contract::job::{ForceReason, Job, JobKind, Payload};
use evergrant_contract::ports::{Fate, JobHandler, JobQueue, QueueError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::conformance::{eventually, soon};

pub(super) fn job(kind: JobKind) -> Job {
    let refresh_at = Timestamp::from_timestamp_millis(1_800_000_000_123).unwrap_or_default();
    let (connection, version) = (ConnectionId::generate(), Version::new(7));
    Job::new(match kind {
        JobKind::RefreshDue => Payload::RefreshDue { connection, version, refresh_at },
        JobKind::ForceRefresh => Payload::ForceRefresh {
            connection,
            observed_version: version,
            refresh_at,
            reason: ForceReason::Unauthorized,
            deadline: refresh_at,
        },
    })
}

pub(super) fn jobs(kind: JobKind, number: usize) -> Vec<Job> {
    (0..number).map(|_| job(kind)).collect()
}

pub(super) fn ids(jobs: &[Job]) -> BTreeSet<JobId> {
    jobs.iter().map(|job| job.id).collect()
}

pub(super) async fn publish(queue: &dyn JobQueue, jobs: Vec<Job>) {
    soon("the publication", queue.publish(jobs)).await.expect("a working queue takes jobs");
}

/// Waits until so many jobs wait: brokers count a little late.
pub(super) async fn until_depth(queue: &dyn JobQueue, kind: JobKind, depth: u64) {
    let what = format!("a {kind} queue of {depth}");
    eventually(&what, async || {
        let counted = queue.depth(kind).await.expect("a working queue counts");
        (counted == depth).then_some(())
    })
    .await;
}

/// Waits until the queues of both kinds say this of what waits and of who takes it: brokers count a little late.
pub(super) async fn until_levels(queue: &dyn JobQueue, wanted: [(u64, u64); 2]) {
    let what = format!("levels of {wanted:?}");
    eventually(&what, async || {
        let levels = queue.levels().await.expect("a working queue tells its levels");
        let names: Vec<_> = levels.iter().map(|level| level.queue).collect();
        assert_eq!(names, QueueName::ALL, "every queue is named, in order");
        let told: Vec<_> = levels.iter().take(2).map(|level| (level.waiting, level.consumers)).collect();
        (told == wanted).then_some(())
    })
    .await;
}

/// What a handler has had in its hands.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) begun: Vec<Job>,
    pub(super) done: Vec<Job>,
    pub(super) in_hand: usize,
    pub(super) most_in_hand: usize,
}

impl Tally {
    pub(super) fn has_done(&self, jobs: &[Job]) -> bool {
        ids(&self.done).is_superset(&ids(jobs))
    }
}

/// Decides the fate of a job that has come so many times before.
type Judge = dyn Fn(&Job, usize) -> Fate + Send + Sync;

/// A handler that keeps a tally, and keeps jobs in hand while it is closed.
pub(super) struct Hands {
    open: watch::Sender<bool>,
    tally: watch::Sender<Tally>,
    fate: Box<Judge>,
}

impl Hands {
    pub(super) fn open() -> Arc<Self> {
        Self::deciding(true, |_, _| Fate::Done)
    }

    pub(super) fn closed() -> Arc<Self> {
        Self::deciding(false, |_, _| Fate::Done)
    }

    pub(super) fn deciding(open: bool, fate: impl Fn(&Job, usize) -> Fate + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { open: watch::Sender::new(open), tally: watch::Sender::default(), fate: Box::new(fate) })
    }

    pub(super) fn release(&self) {
        self.open.send_replace(true);
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&Tally) -> T) -> T {
        read(&self.tally.borrow())
    }

    pub(super) async fn until(&self, what: &str, reached: impl Fn(&Tally) -> bool) {
        let mut tally = self.tally.subscribe();
        let _ = soon(what, tally.wait_for(|tally| reached(tally))).await;
    }
}

/// A job in hand; it is out of hand again even if the handler panics.
struct InHand<'a>(&'a watch::Sender<Tally>);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|tally| tally.in_hand -= 1);
    }
}

#[async_trait]
impl JobHandler for Hands {
    async fn handle(&self, job: Job) -> Fate {
        let mut before = 0;
        self.tally.send_modify(|tally| {
            before = tally.begun.iter().filter(|begun| begun.id == job.id).count();
            tally.begun.push(job.clone());
            tally.in_hand += 1;
            tally.most_in_hand = tally.most_in_hand.max(tally.in_hand);
        });
        let _in_hand = InHand(&self.tally);
        let _ = self.open.subscribe().wait_for(|open| *open).await;
        // A few turns for others: a queue that hands out too many would be caught here.
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        let fate = (self.fate)(&job, before);
        if fate == Fate::Done {
            self.tally.send_modify(|tally| tally.done.push(job));
        }
        fate
    }
}

/// A worker that runs until it is stopped.
pub(super) struct Worker {
    stop: CancellationToken,
    task: JoinHandle<Result<(), QueueError>>,
}

impl Worker {
    pub(super) fn start(queue: &Arc<dyn JobQueue>, kind: JobKind, concurrency: u32, hands: &Arc<Hands>) -> Self {
        let stop = CancellationToken::new();
        let (queue, handler, stopped) = (Arc::clone(queue), Arc::clone(hands), stop.clone());
        let task = tokio::spawn(async move { queue.work(kind, concurrency, handler, stopped).await });
        Self { stop, task }
    }

    /// Asks it to stop, and does not wait.
    pub(super) fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    pub(super) fn has_returned(&self) -> bool {
        self.task.is_finished()
    }

    /// Asks it to stop, and waits until it has.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        let ended = soon("the worker's end", self.task).await.expect("a worker does not panic");
        ended.expect("a worker of a working queue ends well");
    }
}
