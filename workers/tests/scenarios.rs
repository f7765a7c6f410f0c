//! Whole jobs against memory ports: each row of the path's rules, with time and failures in the test's hands.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a broken expectation must end the test")]

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::app::AppState;
use evergrant_contract::connection::{Connection, IfPresent, LeaseRequest, Leased, NewConnection, Stored};
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::ids::{ConnectionId, ProcessId, Version};
use evergrant_contract::job::{ForceReason, Job, Payload};
use evergrant_contract::ports::{
    Apps as _, Clock as _, Connections as _, FailedJobs as _, Fate, JobHandler as _, Leases as _,
};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::{BackOff, after};
use evergrant_contract::verdict::{Confirmation, ProviderPolicy, Rotation};
use evergrant_testkit::memory::provider::Reply;
use evergrant_testkit::{
    FixedChance, ManualClock, MemoryEvents, MemoryQueue, MemorySpool, MemoryStore, ScriptedProvider,
};
use evergrant_workers::{RefreshHandler, WorkerSettings, Workers};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

const SETTINGS: WorkerSettings = WorkerSettings {
    concurrency_due: 8,
    concurrency_force: 2,
    lease: Duration::from_secs(45),
    takeover_grace: Duration::from_secs(10),
    tries: 2,
    commit_budget: Duration::from_secs(5),
    admit_patience: SECOND,
    buffer: Duration::from_mins(15),
    back_off: BackOff { first: Duration::from_secs(15), cap: Duration::from_mins(30) },
    max_attempts: 3,
    outage_probe_every: Duration::from_secs(5),
    fault_probe_every: Duration::from_mins(1),
};

