//! From those who find work to those who do it.

use std::sync::Arc;

use evergrant_contract::job::{Job, JobKind};
use evergrant_contract::ports::{Fate, JobQueue};

use super::steps::{Hands, Worker, ids, job, jobs, publish, until_depth, until_levels};

const DUE: JobKind = JobKind::RefreshDue;
const FORCE: JobKind = JobKind::ForceRefresh;

/// Both kinds, every field, in one call or in many.
pub async fn every_job_arrives_as_it_was_published(queue: Arc<dyn JobQueue>) {
    for kind in [DUE, FORCE] {
        let hands = Hands::open();
        let worker = Worker::start(&queue, kind, 4, &hands);
        let traced =
            Job { traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()), ..job(kind) };
        let all: Vec<Job> = jobs(kind, 49).into_iter().chain([traced]).collect();
        publish(&*queue, all[..20].to_vec()).await;
        publish(&*queue, Vec::new()).await;
        for job in &all[20..] {
            publish(&*queue, vec![job.clone()]).await;
        }
        hands.until("the handling of all jobs", |tally| tally.has_done(&all)).await;
        worker.stop().await;
        for job in &all {
            let arrived = hands.read(|tally| tally.done.iter().find(|done| done.id == job.id).cloned());
            assert_eq!(arrived.as_ref(), Some(job));
        }
    }
}

/// Nobody is there when they are published: they wait, and are counted.
pub async fn jobs_wait_for_a_worker(queue: Arc<dyn JobQueue>) {
    let all = jobs(DUE, 30);
    publish(&*queue, all.clone()).await;
    until_depth(&*queue, DUE, 30).await;
    until_depth(&*queue, FORCE, 0).await;
    let hands = Hands::open();
    let worker = Worker::start(&queue, DUE, 3, &hands);
    hands.until("the handling of those that waited", |tally| tally.has_done(&all)).await;
    worker.stop().await;
}

/// A scheduler that comes back after an outage has a lot to say.
pub async fn thousands_are_published_at_once(queue: Arc<dyn JobQueue>) {
    let all = jobs(DUE, 3_000);
    let hands = Hands::open();
    let worker = Worker::start(&queue, DUE, 50, &hands);
    publish(&*queue, all.clone()).await;
    hands.until("the handling of thousands", |tally| tally.done.len() >= all.len()).await;
    assert!(hands.read(|tally| tally.has_done(&all)));
    worker.stop().await;
}

/// Every API instance and every scheduler publishes.
pub async fn many_publish_at_once(queue: Arc<dyn JobQueue>) {
    let batches: Vec<Vec<Job>> = (0..20).map(|_| jobs(FORCE, 10)).collect();
    let publishers = batches.iter().map(|batch| publish(&*queue, batch.clone()));
    futures::future::join_all(publishers).await;
    let hands = Hands::open();
    let worker = Worker::start(&queue, FORCE, 10, &hands);
    hands.until("the handling of all batches", |tally| tally.has_done(&batches.concat())).await;
    worker.stop().await;
}

/// All of it is used, and never more: it is what keeps a burst from the provider.
pub async fn no_more_than_the_concurrency_are_in_hand(queue: Arc<dyn JobQueue>) {
    let all = jobs(DUE, 40);
    let hands = Hands::closed();
    let worker = Worker::start(&queue, DUE, 4, &hands);
    publish(&*queue, all.clone()).await;
    hands.until("a full hand", |tally| tally.in_hand == 4).await;
    hands.release();
    hands.until("the handling of all jobs", |tally| tally.has_done(&all)).await;
    worker.stop().await;
    assert_eq!(hands.read(|tally| tally.most_in_hand), 4);
}

/// What waits is what people and autoscalers want to know.
pub async fn depth_leaves_out_those_in_hand(queue: Arc<dyn JobQueue>) {
    let all = jobs(DUE, 10);
    let hands = Hands::closed();
    let worker = Worker::start(&queue, DUE, 2, &hands);
    publish(&*queue, all.clone()).await;
    hands.until("a full hand", |tally| tally.in_hand == 2).await;
    until_depth(&*queue, DUE, 8).await;
    hands.release();
    hands.until("the handling of all jobs", |tally| tally.has_done(&all)).await;
    worker.stop().await;
}

