//! A queue in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evergrant_contract::census::{QueueLevel, QueueName};
use evergrant_contract::failed_job::{FailedJob, FailedJobState};
use evergrant_contract::ids::JobId;
use evergrant_contract::job::{Job, JobKind};
use evergrant_contract::ports::{Clock, FailedJobs, Fate, JobHandler, JobQueue, QueueError};
use evergrant_contract::timing::to_millis;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::lock;

/// A queue in memory, with a log of everything that was published and knobs for the failures that tests need.
#[derive(Clone)]
pub struct MemoryQueue {
    lines: Arc<Mutex<Lines>>,
    /// Counts everything that may be news to a worker or to a test.
    changes: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Lines {
    waiting: BTreeMap<JobKind, VecDeque<Job>>,
    published: Vec<Job>,
    dead_letters: VecDeque<Vec<u8>>,
    down: bool,
    failing_publishes: u32,
    capacity: Option<usize>,
    consumers: BTreeMap<QueueName, u64>,
}

impl Lines {
    fn line(&mut self, kind: JobKind) -> &mut VecDeque<Job> {
        self.waiting.entry(kind).or_default()
    }
}

impl MemoryQueue {
    /// An empty queue. The clock dates failed jobs.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { lines: Arc::default(), changes: watch::Sender::new(0), clock })
    }

    /// Everything that was taken, in order, handled or not.
    pub fn published(&self) -> Vec<Job> {
        lock(&self.lines).published.clone()
    }

    /// Takes everything that waits away from the workers.
    pub fn take_waiting(&self, kind: JobKind) -> Vec<Job> {
        lock(&self.lines).line(kind).drain(..).collect()
    }

    /// Returns when at least so many jobs have been published in all. Fails the test if that takes too long.
    pub async fn until_published(&self, jobs: usize) {
        let mut changes = self.changes.subscribe();
        let enough = changes.wait_for(|_| lock(&self.lines).published.len() >= jobs);
        let _ = crate::conformance::soon("the publication of enough jobs", enough).await;
    }

    /// Makes the next `calls` calls of [`JobQueue::publish`] fail with [`QueueError::Unavailable`].
    pub fn fail_next(&self, calls: u32) {
        lock(&self.lines).failing_publishes = calls;
    }

    /// Takes the queue away, or brings it back. While it is down nothing is published, delivered or counted.
    pub fn set_down(&self, down: bool) {
        self.change().down = down;
    }

    /// Lets no more jobs of one kind wait than this; more are [`QueueError::Full`].
    pub fn set_capacity(&self, jobs: usize) {
        lock(&self.lines).capacity = Some(jobs);
    }

    /// Puts a message that nobody could read where [`JobQueue::drain_dead_letters`] finds it.
    pub fn add_dead_letter(&self, body: &[u8]) {
        self.change().dead_letters.push_back(body.to_vec());
    }

    /// Locks for a change that workers or tests may wait for.
    fn change(&self) -> Change<'_> {
        Change { lines: lock(&self.lines), changes: &self.changes }
    }

    /// The next of something, or `None` when it is time to stop.
    async fn next<T>(&self, stop: &CancellationToken, take: impl Fn(&mut Lines) -> Option<T>) -> Option<T> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            {
                let mut lines = lock(&self.lines);
                if stop.is_cancelled() {
                    return None;
                }
                if let Some(next) = (!lines.down).then(|| take(&mut lines)).flatten() {
                    return Some(next);
                }
            }
            let _ = stop.run_until_cancelled(changes.changed()).await;
        }
    }
}

const fn queue_of(kind: JobKind) -> QueueName {
    match kind {
        JobKind::RefreshDue => QueueName::RefreshDue,
        JobKind::ForceRefresh => QueueName::ForceRefresh,
    }
}

/// Somebody who takes messages from a queue, until it is dropped.
struct Consumer<'a>(&'a Mutex<Lines>, QueueName);

impl<'a> Consumer<'a> {
    fn of(lines: &'a Mutex<Lines>, queue: QueueName) -> Self {
        *lock(lines).consumers.entry(queue).or_default() += 1;
        Self(lines, queue)
    }
}

impl Drop for Consumer<'_> {
    fn drop(&mut self) {
        *lock(self.0).consumers.entry(self.1).or_default() -= 1;
    }
}

/// Tells whoever waits, when the change is done.
struct Change<'a> {
    lines: MutexGuard<'a, Lines>,
    changes: &'a watch::Sender<u64>,
}

