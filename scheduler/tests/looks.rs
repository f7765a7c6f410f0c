//! Rounds of the scheduler against memory ports, with time in the test's hands.

#![expect(clippy::unwrap_used, reason = "test code: a broken expectation must end the test")]

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::app::{AppState, Hold};
use evergrant_contract::connection::{IfPresent, NewConnection, Stored};
use evergrant_contract::controls::{Order, Pause, PauseTarget};
use evergrant_contract::ids::{AuditId, ConnectionId, ProcessId, ProviderName};
use evergrant_contract::job::{Job, JobKind};
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::{Apps as _, Clock as _, Connections as _, Controls as _, JobQueue as _, Store};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::after;
use evergrant_scheduler::{Scheduler, SchedulerSettings};
use evergrant_testkit::{ManualClock, MemoryQueue, MemoryStore};
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

const SETTINGS: SchedulerSettings = SchedulerSettings {
    refresh_interval: Duration::from_mins(10),
    wake_check: SECOND,
    page_size: 10,
    publish_rate: 1_000,
    queue_high_water: 50,
    republish_after: Duration::from_mins(1),
    lead_ttl: Duration::from_secs(6),
    retention: Duration::from_hours(24),
};

struct World {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    queue: Arc<MemoryQueue>,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::new();
        let (store, queue) = (MemoryStore::new(Arc::clone(&clock) as _), MemoryQueue::new(Arc::clone(&clock) as _));
        Self { clock, store, queue }
    }

    fn scheduler(&self, settings: SchedulerSettings) -> Scheduler {
        Scheduler::new(
            ProcessId::generate(),
            settings,
            [amazon()],
            Arc::clone(&self.store) as Arc<dyn Store>,
            Arc::clone(&self.queue) as _,
            Arc::clone(&self.clock) as _,
        )
    }

    /// Connections that are due after so long.
    async fn connections(&self, count: usize, due_in: Duration) -> Vec<ConnectionId> {
        let refresh_at = after(self.clock.now(), due_in);
        let new = |_| NewConnection {
            user: ProcessId::generate().to_string().parse().unwrap(),
            provider: amazon(),
            account: String::new(),
            label: String::new(),
            scopes: String::new(),
            access_token: None,
            refresh_token: Some(Secret::new("Atzr|x")),
            expires_at: None,
            refresh_at,
            consent_at: None,
            refresh_expires_at: None,
        };
        let stored = self.store.put((0..count).map(new).collect(), IfPresent::Keep).await.unwrap();
        let id = |stored| match stored {
            Stored::Inserted(id) | Stored::Kept(id) | Stored::Replaced(id) => id,
        };
        stored.into_iter().map(id).collect()
    }

    /// Takes every job out of the queue.
    fn drain(&self) -> Vec<Job> {
        self.queue.take_waiting(JobKind::RefreshDue)
    }

    async fn waiting(&self) -> u64 {
        self.queue.depth(JobKind::RefreshDue).await.unwrap()
    }
}

fn amazon() -> ProviderName {
    "amazon-na".parse().unwrap()
}

#[tokio::test]
async fn what_is_due_is_published_once_while_its_job_is_on_its_way() {
    let world = World::new();
    let ids = world.connections(25, Duration::ZERO).await;
    let mut scheduler = world.scheduler(SETTINGS);
    for _ in 0..5 {
        scheduler.tick().await;
        world.clock.advance(SECOND).await;
    }
    let mut published: Vec<_> = world.drain().iter().map(|job| job.payload.connection()).collect();
    published.sort_unstable();
    assert_eq!(published, ids);
}

#[tokio::test]
async fn a_lost_job_is_published_again_within_seconds_since_the_row_is_still_due() {
    let world = World::new();
    world.connections(3, Duration::ZERO).await;
    let mut scheduler = world.scheduler(SETTINGS);
    scheduler.tick().await;
    assert_eq!(world.drain().len(), 3, "and lost");
    scheduler.tick().await;
    assert_eq!(world.waiting().await, 0);
    world.clock.advance(5 * SECOND).await;
    scheduler.tick().await;
    assert_eq!(world.waiting().await, 3);
}

#[tokio::test]
async fn a_job_that_waits_its_turn_in_the_queue_is_not_doubled_before_it_counts_as_lost() {
    let world = World::new();
    world.connections(3, Duration::ZERO).await;
    let mut scheduler = world.scheduler(SETTINGS);
    let mut waiting = Vec::new();
    for wait in [Duration::ZERO, Duration::from_secs(59), SECOND] {
        world.clock.advance(wait).await;
        scheduler.tick().await;
        waiting.push(world.waiting().await);
    }
    assert_eq!(waiting, [3, 3, 6]);
}