struct World {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    queue: Arc<MemoryQueue>,
    events: Arc<MemoryEvents>,
    spool: Arc<MemorySpool>,
    provider: Arc<ScriptedProvider>,
    stop: CancellationToken,
    abort: CancellationToken,
    handler: RefreshHandler,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::new();
        let provider = ScriptedProvider::amazon(Arc::clone(&clock) as _);
        Self::with(clock, provider)
    }

    fn strict() -> Self {
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

    fn with(clock: Arc<ManualClock>, provider: Arc<ScriptedProvider>) -> Self {
        let (store, queue) = (MemoryStore::new(Arc::clone(&clock) as _), MemoryQueue::new(Arc::clone(&clock) as _));
        let (events, spool) = (MemoryEvents::new(), MemorySpool::new());
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let workers = workers(&clock, &store, &queue, &events, &spool, &provider, &stop, &abort);
        let handler = workers.handler().unwrap();
        Self { clock, store, queue, events, spool, provider, stop, abort, handler }
    }

    /// Another process over the same store, queue and provider.
    fn workers(&self) -> Workers {
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
    async fn connection(&self, user: &str) -> ConnectionId {
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

    async fn row(&self, id: ConnectionId) -> Connection {
        self.store.find(id).await.unwrap().unwrap()
    }

    async fn due_job(&self, id: ConnectionId) -> Job {
        let row = self.row(id).await;
        let refresh_at = row.refresh_at.unwrap_or(self.clock.now());
        Job::new(Payload::RefreshDue { connection: id, version: row.version, refresh_at })
    }

    async fn force_job(&self, id: ConnectionId) -> Job {
        let row = self.row(id).await;
        Job::new(Payload::ForceRefresh {
            connection: id,
            observed_version: row.version,
            refresh_at: row.refresh_at.unwrap_or(self.clock.now()),
            reason: ForceReason::Unauthorized,
            deadline: after(self.clock.now(), 10 * SECOND),
        })
    }

    fn begin(&self, job: Job) -> JoinHandle<Fate> {
        let handler = self.handler.clone();
        tokio::spawn(async move { handler.handle(job).await })
    }

    /// Does a job to its end, moving time along as it sleeps.
    async fn run(&self, job: Job) -> Fate {
        let job = self.begin(job);
        self.finish(job).await
    }

    async fn finish(&self, job: JoinHandle<Fate>) -> Fate {
        for _ in 0..600 {
            if job.is_finished() {
                return job.await.unwrap();
            }
            self.clock.advance(SECOND / 4).await;
        }
        panic!("the job does not end");
    }

    fn outcomes(&self, id: ConnectionId) -> Vec<Outcome> {
        let outcome = |event| match event {
            Event::Connection { connection, outcome, .. } if connection == id => Some(outcome),
            _ => None,
        };
        self.events.published().into_iter().filter_map(outcome).collect()
    }

    async fn app_state(&self) -> AppState {
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
        stop: stop.clone(),
        abort: abort.clone(),
    }
}

#[tokio::test]
async fn a_due_token_is_refreshed_once_however_often_its_job_is_delivered() {
    let world = World::new();
    let id = world.connection("ada").await;
    let sent_at = world.clock.now();
    let job = world.due_job(id).await;
    for _ in 0..3 {
        assert_eq!(world.run(job.clone()).await, Fate::Done);
    }
    assert_eq!(world.provider.call_count(), 1);
    let row = world.row(id).await;
    assert_eq!((row.state, row.version, row.leased_until), (State::Active, Version::new(2), None));
    assert_eq!(row.expires_at, Some(after(sent_at, HOUR)), "counted from before the request was sent");
    assert!(world.store.refresh_token(id).unwrap().same_as(&Secret::new("Atzr|scripted-1")));
    assert_eq!(world.outcomes(id), [Outcome::Refreshed]);
}

#[tokio::test]
async fn an_answer_without_a_refresh_token_keeps_the_stored_one() {
    let world = World::new();
    world.provider.then([Reply::Refreshed]);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    assert!(world.store.refresh_token(id).unwrap().same_as(&Secret::new("Atzr|ada")));
}

#[tokio::test]
async fn a_hiccup_is_tried_again_within_the_job() {
    let world = World::new();
    world.provider.then([Reply::Transient, Reply::Rotated]);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    let row = world.row(id).await;
    assert_eq!((row.version, row.failures, row.last_error), (Version::new(2), 0, None));
    assert_eq!(world.store.attempts(id, 10).await.unwrap().len(), 1, "the failed call is kept");
}

#[tokio::test]
async fn a_job_that_fails_backs_off_in_the_row_and_its_second_delivery_does_not_retry() {
    let world = World::new();
    world.provider.otherwise(Reply::Transient);
    let id = world.connection("ada").await;
    let job = world.due_job(id).await;
    world.run(job.clone()).await;
    let row = world.row(id).await;
    assert_eq!((row.state, row.failures, row.version), (State::Active, 1, Version::FIRST));
    assert!(row.refresh_at.unwrap() > world.clock.now());
    assert_eq!(row.last_error.as_deref(), Some("scripted: server_error"));
    world.run(job).await;
    assert_eq!(world.provider.call_count(), 2, "two quick tries of one job");
}

#[tokio::test]
async fn after_max_attempts_the_connection_fails_with_one_failed_job_and_success_heals_it() {
    let world = World::new();
    world.provider.otherwise(Reply::Transient);
    let id = world.connection("ada").await;
    for _ in 0..4 {
        world.run(world.due_job(id).await).await;
    }
    let row = world.row(id).await;
    assert_eq!((row.state, row.reason), (State::Failing, Some(Reason::AttemptsExhausted)));
    let failed = world.store.open_jobs(10).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].connection, failed[0].attempts.len()), (Some(id), 2));
    assert!(Job::decode(failed[0].payload.as_bytes()).is_ok(), "the whole job is kept");

    world.provider.otherwise(Reply::Rotated);
    world.run(world.due_job(id).await).await;
    assert_eq!(world.row(id).await.state, State::Active);
}

#[tokio::test]
async fn a_confirmed_invalid_grant_ends_that_connection_and_no_call_is_made_for_it_again() {
    let world = World::new();
    world.provider.then_for("Atzr|ada", [Reply::GrantInvalid, Reply::GrantInvalid]);
    let (ada, bob) = (world.connection("ada").await, world.connection("bob").await);
    let job = world.due_job(ada).await;
    world.run(job.clone()).await;
    world.run(world.due_job(bob).await).await;
    let row = world.row(ada).await;
    assert_eq!((row.state, row.reason, row.refresh_at), (State::NeedsReauth, Some(Reason::GrantInvalid), None));
    assert_eq!(world.row(bob).await.state, State::Active);
    let calls = world.provider.calls();
    assert_eq!((calls[1].at - calls[0].at).num_seconds(), 3, "confirmed once more a few seconds later");
    world.run(job).await;
    world.run(world.force_job(ada).await).await;
    assert_eq!(world.provider.call_count(), 3);
    assert_eq!(world.outcomes(ada), [Outcome::NeedsReauth, Outcome::NeedsReauth]);
    assert!(world.store.access_token(ada).await.unwrap().is_none(), "its tokens are out of use");
}

