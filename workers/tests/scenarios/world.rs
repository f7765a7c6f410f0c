//! Memory ports around a worker, with time and failures in the test's hands.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::app::AppState;
use evergrant_contract::connection::{Connection, IfPresent, NewConnection, Stored};
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::failed_job::{FailedJob, FailedJobFilter, FailedJobState};
use evergrant_contract::ids::{ConnectionId, ProcessId};
use evergrant_contract::job::{ForceReason, Job, Payload};
use evergrant_contract::ports::{Apps as _, Clock as _, Connections as _, Fate, JobHandler as _, Operations as _};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::{BackOff, after};
use evergrant_contract::verdict::{Confirmation, ProviderPolicy, Rotation};
use evergrant_testkit::{
    FixedChance, ManualClock, MemoryEvents, MemoryQueue, MemorySpool, MemoryStore, ScriptedProvider,
};
use evergrant_workers::{RefreshHandler, WorkerSettings, Workers};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);

pub(crate) const SETTINGS: WorkerSettings = WorkerSettings {
    concurrency_due: 8,
    concurrency_force: 2,
    lease: Duration::from_secs(45),
    takeover_grace: Duration::from_secs(10),
    tries: 2,
    commit_budget: Duration::from_secs(5),
    admit_patience: SECOND,
    rest_after: None,
    buffer: Duration::from_mins(15),
    back_off: BackOff { first: Duration::from_secs(15), cap: Duration::from_mins(30) },
    max_attempts: 3,
    outage_probe_every: Duration::from_secs(5),
    fault_probe_every: Duration::from_mins(1),
};

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) queue: Arc<MemoryQueue>,
    pub(crate) events: Arc<MemoryEvents>,
    pub(crate) spool: Arc<MemorySpool>,
    pub(crate) provider: Arc<ScriptedProvider>,
    pub(crate) stop: CancellationToken,
    pub(crate) abort: CancellationToken,
    pub(crate) handler: RefreshHandler,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::new();
        let provider = ScriptedProvider::amazon(Arc::clone(&clock) as _);
        Self::with(clock, provider)
    }

    pub(crate) fn strict() -> Self {
        let clock = ManualClock::new();
        let policy = ProviderPolicy {
            name: "amazon-na".parse().unwrap(),
            rotation: Rotation::Strict,
            confirmation: Confirmation::InJob { after_ms: 3_000 },
            margin_share_percent: 25,
            call_timeout: Duration::from_secs(10),
        };
        let provider = ScriptedProvider::new(policy, Arc::clone(&clock) as _);
        Self::with(clock, provider)
    }

    pub(crate) fn with(clock: Arc<ManualClock>, provider: Arc<ScriptedProvider>) -> Self {
        let (store, queue) = (MemoryStore::new(Arc::clone(&clock) as _), MemoryQueue::new(Arc::clone(&clock) as _));
        let (events, spool) = (MemoryEvents::new(), MemorySpool::new());
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let workers = workers(&clock, &store, &queue, &events, &spool, &provider, &stop, &abort);
        let handler = workers.handler().unwrap();
        Self { clock, store, queue, events, spool, provider, stop, abort, handler }
    }

    /// Another process over the same store, queue and provider.
    pub(crate) fn workers(&self) -> Workers {
        workers(
            &self.clock,
            &self.store,
            &self.queue,
            &self.events,
            &self.spool,
            &self.provider,
            &self.stop,
            &self.abort,
        )
    }

    /// A connection that is due now, with the refresh token `Atzr|<user>`.
    pub(crate) async fn connection(&self, user: &str) -> ConnectionId {
        let now = self.clock.now();
        let new = NewConnection {
            user: user.parse().unwrap(),
            provider: "amazon-na".parse().unwrap(),
            account: String::new(),
            label: String::new(),
            scopes: String::new(),
            access_token: Some(Secret::new(format!("Atza|{user}"))),
            refresh_token: Some(Secret::new(format!("Atzr|{user}"))),
            expires_at: Some(after(now, 60 * SECOND)),
            refresh_at: now,
            consent_at: None,
            refresh_expires_at: None,
        };
        match self.store.put(vec![new], IfPresent::Keep).await.unwrap()[..] {
            [Stored::Inserted(id)] => id,
            ref other => panic!("one new connection expected, got {other:?}"),
        }
    }

    pub(crate) async fn row(&self, id: ConnectionId) -> Connection {
        self.store.find(id).await.unwrap().unwrap()
    }

    /// What nobody has dealt with, newest first.
    pub(crate) async fn open_jobs(&self) -> Vec<FailedJob> {
        let open = FailedJobFilter { states: vec![FailedJobState::Open], ..FailedJobFilter::default() };
        self.store.failed_jobs(&open, None, 100).await.unwrap()
    }

    pub(crate) async fn due_job(&self, id: ConnectionId) -> Job {
        let row = self.row(id).await;
        let refresh_at = row.refresh_at.unwrap_or(self.clock.now());
        Job::new(Payload::RefreshDue { connection: id, version: row.version, refresh_at })
    }

    pub(crate) async fn force_job(&self, id: ConnectionId) -> Job {
        let row = self.row(id).await;
        Job::new(Payload::ForceRefresh {
            connection: id,
            observed_version: row.version,
            refresh_at: row.refresh_at.unwrap_or(self.clock.now()),
            reason: ForceReason::Unauthorized,
            deadline: after(self.clock.now(), 10 * SECOND),
        })
    }

    pub(crate) fn begin(&self, job: Job) -> JoinHandle<Fate> {
        let handler = self.handler.clone();
        tokio::spawn(async move { handler.handle(job).await })
    }

    /// A job that holds its provider's answer, which the store is not there to take.
    pub(crate) async fn answered_while_the_store_is_away(&self, job: Job) -> JoinHandle<Fate> {
        self.provider.close_gate();
        let job = self.begin(job);
        self.provider.until_waiting(1).await;
        self.store.set_down(true);
        self.provider.open_gate();
        self.clock.until_asleep(1).await;
        job
    }

    /// Does a job to its end, moving time along as it sleeps.
    pub(crate) async fn run(&self, job: Job) -> Fate {
        let job = self.begin(job);
        self.finish(job).await
    }

    pub(crate) async fn finish(&self, job: JoinHandle<Fate>) -> Fate {
        for _ in 0..600 {
            if job.is_finished() {
                return job.await.unwrap();
            }
            self.clock.advance(SECOND / 4).await;
        }
        panic!("the job does not end");
    }

    pub(crate) fn outcomes(&self, id: ConnectionId) -> Vec<Outcome> {
        let outcome = |event| match event {
            Event::Connection { connection, outcome, .. } if connection == id => Some(outcome),
            _ => None,
        };
        self.events.published().into_iter().filter_map(outcome).collect()
    }

    pub(crate) async fn app_state(&self) -> AppState {
        self.store.apps().await.unwrap().first().map_or(AppState::Open, |app| app.state)
    }
}

#[expect(clippy::too_many_arguments, reason = "a test's composition root")]
fn workers(
    clock: &Arc<ManualClock>,
    store: &Arc<MemoryStore>,
    queue: &Arc<MemoryQueue>,
    events: &Arc<MemoryEvents>,
    spool: &Arc<MemorySpool>,
    provider: &Arc<ScriptedProvider>,
    stop: &CancellationToken,
    abort: &CancellationToken,
) -> Workers {
    Workers {
        process: ProcessId::generate(),
        settings: SETTINGS,
        store: Arc::clone(store) as _,
        queue: Arc::clone(queue) as _,
        events: Arc::clone(events) as _,
        spool: Arc::clone(spool) as _,
        providers: vec![Arc::clone(provider) as _],
        clock: Arc::clone(clock) as _,
        chance: Arc::new(FixedChance(0.5)),
        meter: Arc::default(),
        stop: stop.clone(),
        abort: abort.clone(),
    }
}
