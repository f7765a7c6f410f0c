//! What operators hold back by hand.

use std::time::Duration;

use evergrant_contract::controls::{Drain, Order, Pause, PauseTarget};
use evergrant_contract::event::Outcome;
use evergrant_contract::ids::{AuditId, ProcessId, Version};
use evergrant_contract::job::JobKind;
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::{Clock as _, Controls as _, Fate, JobQueue as _, Offices as _, Peer};
use evergrant_testkit::memory::provider::Reply;

use crate::world::{SECOND, World};

fn amazon() -> PauseTarget {
    PauseTarget::App("amazon-na".parse().unwrap())
}

impl World {
    fn order(&self) -> Order {
        Order { by: "cli ada".to_owned(), why: "a release".to_owned(), at: self.clock.now() }
    }

    fn line(&self, action: Action) -> AuditEntry {
        let Order { by, why, at } = self.order();
        let (subject, outcome) = (String::new(), String::new());
        AuditEntry { id: AuditId::generate(), at, actor: by, action, subject, reason: why, outcome }
    }

    async fn pause(&self, target: PauseTarget) {
        let pause = Pause { target, order: self.order() };
        self.store.pause(&pause, &self.line(Action::Pause)).await.unwrap();
    }

    async fn resume(&self, target: &PauseTarget) {
        self.store.resume(target, &self.line(Action::Resume)).await.unwrap().unwrap();
    }

    /// Moves time along until it holds.
    async fn eventually(&self, what: &str, holds: impl AsyncFn() -> bool) {
        for _ in 0..400 {
            if holds().await {
                return;
            }
            self.clock.advance(SECOND / 4).await;
        }
        panic!("in vain: {what}");
    }

    async fn seconds_pass(&self, seconds: u32) {
        for _ in 0..seconds * 4 {
            self.clock.advance(SECOND / 4).await;
        }
    }
}

#[tokio::test]
async fn no_call_is_made_for_a_paused_connection_and_whoever_waits_is_told() {
    let world = World::new();
    let (paused, free) = (world.connection("paused").await, world.connection("free").await);
    let (due, forced) = (world.due_job(paused).await, world.force_job(paused).await);
    world.pause(PauseTarget::Connection(paused)).await;
    let before = world.row(paused).await;
    for job in [due.clone(), forced, world.due_job(free).await] {
        assert_eq!(world.run(job).await, Fate::Done, "a job in the queue would come back for ever");
    }
    assert_eq!(world.provider.call_count(), 1, "only the other one was refreshed");
    assert_eq!(world.row(paused).await, before, "its state, its failures and its time stand as they stood");
    assert!(world.open_jobs().await.is_empty());
    assert_eq!(world.outcomes(paused), [Outcome::Unavailable], "of the forced one");

    world.resume(&PauseTarget::Connection(paused)).await;
    world.run(due).await;
    assert_eq!(world.row(paused).await.version, Version::new(2));
}

#[tokio::test]
async fn a_paused_app_gives_leases_back_makes_no_call_and_no_probe_and_judges_nobody() {
    let world = World::new();
    world.provider.otherwise(Reply::Rotated);
    let (ada, lost) = (world.connection("ada").await, world.connection("lost").await);
    world.store.mark_undecryptable(lost);
    world.pause(amazon()).await;
    world.handler.look_at_apps().await.unwrap();
    let before = (world.row(ada).await, world.row(lost).await);
    for _ in 0..20 {
        for id in [ada, lost] {
            assert_eq!(world.run(world.due_job(id).await).await, Fate::Done);
            assert_eq!(world.run(world.force_job(id).await).await, Fate::Done);
        }
        world.clock.advance(60 * SECOND).await;
    }
    assert_eq!(world.provider.call_count(), 0);
    assert_eq!((world.row(ada).await, world.row(lost).await), before);
    assert!(world.open_jobs().await.is_empty());

    world.resume(&amazon()).await;
    world.handler.look_at_apps().await.unwrap();
    world.run(world.due_job(ada).await).await;
    assert_eq!(world.row(ada).await.version, Version::new(2));
}

#[tokio::test]
async fn a_held_app_that_is_paused_is_not_probed() {
    let world = World::new();
    world.provider.otherwise(Reply::AppFault);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    let calls = world.provider.call_count();
    world.pause(amazon()).await;
    world.handler.look_at_apps().await.unwrap();
    world.clock.advance(Duration::from_hours(1)).await;
    world.run(world.due_job(id).await).await;
    assert_eq!(world.provider.call_count(), calls, "its turn to be probed has come, and nobody takes it");
    world.resume(&amazon()).await;
    world.handler.look_at_apps().await.unwrap();
    world.provider.otherwise(Reply::Rotated);
    world.run(world.due_job(id).await).await;
    assert_eq!(world.row(id).await.version, Version::new(2));
}