#[tokio::test]
async fn an_invalid_grant_that_is_not_confirmed_ends_nothing() {
    let world = World::new();
    world.provider.then([Reply::GrantInvalid, Reply::Rotated]);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    assert_eq!(world.row(id).await.state, State::Active);
}

#[tokio::test]
async fn an_invalid_grant_of_a_lost_race_judges_nobody() {
    let world = World::new();
    let id = world.connection("ada").await;
    world.provider.then([Reply::GrantInvalid, Reply::GrantInvalid]);
    world.provider.close_gate();
    let job = world.begin(world.due_job(id).await);
    world.provider.until_waiting(1).await;
    // The user consents again while the call is under way.
    let row = world.row(id).await;
    let fresh = NewConnection {
        user: row.user,
        provider: row.provider,
        account: row.account,
        label: String::new(),
        scopes: String::new(),
        access_token: None,
        refresh_token: Some(Secret::new("Atzr|consented")),
        expires_at: None,
        refresh_at: world.clock.now(),
        consent_at: Some(world.clock.now()),
        refresh_expires_at: None,
    };
    world.store.put(vec![fresh], IfPresent::Replace).await.unwrap();
    world.provider.open_gate();
    world.finish(job).await;
    let row = world.row(id).await;
    assert_eq!((row.state, row.version), (State::Active, Version::new(2)));
    assert!(world.store.refresh_token(id).unwrap().same_as(&Secret::new("Atzr|consented")));
}

#[tokio::test]
async fn an_outage_holds_the_app_costs_no_connection_anything_and_heals_by_a_probe() {
    let world = World::new();
    world.provider.otherwise(Reply::Transient);
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(world.connection(&format!("user-{n}")).await);
    }
    for id in &ids {
        world.run(world.due_job(*id).await).await;
    }
    assert_eq!(world.app_state().await, AppState::Outage);
    let calls_when_held = world.provider.call_count();
    assert!(calls_when_held <= 8, "{calls_when_held} calls until the breaker tripped and the first probes");

    // A day of outage: every due connection is tried again and again by a scheduler that knows nothing.
    for _ in 0..200 {
        world.clock.advance(5 * SECOND).await;
        for id in ids.iter().take(3) {
            world.run(world.due_job(*id).await).await;
        }
    }
    for id in &ids {
        let row = world.row(*id).await;
        assert_eq!((row.state, row.version), (State::Active, Version::FIRST), "failures: {}", row.failures);
        assert!(row.failures <= 1, "only who failed before the breaker tripped has it on record");
    }
    assert!(world.store.open_jobs(10).await.unwrap().is_empty());

    world.provider.otherwise(Reply::Rotated);
    world.clock.advance(10 * SECOND).await;
    for id in &ids {
        world.run(world.due_job(*id).await).await;
    }
    assert_eq!(world.app_state().await, AppState::Open);
    for id in &ids {
        world.run(world.due_job(*id).await).await;
        assert_eq!(world.row(*id).await.failures, 0);
    }
}

#[tokio::test]
async fn a_refused_client_secret_pauses_the_app_says_so_once_and_touches_no_connection() {
    let world = World::new();
    world.provider.otherwise(Reply::AppFault);
    let (ada, bob) = (world.connection("ada").await, world.connection("bob").await);
    let before = (world.row(ada).await, world.row(bob).await);
    for id in [ada, bob, ada, bob] {
        world.run(world.due_job(id).await).await;
    }
    assert_eq!(world.provider.call_count(), 1, "held after the first refusal");
    assert_eq!(world.app_state().await, AppState::Fault);
    let announced = world.events.published().into_iter().filter(|event| matches!(event, Event::App { .. })).count();
    assert_eq!(announced, 1);
    assert_eq!((world.row(ada).await, world.row(bob).await), before);

    world.provider.otherwise(Reply::Rotated);
    world.clock.advance(61 * SECOND).await;
    for id in [ada, bob] {
        world.run(world.due_job(id).await).await;
    }
    assert_eq!(world.app_state().await, AppState::Open);
    assert_eq!(world.row(bob).await.version, Version::new(2));
}

#[tokio::test]
async fn a_pause_that_the_provider_asks_for_is_kept_to_and_counts_as_nothing() {
    let world = World::new();
    world.provider.then([Reply::Throttled(Some(120 * SECOND))]);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    let row = world.row(id).await;
    assert_eq!((row.state, row.failures), (State::Active, 0));
    assert!(row.refresh_at.unwrap() >= after(world.clock.now(), 120 * SECOND));
}

