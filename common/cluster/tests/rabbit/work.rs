//! Jobs on their ordinary way.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use evergrant_contract::job::{Job, JobKind};
use evergrant_contract::ports::{Fate, JobHandler, JobQueue};
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;

use crate::support::{Hands, Place, Working, due, force, ids, many, soon, until_depth};

#[tokio::test(flavor = "multi_thread")]
async fn thousands_are_published_worked_and_acked() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let count = 20_000;
    let jobs = many(count, due);
    let wanted: HashSet<_> = jobs.iter().map(|job| job.id).collect();
    let start = Instant::now();
    broker.queue().publish(jobs).await.unwrap();
    let published = start.elapsed();
    // In a flood, eight jobs are one message.
    until_depth(&broker, JobKind::RefreshDue, count as u64 / 8).await;

    let (hands, mut told) = Hands::quick();
    let start = Instant::now();
    let working = Working::start(&broker, JobKind::RefreshDue, 256, hands);
    assert_eq!(ids(&mut told, count).await, wanted);
    let worked = start.elapsed();
    working.stop().await;
    let rate = |elapsed: std::time::Duration| f64::from(u32::try_from(count).unwrap()) / elapsed.as_secs_f64();
    println!("published {:.0}/s, worked {:.0}/s", rate(published), rate(worked));
    until_depth(&broker, JobKind::RefreshDue, 0).await;
    broker.close().await;
}

#[tokio::test]
async fn kinds_do_not_mix() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let (slow, fast) = (due(), force());
    broker.queue().publish(vec![slow.clone(), fast.clone()]).await.unwrap();
    let (hands, mut told) = Hands::quick();
    let working = Working::start(&broker, JobKind::ForceRefresh, 2, hands);
    assert_eq!(soon(told.recv()).await.unwrap(), fast);
    working.stop().await;
    assert_eq!(broker.queue().depth(JobKind::RefreshDue).await.unwrap(), 1);
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn no_more_are_in_hand_than_asked_for() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    broker.queue().publish(many(10, due)).await.unwrap();
    let (hands, mut told) = Hands::slow(0);
    let working = Working::start(&broker, JobKind::RefreshDue, 3, hands.clone());
    ids(&mut told, 3).await;
    until_depth(&broker, JobKind::RefreshDue, 7).await;
    assert!(told.try_recv().is_err());
    hands.ends.add_permits(1);
    ids(&mut told, 1).await;
    hands.ends.add_permits(100);
    ids(&mut told, 6).await;
    working.stop().await;
    until_depth(&broker, JobKind::RefreshDue, 0).await;
}

#[tokio::test]
async fn a_stop_gives_back_what_is_waiting_and_finishes_what_is_in_hand() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    broker.queue().publish(many(10, due)).await.unwrap();
    let (hands, mut told) = Hands::slow(0);
    let working = Working::start(&broker, JobKind::RefreshDue, 4, hands.clone());
    ids(&mut told, 4).await;
    // One more was sent ahead.
    until_depth(&broker, JobKind::RefreshDue, 5).await;
    working.stop.cancel();
    until_depth(&broker, JobKind::RefreshDue, 6).await;
    hands.ends.add_permits(4);
    working.stop().await;
    assert!(told.try_recv().is_err(), "nothing is begun after a stop");
    until_depth(&broker, JobKind::RefreshDue, 6).await;

    let (hands, mut told) = Hands::quick();
    let working = Working::start(&broker, JobKind::RefreshDue, 4, hands);
    ids(&mut told, 6).await;
    working.stop().await;
    until_depth(&broker, JobKind::RefreshDue, 0).await;
}