impl std::ops::Deref for Change<'_> {
    type Target = Lines;

    fn deref(&self) -> &Lines {
        &self.lines
    }
}

impl std::ops::DerefMut for Change<'_> {
    fn deref_mut(&mut self) -> &mut Lines {
        &mut self.lines
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

#[async_trait]
impl JobQueue for MemoryQueue {
    async fn publish(&self, jobs: Vec<Job>) -> Result<(), QueueError> {
        let mut lines = self.change();
        if lines.down || lines.failing_publishes > 0 {
            lines.failing_publishes = lines.failing_publishes.saturating_sub(1);
            return Err(QueueError::Unavailable("the test took it down".into()));
        }
        for job in jobs {
            let capacity = lines.capacity.unwrap_or(usize::MAX);
            let line = lines.line(job.payload.kind());
            if line.len() >= capacity {
                return Err(QueueError::Full);
            }
            line.push_back(job.clone());
            lines.published.push(job);
        }
        Ok(())
    }

    async fn work(
        &self,
        kind: JobKind,
        concurrency: u32,
        handler: Arc<dyn JobHandler>,
        stop: CancellationToken,
    ) -> Result<(), QueueError> {
        let _consumer = Consumer::of(&self.lines, queue_of(kind));
        let slots = Arc::new(Semaphore::new(usize::try_from(concurrency).unwrap_or(Semaphore::MAX_PERMITS)));
        // A handler that panics ends its own task: its slot is freed and its job is gone, as the row will tell.
        let mut in_hand = JoinSet::new();
        loop {
            let Some(Ok(slot)) = stop.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await else { break };
            let Some(job) = self.next(&stop, |lines| lines.line(kind).pop_front()).await else { break };
            let (queue, handler) = (self.clone(), Arc::clone(&handler));
            in_hand.spawn(async move {
                if handler.handle(job.clone()).await == Fate::PutBack {
                    queue.change().line(kind).push_back(job);
                }
                drop(slot);
            });
            while in_hand.try_join_next().is_some() {}
        }
        while in_hand.join_next().await.is_some() {}
        Ok(())
    }

    async fn depth(&self, kind: JobKind) -> Result<u64, QueueError> {
        let mut lines = lock(&self.lines);
        if lines.down {
            return Err(QueueError::Unavailable("the test took it down".into()));
        }
        Ok(u64::try_from(lines.line(kind).len()).unwrap_or(u64::MAX))
    }

    async fn levels(&self) -> Result<Vec<QueueLevel>, QueueError> {
        let mut lines = lock(&self.lines);
        if lines.down {
            return Err(QueueError::Unavailable("the test took it down".into()));
        }
        let waiting = |lines: &mut Lines, queue| match queue {
            QueueName::RefreshDue => lines.line(JobKind::RefreshDue).len(),
            QueueName::ForceRefresh => lines.line(JobKind::ForceRefresh).len(),
            QueueName::DeadLetters => lines.dead_letters.len(),
        };
        let mut level = |queue| {
            let waiting = u64::try_from(waiting(&mut lines, queue)).unwrap_or(u64::MAX);
            QueueLevel { queue, waiting, consumers: lines.consumers.get(&queue).copied().unwrap_or_default() }
        };
        Ok(QueueName::ALL.iter().map(|queue| level(*queue)).collect())
    }

    async fn drain_dead_letters(&self, into: Arc<dyn FailedJobs>, stop: CancellationToken) -> Result<(), QueueError> {
        let _consumer = Consumer::of(&self.lines, QueueName::DeadLetters);
        while let Some(body) = self.next(&stop, |lines| lines.dead_letters.pop_front()).await {
            let job = unread(&body, to_millis(self.clock.now()));
            if let Err(error) = into.record(job).await {
                lock(&self.lines).dead_letters.push_front(body);
                return Err(QueueError::Unavailable(error.to_string()));
            }
        }
        Ok(())
    }
}

fn unread(body: &[u8], failed_at: evergrant_contract::Timestamp) -> FailedJob {
    let text = std::str::from_utf8(body).map(str::to_owned);
    FailedJob {
        id: JobId::generate(),
        kind: "dead-letter".into(),
        connection: None,
        provider: None,
        payload: text.unwrap_or_else(|_| format!("base64:{}", STANDARD.encode(body))),
        attempts: Vec::new(),
        error: Job::decode(body).err().map_or_else(|| "it was rejected".into(), |error| error.to_string()),
        traceparent: None,
        failed_at,
        state: FailedJobState::Open,
    }
}