#[tokio::test]
async fn it_sleeps_until_the_earliest_refresh_and_never_longer_than_the_wake_check() {
    let world = World::new();
    let mut scheduler = world.scheduler(SETTINGS);
    assert_eq!(scheduler.tick().await, SECOND, "nothing to wait for");
    world.connections(1, Duration::from_millis(400)).await;
    assert_eq!(scheduler.tick().await, Duration::from_millis(400));
    world.clock.advance(Duration::from_millis(400)).await;
    scheduler.tick().await;
    assert_eq!(world.waiting().await, 1);
}

#[tokio::test]
async fn a_backlog_stays_in_the_rows_and_all_of_it_comes_through() {
    let world = World::new();
    let ids = world.connections(300, Duration::ZERO).await;
    let mut scheduler = world.scheduler(SETTINGS);
    let mut seen = Vec::new();
    for _ in 0..100 {
        scheduler.tick().await;
        let waiting = world.waiting().await;
        assert!(waiting <= SETTINGS.queue_high_water, "{waiting} jobs wait");
        for job in world.drain() {
            let id = job.payload.connection();
            // What a worker does to the row: it is no longer due.
            world.store.disconnect(id).await.unwrap();
            seen.push(id);
        }
        world.clock.advance(SECOND / 10).await;
    }
    seen.sort_unstable();
    assert_eq!(seen, ids, "each once, none starved");
}

#[tokio::test]
async fn publishing_is_a_stream_and_no_burst() {
    let world = World::new();
    world.connections(200, Duration::ZERO).await;
    let settings = SchedulerSettings { publish_rate: 40, queue_high_water: 1_000, ..SETTINGS };
    let mut scheduler = world.scheduler(settings);
    let mut after_each_second = Vec::new();
    for step in 1..=30_u32 {
        scheduler.tick().await;
        world.clock.advance(SECOND / 10).await;
        if step % 10 == 0 {
            after_each_second.push(world.waiting().await);
        }
    }
    assert_eq!(after_each_second, [40, 80, 120]);
}

#[tokio::test]
async fn a_queue_that_is_away_loses_nothing() {
    let world = World::new();
    world.connections(5, Duration::ZERO).await;
    let mut scheduler = world.scheduler(SETTINGS);
    world.queue.set_down(true);
    assert_eq!(scheduler.tick().await, SECOND);
    world.queue.set_down(false);
    world.clock.advance(SECOND).await;
    scheduler.tick().await;
    assert_eq!(world.waiting().await, 5);
}

#[tokio::test]
async fn a_broker_that_lost_its_disk_while_away_is_filled_again_at_once() {
    let world = World::new();
    world.connections(5, Duration::ZERO).await;
    let mut scheduler = world.scheduler(SETTINGS);
    scheduler.tick().await;
    world.drain();
    world.queue.set_down(true);
    world.clock.advance(SECOND).await;
    scheduler.tick().await;
    world.queue.set_down(false);
    world.clock.advance(SECOND).await;
    scheduler.tick().await;
    assert_eq!(world.waiting().await, 5, "long before republish_after");
}

#[tokio::test]
async fn for_a_held_app_nothing_but_a_few_probes_is_published_and_then_the_pace_doubles() {
    let world = World::new();
    world.connections(500, Duration::ZERO).await;
    let hold = Hold {
        state: AppState::Outage,
        probe_at: after(world.clock.now(), 5 * SECOND),
        code: None,
        message: "down".to_owned(),
    };
    world.store.hold(&amazon(), hold, world.clock.now()).await.unwrap();
    let settings = SchedulerSettings { queue_high_water: 10_000, ..SETTINGS };
    let mut scheduler = world.scheduler(settings);
    for _ in 0..5 {
        scheduler.tick().await;
        assert_eq!(world.waiting().await, 0, "it is nobody's turn to probe yet");
        world.clock.advance(SECOND).await;
    }
    scheduler.tick().await;
    assert_eq!(world.drain().len(), 3);
    world.clock.advance(SECOND).await;
    scheduler.tick().await;
    assert_eq!(world.waiting().await, 0, "they are on their way");

    world.store.open(&amazon(), world.clock.now()).await.unwrap();
    let mut published = Vec::new();
    for _ in 0..4 {
        for _ in 0..10 {
            scheduler.tick().await;
            world.clock.advance(SECOND / 10).await;
        }
        published.push(world.drain().len());
    }
    assert!(published.is_sorted(), "{published:?}");
    assert!(published[0] <= 12 && published[3] >= 60, "{published:?}");
}