#[tokio::test]
async fn a_worker_that_starts_takes_nothing_of_a_paused_queue_and_goes_on_when_it_is_resumed() {
    let world = World::new();
    let queue = PauseTarget::Queue(JobKind::RefreshDue);
    world.pause(queue.clone()).await;
    let (scheduled, forced) = (world.connection("scheduled").await, world.connection("forced").await);
    world.queue.publish(vec![world.due_job(scheduled).await, world.force_job(forced).await]).await.unwrap();
    let workers = world.workers();
    let handler = workers.handler().unwrap();
    let running = tokio::spawn(workers.run(handler));
    world.eventually("the other queue is worked", async || world.row(forced).await.version == Version::new(2)).await;
    world.seconds_pass(5).await;
    assert_eq!((world.row(scheduled).await.version, world.provider.call_count()), (Version::FIRST, 1));
    assert_eq!(world.queue.depth(JobKind::RefreshDue).await.unwrap(), 1, "it waits where it was");

    world.resume(&queue).await;
    world.eventually("it is worked again", async || world.row(scheduled).await.version == Version::new(2)).await;

    // And the same while it works.
    world.pause(queue.clone()).await;
    world.seconds_pass(2).await;
    world.clock.advance(Duration::from_hours(1)).await;
    world.queue.publish(vec![world.due_job(scheduled).await]).await.unwrap();
    world.seconds_pass(5).await;
    assert_eq!(world.row(scheduled).await.version, Version::new(2));
    world.resume(&queue).await;
    world.eventually("it is worked once more", async || world.row(scheduled).await.version == Version::new(3)).await;
    world.stop.cancel();
    world.eventually("it stops", async || running.is_finished()).await;
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_drained_worker_finishes_what_is_in_hand_says_so_and_takes_nothing_until_it_is_resumed() {
    let world = World::new();
    let workers = world.workers();
    let process = workers.process;
    world.store.announce(&peer(process)).await.unwrap();
    let handler = workers.handler().unwrap();
    let running = tokio::spawn(workers.run(handler));
    world.provider.close_gate();
    let (in_hand, next) = (world.connection("in-hand").await, world.connection("next").await);
    world.queue.publish(vec![world.due_job(in_hand).await]).await.unwrap();
    world.provider.until_waiting(1).await;

    let drain = Drain { order: world.order(), done_at: None };
    world.store.drain(process, &drain, &world.line(Action::DrainWorker)).await.unwrap();
    world.seconds_pass(3).await;
    world.queue.publish(vec![world.due_job(next).await, world.force_job(next).await]).await.unwrap();
    let standing = async || world.store.drain_of(process).await.unwrap();
    assert_eq!(standing().await, Some(drain), "it has a job in hand: it is not done");
    world.provider.open_gate();
    world.eventually("it is done", async || standing().await.is_some_and(|drain| drain.done_at.is_some())).await;
    assert_eq!(world.row(in_hand).await.version, Version::new(2), "what was in hand was finished");
    world.seconds_pass(5).await;
    assert_eq!((world.row(next).await.version, running.is_finished()), (Version::FIRST, false), "it stays up, idle");

    world.store.undrain(process, &world.line(Action::ResumeWorker)).await.unwrap().expect("it was drained");
    world.eventually("it takes jobs", async || world.row(next).await.version == Version::new(2)).await;
    world.stop.cancel();
    world.eventually("it stops", async || running.is_finished()).await;
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_worker_that_cannot_read_the_orders_takes_nothing_before_it_can() {
    let world = World::new();
    world.pause(amazon()).await;
    let id = world.connection("ada").await;
    world.queue.publish(vec![world.due_job(id).await]).await.unwrap();
    world.store.set_down(true);
    let workers = world.workers();
    let handler = workers.handler().unwrap();
    let running = tokio::spawn(workers.run(handler));
    world.seconds_pass(3).await;
    assert_eq!(world.queue.depth(JobKind::RefreshDue).await.unwrap(), 1);
    world.store.set_down(false);
    world.seconds_pass(5).await;
    assert_eq!(world.provider.call_count(), 0, "a restart forgets no pause");
    world.stop.cancel();
    world.eventually("it stops", async || running.is_finished()).await;
    running.await.unwrap().unwrap();
}

fn peer(process: ProcessId) -> Peer {
    Peer {
        process,
        role: "worker".to_owned(),
        primary_key: "key".to_owned(),
        keys: Vec::new(),
        seen_at: evergrant_contract::Timestamp::default(),
        drain: None,
    }
}