#[tokio::test]
async fn a_used_up_rate_limit_makes_no_call_and_counts_as_nothing() {
    let world = World::new();
    world.provider.set_admission(Err(7 * SECOND));
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    let row = world.row(id).await;
    assert_eq!((world.provider.call_count(), row.failures, row.state), (0, 0, State::Active));
    assert!(row.refresh_at.unwrap() >= after(world.clock.now(), 7 * SECOND));
}

#[tokio::test]
async fn an_answer_is_held_until_the_store_is_back() {
    let world = World::strict();
    let id = world.connection("ada").await;
    world.provider.close_gate();
    let job = world.begin(world.due_job(id).await);
    world.provider.until_waiting(1).await;
    world.store.set_down(true);
    world.provider.open_gate();
    world.clock.until_asleep(1).await;
    world.clock.advance(300 * SECOND).await;
    assert!(!job.is_finished(), "far past the lease it still holds the answer");
    world.store.set_down(false);
    world.finish(job).await;
    assert_eq!(world.row(id).await.version, Version::new(2));
    assert_eq!(world.provider.call_count(), 1);
}

#[tokio::test]
async fn the_holder_of_an_answer_wins_against_a_taker_when_the_store_comes_back() {
    let world = World::strict();
    let id = world.connection("ada").await;
    world.provider.close_gate();
    let due = world.due_job(id).await;
    let job = world.begin(due.clone());
    world.provider.until_waiting(1).await;
    world.store.set_down(true);
    world.provider.open_gate();
    world.clock.until_asleep(1).await;
    world.clock.advance(SETTINGS.lease * 2).await;
    world.store.set_down(false);
    // The taker is first to reach the store, and finds the lease lapsed.
    let taker = world.workers().handler().unwrap();
    assert_eq!(taker.handle(due).await, Fate::Done);
    world.finish(job).await;
    assert_eq!(world.row(id).await.version, Version::new(2));
    assert_eq!(world.provider.call_count(), 1);
    world.provider.assert_nothing_spent_twice();
}

