//! Those who wait, against memory ports and real workers, with time and failures in the test's hands.

mod force;
mod pauses;
mod tokens;
mod troubles;

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::connection::{Connection, IfPresent, NewConnection, Stored};
use evergrant_contract::ids::{ConnectionId, ProcessId, Version};
use evergrant_contract::job::{ForceReason, Job, Payload};
use evergrant_contract::ports::{Clock as _, Connections as _};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::{BackOff, after};
use evergrant_testkit::{
    FixedChance, ManualClock, MemoryEvents, MemoryQueue, MemorySpool, MemoryStore, ScriptedProvider,
};
use evergrant_workers::{WorkerSettings, Workers};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Ask, Waited, Waits};
use crate::settings::ForceSettings;

const SECOND: Duration = Duration::from_secs(1);

const SETTINGS: ForceSettings = ForceSettings {
    deadline: Duration::from_secs(10),
    waiters_max: 2_000,
    cool_down: Duration::from_secs(5),
    fresh: Duration::from_mins(1),
};

const WORKERS: WorkerSettings = WorkerSettings {
    concurrency_due: 1,
    concurrency_force: 4,
    lease: Duration::from_secs(45),
    takeover_grace: Duration::from_secs(10),
    tries: 1,
    commit_budget: Duration::from_secs(5),
    admit_patience: SECOND,
    rest_after: None,
    buffer: Duration::from_mins(15),
    back_off: BackOff { first: Duration::from_secs(15), cap: Duration::from_mins(30) },
    max_attempts: 3,
    outage_probe_every: Duration::from_secs(5),
    fault_probe_every: Duration::from_mins(1),
};

/// One store, one queue and one provider; as many processes as the test makes.
struct World {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    queue: Arc<MemoryQueue>,
    events: Arc<MemoryEvents>,
    provider: Arc<ScriptedProvider>,
    waits: Arc<Waits>,
    stop: CancellationToken,
}

impl World {
    /// An API process that hears the events, and no worker.
    async fn without_workers() -> Self {
        Self::with(SETTINGS).await
    }

    async fn with(settings: ForceSettings) -> Self {
        let clock = ManualClock::new();
        let (store, queue) = (MemoryStore::new(Arc::clone(&clock) as _), MemoryQueue::new(Arc::clone(&clock) as _));
        let (events, provider) = (MemoryEvents::new(), ScriptedProvider::amazon(Arc::clone(&clock) as _));
        let waits = Waits::new(
            Arc::clone(&store) as _,
            Arc::clone(&queue) as _,
            Arc::clone(&events) as _,
            Arc::clone(&clock) as _,
            settings,
        );
        let world = Self { clock, store, queue, events, provider, waits, stop: CancellationToken::new() };
        world.listen(&world.waits).await;
        world
    }

    /// An API process that hears the events, and a worker.
    async fn new() -> Self {
        let world = Self::without_workers().await;
        world.work();
        world
    }

    /// Another API process.
    async fn another_process(&self) -> Arc<Waits> {
        let waits = Waits::new(
            Arc::clone(&self.store) as _,
            Arc::clone(&self.queue) as _,
            Arc::clone(&self.events) as _,
            Arc::clone(&self.clock) as _,
            SETTINGS,
        );
        self.listen(&waits).await;
        waits
    }

    async fn listen(&self, waits: &Arc<Waits>) {
        let before = self.events.subscribers();
        tokio::spawn(Arc::clone(waits).run(self.stop.clone()));
        while self.events.subscribers() == before {
            tokio::task::yield_now().await;
        }
    }

    /// A worker begins to work.
    fn work(&self) {
        let workers = Workers {
            process: ProcessId::generate(),
            settings: WORKERS,
            store: Arc::clone(&self.store) as _,
            queue: Arc::clone(&self.queue) as _,
            events: Arc::clone(&self.events) as _,
            spool: MemorySpool::new(),
            providers: vec![Arc::clone(&self.provider) as _],
            clock: Arc::clone(&self.clock) as _,
            chance: Arc::new(FixedChance(0.0)),
            meter: Arc::default(),
            stop: self.stop.clone(),
            abort: CancellationToken::new(),
        };
        let handler = workers.handler().unwrap();
        tokio::spawn(workers.run(handler));
    }

    /// A connection of version 1 that was never refreshed here, with a token that lasts for so long.
    async fn connection(&self, lasts: Duration) -> ConnectionId {
        let now = self.clock.now();
        let new = NewConnection {
            user: "ada".parse().unwrap(),
            provider: "amazon-na".parse().unwrap(),
            account: ConnectionId::generate().to_string(),
            label: String::new(),
            scopes: String::new(),
            access_token: Some(Secret::new("Atza|first")),
            refresh_token: Some(Secret::new("Atzr|first")),
            expires_at: Some(after(now, lasts)),
            refresh_at: after(now, lasts / 2),
            consent_at: None,
            refresh_expires_at: None,
        };
        match self.store.put(vec![new], IfPresent::Keep).await.unwrap()[..] {
            [Stored::Inserted(id)] => id,
            ref other => panic!("one new connection expected, got {other:?}"),
        }
    }

    async fn row(&self, id: ConnectionId) -> Connection {
        self.store.find(id).await.unwrap().unwrap()
    }

    /// A caller whose token was refused, and who waits.
    fn refused(&self, id: ConnectionId, observed: i64) -> JoinHandle<Waited> {
        begin(&self.waits, ask(id, observed))
    }

    /// Runs until nobody can go on without time moving on.
    async fn settle(&self) {
        self.clock.advance(Duration::ZERO).await;
    }

    /// Moves time on until somebody who waits has an answer.
    async fn answered(&self, caller: JoinHandle<Waited>) -> Waited {
        for _ in 0..1_000 {
            if caller.is_finished() {
                break;
            }
            self.clock.advance(Duration::from_millis(50)).await;
        }
        assert!(caller.is_finished(), "a caller waits for ever");
        caller.await.unwrap()
    }

    /// The jobs that were taken by the queue.
    fn jobs(&self) -> Vec<Job> {
        self.queue.published()
    }
}

fn ask(connection: ConnectionId, observed: i64) -> Ask {
    let reason = ForceReason::Unauthorized;
    Ask { connection, observed: Version::new(observed), reason, patience: None, traceparent: None }
}

fn begin(waits: &Arc<Waits>, ask: Ask) -> JoinHandle<Waited> {
    let waits = Arc::clone(waits);
    tokio::spawn(async move { waits.refresh(ask).await })
}

fn refreshed(version: i64) -> Waited {
    Waited::Refreshed(Version::new(version))
}

/// When nobody waits any more for a job.
fn deadline(job: &Job) -> evergrant_contract::Timestamp {
    match job.payload {
        Payload::ForceRefresh { deadline, .. } => deadline,
        Payload::RefreshDue { .. } => panic!("a forced refresh expected"),
    }
}