#[tokio::test]
async fn one_of_two_leads_and_the_other_takes_over_within_seconds() {
    let world = World::new();
    let (mut first, mut second) = (world.scheduler(SETTINGS), world.scheduler(SETTINGS));
    first.tick().await;
    world.connections(4, Duration::ZERO).await;
    second.tick().await;
    assert_eq!(world.waiting().await, 0, "the standby publishes nothing");
    first.tick().await;
    assert_eq!(world.waiting().await, 4);
    drop(first);
    world.connections(2, Duration::ZERO).await;
    let mut waited = Duration::ZERO;
    while world.waiting().await < 6 {
        let nap = second.tick().await;
        world.clock.advance(nap).await;
        waited += nap;
        assert!(waited <= 10 * SECOND, "the standby does not take over");
    }
}

#[tokio::test]
async fn told_to_stop_it_gives_the_office_back() {
    let world = World::new();
    let stop = CancellationToken::new();
    let running = tokio::spawn(world.scheduler(SETTINGS).run(stop.clone()));
    world.clock.until_asleep(1).await;
    stop.cancel();
    running.await.unwrap();
    world.connections(1, Duration::ZERO).await;
    world.scheduler(SETTINGS).tick().await;
    assert_eq!(world.waiting().await, 1, "another leads at once");
}

fn pause(target: PauseTarget, clock: &ManualClock) -> (Pause, AuditEntry) {
    let order = Order { by: "cli ada".to_owned(), why: "a release".to_owned(), at: clock.now() };
    let audit = AuditEntry {
        id: AuditId::generate(),
        at: clock.now(),
        actor: order.by.clone(),
        action: Action::Pause,
        subject: target.subject(),
        reason: order.why.clone(),
        outcome: "done".to_owned(),
    };
    (Pause { target, order }, audit)
}

#[tokio::test]
async fn nothing_of_a_pause_is_published_and_all_of_it_at_once_when_it_is_resumed() {
    let world = World::new();
    world.connections(5, Duration::ZERO).await;
    let mut scheduler = world.scheduler(SETTINGS);
    for target in [PauseTarget::App(amazon()), PauseTarget::Queue(JobKind::RefreshDue)] {
        let (pause, audit) = pause(target, &world.clock);
        world.store.pause(&pause, &audit).await.unwrap();
        for _ in 0..20 {
            assert!(scheduler.tick().await <= SETTINGS.wake_check, "a resumption is noticed soon");
            world.clock.advance(SECOND).await;
        }
        assert_eq!(world.waiting().await, 0, "{}", pause.target);
        world.store.resume(&pause.target, &audit).await.unwrap();
        scheduler.tick().await;
        assert_eq!(world.drain().len(), 5, "{}", pause.target);
    }
}

#[tokio::test]
async fn a_held_app_that_is_paused_is_not_probed() {
    let world = World::new();
    world.connections(5, Duration::ZERO).await;
    let now = world.clock.now();
    let hold = Hold { state: AppState::Outage, probe_at: now, code: None, message: "away".to_owned() };
    world.store.hold(&amazon(), hold, now).await.unwrap();
    let (pause, audit) = pause(PauseTarget::App(amazon()), &world.clock);
    world.store.pause(&pause, &audit).await.unwrap();
    let mut scheduler = world.scheduler(SETTINGS);
    for _ in 0..20 {
        scheduler.tick().await;
        world.clock.advance(SECOND).await;
    }
    assert_eq!(world.waiting().await, 0);
    world.store.resume(&pause.target, &audit).await.unwrap();
    scheduler.tick().await;
    assert_eq!(world.waiting().await, 3, "probes, since it is held still");
}

#[tokio::test]
async fn a_paused_connection_keeps_nobody_from_the_others_and_wakes_nobody() {
    let world = World::new();
    let ids = world.connections(5, Duration::ZERO).await;
    let (pause, audit) = pause(PauseTarget::Connection(ids[2]), &world.clock);
    world.store.pause(&pause, &audit).await.unwrap();
    let mut scheduler = world.scheduler(SETTINGS);
    scheduler.tick().await;
    let mut published: Vec<_> = world.drain().iter().map(|job| job.payload.connection()).collect();
    published.sort_unstable();
    assert_eq!(published, [ids[0], ids[1], ids[3], ids[4]]);
}
