//! What only a queue within a process must do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, JobId, Version};
use evergrant_contract::job::{ForceReason, Job, JobKind, Payload};
use evergrant_contract::ports::{Fate, JobHandler, JobQueue, QueueError};
use evergrant_embedded::LocalQueue;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

fn due() -> Job {
    Job::new(Payload::RefreshDue {
        connection: ConnectionId::generate(),
        version: Version::FIRST,
        refresh_at: Timestamp::UNIX_EPOCH,
    })
}

fn force() -> Job {
    Job::new(Payload::ForceRefresh {
        connection: ConnectionId::generate(),
        observed_version: Version::FIRST,
        refresh_at: Timestamp::UNIX_EPOCH,
        reason: ForceReason::Operator,
        deadline: Timestamp::UNIX_EPOCH,
    })
}

/// Tells of each job that starts, waits until it may go on, and says what it was told to say.
struct Scripted {
    started: mpsc::UnboundedSender<JobId>,
    may_end: Semaphore,
    in_hand: AtomicUsize,
    most_in_hand: AtomicUsize,
    say: Box<dyn Fn(usize) -> Fate + Send + Sync>,
    handled: AtomicUsize,
}

fn scripted(
    may_end: usize,
    say: impl Fn(usize) -> Fate + Send + Sync + 'static,
) -> (Arc<Scripted>, mpsc::UnboundedReceiver<JobId>) {
    let (started, starts) = mpsc::unbounded_channel();
    let handler = Scripted {
        started,
        may_end: Semaphore::new(may_end),
        in_hand: AtomicUsize::new(0),
        most_in_hand: AtomicUsize::new(0),
        say: Box::new(say),
        handled: AtomicUsize::new(0),
    };
    (Arc::new(handler), starts)
}

#[async_trait]
impl JobHandler for Scripted {
    async fn handle(&self, job: Job) -> Fate {
        let in_hand = self.in_hand.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_hand.fetch_max(in_hand, Ordering::SeqCst);
        let _ = self.started.send(job.id);
        self.may_end.acquire().await.unwrap().forget();
        self.in_hand.fetch_sub(1, Ordering::SeqCst);
        (self.say)(self.handled.fetch_add(1, Ordering::SeqCst))
    }
}

fn work(
    queue: &Arc<LocalQueue>,
    concurrency: u32,
    handler: &Arc<Scripted>,
    stop: &CancellationToken,
) -> JoinHandle<Result<(), QueueError>> {
    let (queue, handler, stop) = (queue.clone(), handler.clone(), stop.clone());
    tokio::spawn(async move { queue.work(JobKind::RefreshDue, concurrency, handler, stop).await })
}

async fn depth(queue: &LocalQueue) -> u64 {
    queue.depth(JobKind::RefreshDue).await.unwrap()
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_the_rest_is_taken() {
    let queue = LocalQueue::new(2);
    assert!(matches!(queue.publish(vec![due(), due(), due()]).await, Err(QueueError::Full)));
    assert_eq!(depth(&queue).await, 2);
    queue.publish(vec![force()]).await.unwrap();
    assert_eq!(queue.depth(JobKind::ForceRefresh).await.unwrap(), 1, "each kind has room of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_finishes_what_is_in_hand_and_leaves_the_rest() {
    let (queue, stop) = (Arc::new(LocalQueue::default()), CancellationToken::new());
    let (handler, mut starts) = scripted(0, |_| Fate::Done);
    queue.publish((0..10).map(|_| due()).collect()).await.unwrap();
    let working = work(&queue, 3, &handler, &stop);
    for _ in 0..3 {
        starts.recv().await.unwrap();
    }
    assert_eq!(depth(&queue).await, 7, "those in hand do not wait");
    stop.cancel();
    handler.may_end.add_permits(100);
    working.await.unwrap().unwrap();
    assert_eq!((handler.handled.load(Ordering::SeqCst), depth(&queue).await), (3, 7));

    let stop = CancellationToken::new();
    let working = work(&queue, 3, &handler, &stop);
    for _ in 0..7 {
        starts.recv().await.unwrap();
    }
    stop.cancel();
    working.await.unwrap().unwrap();
    assert_eq!((handler.handled.load(Ordering::SeqCst), depth(&queue).await), (10, 0));
    assert_eq!(handler.most_in_hand.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_stopped_before_it_began_takes_nothing() {
    let (queue, stop) = (Arc::new(LocalQueue::default()), CancellationToken::new());
    let (handler, _starts) = scripted(100, |_| Fate::Done);
    queue.publish(vec![due()]).await.unwrap();
    stop.cancel();
    work(&queue, 3, &handler, &stop).await.unwrap().unwrap();
    assert_eq!((handler.handled.load(Ordering::SeqCst), depth(&queue).await), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_put_back_comes_again_and_a_panic_ends_only_its_job() {
    let (queue, stop) = (Arc::new(LocalQueue::new(2)), CancellationToken::new());
    let (handler, mut starts) = scripted(100, |handled| match handled {
        0 => Fate::PutBack,
        1 => panic!("a handler that panics"),
        _ => Fate::Done,
    });
    let (first, second) = (due(), due());
    queue.publish(vec![first.clone(), second.clone()]).await.unwrap();
    let working = work(&queue, 1, &handler, &stop);
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(starts.recv().await.unwrap());
    }
    assert_eq!(order, [first.id, second.id, first.id], "the first goes to the end, the second is not repeated");
    stop.cancel();
    working.await.unwrap().unwrap();
    assert_eq!((handler.handled.load(Ordering::SeqCst), depth(&queue).await), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_idle_worker_hears_of_jobs_that_arrive_together() {
    let (queue, stop) = (Arc::new(LocalQueue::default()), CancellationToken::new());
    let (handler, mut starts) = scripted(0, |_| Fate::Done);
    let working: Vec<_> = (0..4).map(|_| work(&queue, 1, &handler, &stop)).collect();
    for _ in 0..20 {
        queue.publish((0..4).map(|_| due()).collect()).await.unwrap();
        for _ in 0..4 {
            starts.recv().await.unwrap();
        }
        handler.may_end.add_permits(4);
    }
    stop.cancel();
    for worker in working {
        worker.await.unwrap().unwrap();
    }
    assert_eq!((handler.handled.load(Ordering::SeqCst), depth(&queue).await), (80, 0));
}