/// Operators are told how full each queue is and whether anybody works at it.
pub async fn levels_tell_what_waits_and_who_works(queue: Arc<dyn JobQueue>) {
    let all = jobs(DUE, 10);
    let hands = Hands::closed();
    let workers = [DUE, DUE, FORCE].map(|kind| Worker::start(&queue, kind, 1, &hands));
    publish(&*queue, all.clone()).await;
    hands.until("a full hand", |tally| tally.in_hand == 2).await;
    until_levels(&*queue, [(8, 2), (0, 1)]).await;
    hands.release();
    hands.until("the handling of all jobs", |tally| tally.has_done(&all)).await;
    for worker in workers {
        worker.stop().await;
    }
    until_levels(&*queue, [(0, 0), (0, 0)]).await;
}

/// Somebody waits on a forced refresh, and nobody on a due one.
pub async fn a_backlog_of_one_kind_delays_no_other(queue: Arc<dyn JobQueue>) {
    let (backlog, forced) = (jobs(DUE, 500), jobs(FORCE, 5));
    let (stuck, free) = (Hands::closed(), Hands::open());
    let due_worker = Worker::start(&queue, DUE, 2, &stuck);
    publish(&*queue, backlog.clone()).await;
    stuck.until("a full hand", |tally| tally.in_hand == 2).await;
    let force_worker = Worker::start(&queue, FORCE, 2, &free);
    publish(&*queue, forced.clone()).await;
    free.until("the handling of forced jobs", |tally| tally.has_done(&forced)).await;
    assert_eq!(stuck.read(|tally| (tally.in_hand, tally.done.len())), (2, 0), "the backlog has not moved");
    stuck.release();
    stuck.until("the handling of the backlog", |tally| tally.has_done(&backlog)).await;
    for worker in [due_worker, force_worker] {
        worker.stop().await;
    }
    assert!(free.read(|tally| tally.begun.iter().all(|job| job.payload.kind() == FORCE)), "a kind has its own workers");
}

/// Each has something in hand at the same time, and neither has what the other has.
pub async fn two_workers_share(queue: Arc<dyn JobQueue>) {
    let all = jobs(DUE, 20);
    let hands = [Hands::closed(), Hands::closed()];
    let workers = hands.each_ref().map(|hands| Worker::start(&queue, DUE, 1, hands));
    publish(&*queue, all.clone()).await;
    for hands in &hands {
        hands.until("something for each worker", |tally| tally.in_hand == 1).await;
    }
    let [one, other] = hands.each_ref().map(|hands| hands.read(|tally| tally.begun[0].id));
    assert_ne!(one, other);
    for hands in &hands {
        hands.release();
    }
    until_depth(&*queue, DUE, 0).await;
    for worker in workers {
        worker.stop().await;
    }
    let done = hands.each_ref().map(|hands| hands.read(|tally| ids(&tally.done)));
    assert_eq!(done[0].union(&done[1]).count(), 20, "between them they did everything");
}

/// It is the same job when it comes again, and others are not held up by it.
pub async fn a_job_put_back_comes_again(queue: Arc<dyn JobQueue>) {
    let (returning, others) = (job(DUE), jobs(DUE, 5));
    let id = returning.id;
    let hands =
        Hands::deciding(true, move |job, before| if job.id == id && before < 3 { Fate::PutBack } else { Fate::Done });
    let worker = Worker::start(&queue, DUE, 1, &hands);
    publish(&*queue, vec![returning.clone()]).await;
    publish(&*queue, others.clone()).await;
    hands.until("the job's fourth coming", |tally| tally.has_done(std::slice::from_ref(&returning))).await;
    hands.until("the handling of the others", |tally| tally.has_done(&others)).await;
    worker.stop().await;
    let came = hands.read(|tally| tally.begun.iter().filter(|begun| **begun == returning).count());
    assert_eq!(came, 4, "put back three times, it came four times");
}

/// What one process cannot do, another may; also when the first is about to end.
pub async fn a_job_put_back_goes_to_another_worker(queue: Arc<dyn JobQueue>) {
    let all = jobs(DUE, 3);
    let unable = Hands::deciding(false, |_, _| Fate::PutBack);
    let ending = Worker::start(&queue, DUE, 1, &unable);
    publish(&*queue, all.clone()).await;
    unable.until("a job in hand", |tally| tally.in_hand == 1).await;
    ending.ask_to_stop();
    let able = Hands::open();
    let staying = Worker::start(&queue, DUE, 1, &able);
    unable.release();
    ending.stop().await;
    able.until("the handling by another", |tally| tally.has_done(&all)).await;
    staying.stop().await;
    assert_eq!(unable.read(|tally| tally.begun.len()), 1, "it was about to end and took nothing more");
}
