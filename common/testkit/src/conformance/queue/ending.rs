//! How workers end, and how they do not.

use std::sync::Arc;

use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{Fate, JobQueue};

use super::steps::{Hands, Worker, ids, job, jobs, publish, until_depth};

const DUE: JobKind = JobKind::RefreshDue;

/// A deployment loses nothing and begins nothing.
pub async fn stopping_finishes_what_is_in_hand_and_leaves_the_rest(queue: Arc<dyn JobQueue>) {
    let all = jobs(DUE, 10);
    let hands = Hands::closed();
    let worker = Worker::start(&queue, DUE, 2, &hands);
    publish(&*queue, all.clone()).await;
    hands.until("a full hand", |tally| tally.in_hand == 2).await;
    worker.ask_to_stop();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!worker.has_returned(), "it has two jobs in hand");
    hands.release();
    worker.stop().await;
    let first = hands.read(|tally| ids(&tally.done));
    assert_eq!((first.len(), hands.read(|tally| tally.begun.len())), (2, 2), "it finished two and began no other");
    until_depth(&*queue, DUE, 8).await;

    let rest = Hands::open();
    let worker = Worker::start(&queue, DUE, 2, &rest);
    let left: Vec<_> = all.iter().filter(|job| !first.contains(&job.id)).cloned().collect();
    rest.until("the handling of the rest", |tally| tally.has_done(&left)).await;
    worker.stop().await;
    assert!(rest.read(|tally| ids(&tally.done)).is_disjoint(&first), "what was finished does not come again");
}

/// It waits for nothing.
pub async fn stopping_an_idle_worker_is_quick(queue: Arc<dyn JobQueue>) {
    let hands = Hands::open();
    let worker = Worker::start(&queue, DUE, 2, &hands);
    let first = job(DUE);
    publish(&*queue, vec![first.clone()]).await;
    hands.until("a first job", |tally| tally.has_done(std::slice::from_ref(&first))).await;
    worker.stop().await;
    // One that is told to stop before it has begun returns as well.
    let worker = Worker::start(&queue, DUE, 2, &hands);
    worker.stop().await;
}

/// What is published after the stop waits for the next worker.
pub async fn a_stopped_worker_takes_nothing_more(queue: Arc<dyn JobQueue>) {
    let stopped = Hands::open();
    Worker::start(&queue, DUE, 2, &stopped).stop().await;
    let all = jobs(DUE, 5);
    publish(&*queue, all.clone()).await;
    until_depth(&*queue, DUE, 5).await;
    assert!(stopped.read(|tally| tally.begun.is_empty()));
    let next = Hands::open();
    let worker = Worker::start(&queue, DUE, 2, &next);
    next.until("the handling by the next worker", |tally| tally.has_done(&all)).await;
    worker.stop().await;
}

/// The worker goes on with its whole concurrency. The job itself may come again or not: the row finds it.
pub async fn a_handler_that_panics_stops_nobody(queue: Arc<dyn JobQueue>) {
    let (cursed, others) = (jobs(DUE, 3), jobs(DUE, 10));
    let ids = ids(&cursed);
    let hands = Hands::deciding(true, move |job, before| {
        assert!(before > 0 || !ids.contains(&job.id), "this panic is a part of the test");
        Fate::Done
    });
    let worker = Worker::start(&queue, DUE, 1, &hands);
    publish(&*queue, cursed.clone()).await;
    publish(&*queue, others.clone()).await;
    let all_began = |begun: &[evergrant_contract::job::Job]| super::steps::ids(begun).len() == 13;
    hands.until("the handling of all jobs", |tally| all_began(&tally.begun) && tally.has_done(&others)).await;
    until_depth(&*queue, DUE, 0).await;
    worker.stop().await;
}