#[tokio::test]
async fn an_answer_that_cannot_be_stored_before_the_end_is_spooled_and_adopted_at_the_next_start() {
    let world = World::strict();
    let id = world.connection("ada").await;
    world.provider.close_gate();
    let job = world.begin(world.due_job(id).await);
    world.provider.until_waiting(1).await;
    world.store.set_down(true);
    world.provider.open_gate();
    world.clock.until_asleep(1).await;
    world.stop.cancel();
    world.abort.cancel();
    assert_eq!(job.await.unwrap(), Fate::Done);
    assert_eq!(world.spool.len(), 1);

    world.store.set_down(false);
    let stop = CancellationToken::new();
    let workers = Workers { stop: stop.clone(), abort: CancellationToken::new(), ..world.workers() };
    let handler = workers.handler().unwrap();
    let running = tokio::spawn(workers.run(handler));
    for _ in 0..100 {
        world.clock.advance(SECOND).await;
        if world.spool.is_empty() {
            break;
        }
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    assert!(world.spool.is_empty());
    assert_eq!(world.row(id).await.version, Version::new(2));
    assert_eq!(world.provider.call_count(), 1);
}

#[tokio::test]
async fn a_lease_whose_holder_died_is_taken_over_and_the_lost_reply_is_reported() {
    let world = World::strict();
    let id = world.connection("ada").await;
    let due = world.due_job(id).await;
    let dead = ProcessId::generate();
    let request = LeaseRequest {
        connection: id,
        version: Version::FIRST,
        seen_refresh_at: None,
        owner: dead,
        ttl: SETTINGS.lease,
        takeover_grace: SETTINGS.takeover_grace,
    };
    assert!(matches!(world.store.acquire(request).await.unwrap(), Leased::Held(_)));
    for wait in [SETTINGS.lease, SETTINGS.takeover_grace] {
        world.run(due.clone()).await;
        assert_eq!(world.provider.call_count(), 0);
        world.clock.advance(wait + SECOND).await;
        world.run(due.clone()).await;
    }
    assert_eq!(world.row(id).await.version, Version::new(2));
    let attempts = world.store.attempts(id, 10).await.unwrap();
    assert!(attempts[0].trace.ambiguous);
    assert!(attempts[0].trace.message.contains(&dead.to_string()), "{}", attempts[0].trace.message);
}

#[tokio::test]
async fn a_strictly_rotating_provider_is_asked_once_more_after_a_lost_reply_and_no_more() {
    let world = World::strict();
    world.provider.otherwise(Reply::Lost);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    assert_eq!(world.provider.call_count(), 2);
    let row = world.row(id).await;
    assert_eq!((row.state, row.failures), (State::Active, 1), "a lost reply is no end of a grant");
}

#[tokio::test]
async fn success_without_a_usable_token_keeps_the_tokens_and_the_answer() {
    let world = World::new();
    world.provider.then([Reply::Unusable(r#"{"refresh_token":"Atzr|odd"}"#)]);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    let row = world.row(id).await;
    assert_eq!((row.version, row.failures), (Version::FIRST, 1));
    assert!(world.store.refresh_token(id).unwrap().same_as(&Secret::new("Atzr|ada")));
    assert!(world.store.unread_answer(id).unwrap().same_as(&Secret::new(r#"{"refresh_token":"Atzr|odd"}"#)));
}

#[tokio::test]
async fn an_undecryptable_row_is_put_out_of_use_and_comes_back_with_its_key() {
    let world = World::new();
    let id = world.connection("ada").await;
    world.store.mark_undecryptable(id);
    world.run(world.due_job(id).await).await;
    let row = world.row(id).await;
    assert_eq!((row.state, row.reason), (State::NeedsReauth, Some(Reason::Undecryptable)));
    assert_eq!(world.provider.call_count(), 0);

    world.store.mark_decryptable(id);
    assert_eq!(world.store.restore_decryptable(world.clock.now()).await.unwrap(), 1);
    world.run(world.due_job(id).await).await;
    assert_eq!(world.row(id).await.version, Version::new(2));
}

#[tokio::test]
async fn many_forced_refreshes_of_one_version_are_one_call() {
    let world = World::strict();
    let id = world.connection("ada").await;
    let job = world.force_job(id).await;
    let jobs: Vec<_> = (0..50).map(|_| world.begin(Job::new(job.payload.clone()))).collect();
    for job in jobs {
        world.finish(job).await;
    }
    assert_eq!(world.provider.call_count(), 1);
    assert!(world.outcomes(id).contains(&Outcome::Refreshed));
}

#[tokio::test]
async fn one_failed_attempt_answers_all_who_asked_before_it() {
    let world = World::new();
    world.provider.otherwise(Reply::Throttled(None));
    let id = world.connection("ada").await;
    let job = world.force_job(id).await;
    for _ in 0..10 {
        world.run(Job::new(job.payload.clone())).await;
    }
    assert_eq!(world.provider.call_count(), 1);
    assert_eq!(world.outcomes(id), vec![Outcome::Unavailable; 10]);
}

#[tokio::test]
async fn a_forced_refresh_of_an_old_version_is_answered_without_a_call() {
    let world = World::new();
    let id = world.connection("ada").await;
    let stale = world.force_job(id).await;
    world.run(world.due_job(id).await).await;
    world.run(stale).await;
    assert_eq!(world.provider.call_count(), 1);
    assert_eq!(world.outcomes(id), [Outcome::Refreshed, Outcome::Refreshed]);
}

#[tokio::test]
async fn nobody_waits_past_the_deadline_so_the_job_is_dropped() {
    let world = World::new();
    let id = world.connection("ada").await;
    let job = world.force_job(id).await;
    world.clock.advance(10 * SECOND).await;
    world.run(job).await;
    assert_eq!(world.provider.call_count(), 0);
}

#[tokio::test]
async fn whoever_waits_may_go_away_the_refresh_goes_on() {
    let world = World::new();
    let id = world.connection("ada").await;
    world.provider.close_gate();
    let waiting = world.begin(world.due_job(id).await);
    world.provider.until_waiting(1).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    world.provider.open_gate();
    for _ in 0..100 {
        world.clock.advance(SECOND).await;
    }
    assert_eq!(world.row(id).await.version, Version::new(2));
}

#[tokio::test]
async fn a_job_waits_for_a_store_that_is_away_and_goes_back_to_the_queue_at_shutdown() {
    let world = World::new();
    let id = world.connection("ada").await;
    let job = world.due_job(id).await;
    world.store.set_down(true);
    let waiting = world.begin(job.clone());
    world.clock.until_asleep(1).await;
    world.stop.cancel();
    assert_eq!(waiting.await.unwrap(), Fate::PutBack);
}