#[tokio::test]
async fn jobs_that_come_again_together_are_parted() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let jobs = many(512, due);
    let wanted: HashSet<_> = jobs.iter().map(|job| job.id).collect();
    broker.queue().publish(jobs).await.unwrap();
    until_depth(&broker, JobKind::RefreshDue, 64).await;
    let (lost, hand) = place.by_hand().await;
    let (queue, tag) = (place.topology().queue(JobKind::RefreshDue), "".into());
    let _taken = hand.basic_consume(queue.into(), tag, BasicConsumeOptions::default(), FieldTable::default()).await;
    until_depth(&broker, JobKind::RefreshDue, 0).await;
    lost.close(200, "it died".into()).await.unwrap();
    until_depth(&broker, JobKind::RefreshDue, 64).await;

    let (hands, mut told) = Hands::slow(0);
    let working = Working::start(&broker, JobKind::RefreshDue, 1, hands.clone());
    let mut done = ids(&mut told, 1).await;
    until_depth(&broker, JobKind::RefreshDue, 511).await;
    hands.ends.add_permits(512);
    done.extend(ids(&mut told, 511).await);
    assert_eq!(done, wanted);
    working.stop().await;
    until_depth(&broker, JobKind::RefreshDue, 0).await;
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_pack_gives_the_whole_back() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let jobs = many(512, due);
    let wanted: HashSet<_> = jobs.iter().map(|job| job.id).collect();
    broker.queue().publish(jobs).await.unwrap();
    let (hands, mut told) = Hands::slow(0);
    let working = Working::start(&broker, JobKind::RefreshDue, 2, hands.clone());
    ids(&mut told, 2).await;
    working.stop.cancel();
    hands.ends.add_permits(2);
    working.stop().await;
    assert!(told.try_recv().is_err(), "nothing is begun after a stop");
    until_depth(&broker, JobKind::RefreshDue, 64).await;

    let (hands, mut told) = Hands::quick();
    let working = Working::start(&broker, JobKind::RefreshDue, 64, hands);
    assert_eq!(ids(&mut told, 512).await, wanted, "the two that were done come again too");
    working.stop().await;
    until_depth(&broker, JobKind::RefreshDue, 0).await;
}

#[tokio::test]
async fn a_straggler_keeps_nobody_elses_ack() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    broker.queue().publish(vec![due()]).await.unwrap();
    let straggler = Arc::new(FirstWaits::default());
    let working = Working::start(&broker, JobKind::RefreshDue, 4, straggler.clone());
    soon(straggler.begun.notified()).await;
    broker.queue().publish(many(200, due)).await.unwrap();
    // The broker sends 5 ahead of their acks: were these held back by the first, the others would stop coming.
    soon(straggler.others.acquire_many(200)).await.unwrap().forget();
    straggler.end.notify_one();
    working.stop().await;
    until_depth(&broker, JobKind::RefreshDue, 0).await;
}

/// The first job waits for its end; the others are counted.
struct FirstWaits {
    seen: AtomicUsize,
    begun: tokio::sync::Notify,
    end: tokio::sync::Notify,
    others: tokio::sync::Semaphore,
}

impl Default for FirstWaits {
    fn default() -> Self {
        let (begun, end) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
        Self { seen: AtomicUsize::new(0), begun, end, others: tokio::sync::Semaphore::new(0) }
    }
}

#[async_trait]
impl JobHandler for FirstWaits {
    async fn handle(&self, _: Job) -> Fate {
        if self.seen.fetch_add(1, Ordering::SeqCst) == 0 {
            self.begun.notify_one();
            self.end.notified().await;
        } else {
            self.others.add_permits(1);
        }
        Fate::Done
    }
}

#[tokio::test]
async fn what_is_put_back_comes_again() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let job = due();
    broker.queue().publish(vec![job.clone()]).await.unwrap();
    let (hands, mut told) = Hands::new(1, Fate::PutBack);
    let working = Working::start(&broker, JobKind::RefreshDue, 1, hands.clone());
    assert_eq!(soon(told.recv()).await.unwrap(), job);
    assert_eq!(soon(told.recv()).await.unwrap(), job);
    working.stop.cancel();
    hands.ends.add_permits(1);
    working.stop().await;
    until_depth(&broker, JobKind::RefreshDue, 1).await;
}

#[tokio::test]
async fn a_panicking_handler_ends_its_job_and_nothing_else() {
    struct Panics(tokio::sync::mpsc::UnboundedSender<Job>);

    #[async_trait]
    impl JobHandler for Panics {
        async fn handle(&self, job: Job) -> Fate {
            self.0.send(job).unwrap();
            panic!("a defect");
        }
    }

    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    broker.queue().publish(many(3, due)).await.unwrap();
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    let working = Working::start(&broker, JobKind::RefreshDue, 1, Arc::new(Panics(sender)));
    ids(&mut told, 3).await;
    working.stop().await;
    until_depth(&broker, JobKind::RefreshDue, 0).await;
    let dead = broker.check().await.unwrap().pop().unwrap();
    assert_eq!((dead.name, dead.waiting), (place.topology().dead_letter_queue(), 0));
}
