//! The doubles do to a test what it asks of them: their knobs, their logs and their gates.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the steps are test code, though not themselves tests")]

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::connection::{IfPresent, Lease, LeaseRequest, Leased, NewConnection, Settlement, Stored};
use evergrant_contract::event::Event;
use evergrant_contract::failed_job::FailedJobFilter;
use evergrant_contract::ids::{ConnectionId, ProcessId, Version};
use evergrant_contract::job::{ForceReason, Job, JobKind, Payload};
use evergrant_contract::ports::{
    Clock, Connections as _, EventBus as _, FailedJobs, Heard, JobQueue as _, Leases as _, Operations as _,
    Provider as _, QueueError, Spool as _, StoreError,
};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::Reason;
use evergrant_contract::verdict::{Answer, RefreshCall, Verdict, VerdictKind};
use evergrant_testkit::{ManualClock, MemoryEvents, MemoryQueue, MemorySpool, MemoryStore, Reply, ScriptedProvider};
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

fn clock() -> Arc<dyn Clock> {
    ManualClock::new()
}

async fn connect(store: &MemoryStore, clock: &dyn Clock) -> ConnectionId {
    let new = NewConnection {
        user: "user".parse().unwrap(),
        provider: "amazon-na".parse().unwrap(),
        account: String::new(),
        label: String::new(),
        scopes: String::new(),
        access_token: Some(Secret::new("Atza|1")),
        refresh_token: Some(Secret::new("Atzr|1")),
        expires_at: None,
        refresh_at: clock.now(),
        consent_at: None,
        refresh_expires_at: None,
    };
    let [Stored::Inserted(id)] = store.put(vec![new], IfPresent::Keep).await.unwrap()[..] else { panic!("it is new") };
    id
}

fn request(connection: ConnectionId) -> LeaseRequest {
    LeaseRequest {
        connection,
        version: Version::FIRST,
        seen_refresh_at: None,
        owner: ProcessId::generate(),
        ttl: Duration::from_mins(1),
        takeover_grace: Duration::from_mins(1),
        is_awaited: false,
    }
}

fn giving_back(lease: Lease, clock: &dyn Clock) -> Settlement {
    Settlement {
        lease,
        change: None,
        tokens: None,
        unread_answer: None,
        attempts: Vec::new(),
        last_error: None,
        failed_job: None,
        decided_at: clock.now(),
    }
}

fn forced() -> Job {
    let at = ManualClock::new().now();
    let connection = ConnectionId::generate();
    let (observed_version, reason) = (Version::FIRST, ForceReason::Operator);
    Job::new(Payload::ForceRefresh { connection, observed_version, refresh_at: at, reason, deadline: at })
}

async fn spend(provider: &ScriptedProvider, token: &str) -> Answer {
    provider.refresh(RefreshCall { refresh_token: &Secret::new(token), scopes: None }).await
}

#[tokio::test]
async fn a_store_fails_as_often_as_it_is_told_and_writes_nothing_then() {
    let clock = clock();
    let store = MemoryStore::new(Arc::clone(&clock));
    let id = connect(&store, &*clock).await;
    store.fail_next(2);
    for _ in 0..2 {
        assert!(matches!(store.disconnect(id).await, Err(StoreError::Unavailable(_))));
    }
    assert!(store.find(id).await.unwrap().unwrap().state.is_refreshable());
    store.set_down(true);
    assert!(store.find(id).await.unwrap_err().is_transient());
    store.set_down(false);
    assert!(store.find(id).await.is_ok());
}

#[tokio::test]
async fn tokens_that_cannot_be_read_are_unspendable_until_the_key_is_back() {
    let clock = clock();
    let store = MemoryStore::new(Arc::clone(&clock));
    let id = connect(&store, &*clock).await;
    store.mark_undecryptable(id);
    assert!(store.access_token(id).await.unwrap().is_none());
    let Leased::Unspendable { lease, reason, .. } = store.acquire(request(id)).await.unwrap() else {
        panic!("an undecryptable token cannot be spent")
    };
    assert_eq!(reason, Reason::Undecryptable);
    store.settle(giving_back(lease, &*clock)).await.unwrap();
    assert_eq!(store.settlements().len(), 1);
    store.mark_decryptable(id);
    assert!(matches!(store.acquire(request(id)).await.unwrap(), Leased::Held(_)));
}

#[tokio::test]
async fn the_wall_clock_may_jump_without_moving_a_lease() {
    let manual = ManualClock::new();
    let clock: Arc<dyn Clock> = Arc::clone(&manual) as _;
    let store = MemoryStore::new(Arc::clone(&clock));
    let id = connect(&store, &*clock).await;
    let Leased::Held(_) = store.acquire(request(id)).await.unwrap() else { panic!("it is free") };
    let until = store.find(id).await.unwrap().unwrap().leased_until.unwrap();
    assert_eq!(until, clock.now() + Duration::from_mins(1));
    manual.jump(chrono::TimeDelta::days(1));
    for _ in 0..3 {
        assert!(matches!(store.acquire(request(id)).await.unwrap(), Leased::Busy));
    }
    assert_eq!(store.find(id).await.unwrap().unwrap().leased_until, Some(until), "nobody took it over");
}

#[tokio::test]
async fn a_provider_follows_its_script() {
    let provider = ScriptedProvider::amazon(clock());
    provider.then([Reply::Transient, Reply::Throttled(Some(Duration::from_secs(7)))]);
    provider.then_for("Atzr|special", [Reply::GrantInvalid]);
    provider.otherwise(Reply::AppFault);
    let mut kinds = Vec::new();
    for token in ["Atzr|special", "Atzr|any", "Atzr|any", "Atzr|special"] {
        kinds.push(spend(&provider, token).await.verdict.kind());
    }
    let expected = [VerdictKind::GrantInvalid, VerdictKind::Transient, VerdictKind::Throttled, VerdictKind::AppFault];
    assert_eq!(kinds, expected);
    let tokens: Vec<_> = provider.calls().iter().map(|call| call.refresh_token.expose().to_owned()).collect();
    assert_eq!(tokens, ["Atzr|special", "Atzr|any", "Atzr|any", "Atzr|special"]);
    provider.set_admission(Err(Duration::from_secs(3)));
    assert_eq!(provider.admit(JobKind::RefreshDue, Duration::ZERO).await, Err(Duration::from_secs(3)));
}

#[tokio::test]
async fn a_token_is_spent_once_another_has_come_in_its_place() {
    let provider = ScriptedProvider::amazon(clock());
    provider.then([Reply::Transient, Reply::Refreshed, Reply::Rotated, Reply::Transient]);
    for _ in 0..3 {
        spend(&provider, "Atzr|1").await;
    }
    provider.assert_nothing_spent_twice();
    spend(&provider, "Atzr|1").await;
    assert_eq!(provider.calls().iter().map(|call| call.spent_twice).collect::<Vec<_>>(), [false, false, false, true]);

    let provider = ScriptedProvider::amazon(clock());
    provider.then([Reply::SpentAndLost]);
    let lost = spend(&provider, "Atzr|1").await;
    assert!(lost.trace.ambiguous && matches!(lost.verdict, Verdict::Transient));
    spend(&provider, "Atzr|1").await;
    assert!(provider.calls()[1].spent_twice);
}

#[tokio::test]
async fn a_gate_holds_calls_and_two_at_once_spend_twice() {
    let provider = ScriptedProvider::amazon(clock());
    provider.close_gate();
    let call = || {
        let provider = Arc::clone(&provider);
        tokio::spawn(async move { spend(&provider, "Atzr|1").await.verdict.kind() })
    };
    let first = call();
    provider.until_waiting(1).await;
    let second = call();
    provider.until_waiting(2).await;
    assert!(!first.is_finished() && !second.is_finished());
    provider.let_pass(1);
    let (ended, other) = futures::future::select(first, second).await.into_inner();
    assert_eq!(ended.unwrap(), VerdictKind::Refreshed);
    assert!(!other.is_finished(), "one was let pass");
    provider.open_gate();
    other.await.unwrap();
    assert_eq!(provider.calls().iter().map(|call| call.spent_twice).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_call_that_is_given_up_at_the_gate_is_gone() {
    let provider = ScriptedProvider::amazon(clock());
    provider.close_gate();
    let waiting = Arc::clone(&provider);
    let call = tokio::spawn(async move { spend(&waiting, "Atzr|1").await.verdict.kind() });
    provider.until_waiting(1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    provider.open_gate();
    spend(&provider, "Atzr|1").await;
    provider.assert_nothing_spent_twice();
}

#[tokio::test]
async fn a_queue_fails_as_it_is_told() {
    let queue = MemoryQueue::new(clock());
    queue.fail_next(1);
    assert!(matches!(queue.publish(vec![forced()]).await, Err(QueueError::Unavailable(_))));
    queue.set_capacity(2);
    assert!(matches!(queue.publish(vec![forced(), forced(), forced()]).await, Err(QueueError::Full)));
    queue.until_published(2).await;
    assert_eq!(queue.take_waiting(JobKind::ForceRefresh), queue.published());
    assert_eq!(queue.depth(JobKind::ForceRefresh).await.unwrap(), 0);
    queue.set_down(true);
    assert!(queue.depth(JobKind::ForceRefresh).await.is_err());
}

#[tokio::test]
async fn dead_letters_become_failed_jobs_whole() {
    let clock = clock();
    let (queue, store) = (MemoryQueue::new(Arc::clone(&clock)), MemoryStore::new(clock));
    queue.add_dead_letter(b"{\"v\":9}");
    queue.add_dead_letter(b"\xff\x00");
    let stop = CancellationToken::new();
    let (drained, into): (_, Arc<dyn FailedJobs>) = (Arc::clone(&queue), Arc::clone(&store) as _);
    let draining = tokio::spawn({
        let stop = stop.clone();
        async move { drained.drain_dead_letters(into, stop).await }
    });
    let kept = evergrant_testkit::conformance::eventually("two failed jobs", async || {
        let jobs = store.failed_jobs(&FailedJobFilter::default(), None, 10).await.unwrap();
        (jobs.len() == 2).then_some(jobs)
    })
    .await;
    stop.cancel();
    draining.await.unwrap().unwrap();
    let mut payloads: Vec<_> = kept.iter().map(|job| job.payload.as_str()).collect();
    payloads.sort_unstable();
    assert_eq!(payloads, ["base64:/wA=", "{\"v\":9}"]);
}

#[tokio::test]
async fn a_deaf_bus_loses_events_and_remembers_them() {
    let bus = MemoryEvents::new();
    let mut ears = bus.subscribe().await;
    let provider = "amazon-na".parse().unwrap();
    let event = Event::App { provider, state: evergrant_contract::app::AppState::Open };
    bus.set_deaf(true);
    bus.publish(vec![event.clone()]).await;
    bus.gap();
    assert_eq!(ears.next().await, Some(Heard::Gap), "nothing came before the gap");
    assert_eq!((bus.published(), bus.subscribers()), (vec![event], 1));
}

#[tokio::test]
async fn a_spool_keeps_until_it_forgets() {
    let (clock, spool) = (clock(), MemorySpool::new());
    let lease = Lease {
        connection: ConnectionId::generate(),
        version: Version::FIRST,
        owner: ProcessId::generate(),
        is_awaited: false,
    };
    spool.keep(&giving_back(lease, &*clock)).await.unwrap();
    spool.set_full(true);
    assert!(spool.keep(&giving_back(lease, &*clock)).await.unwrap_err().is_transient());
    let kept = spool.kept().await.unwrap();
    assert_eq!((kept.len(), kept[0].1.lease), (1, lease));
    spool.forget(&kept[0].0).await.unwrap();
    assert!(spool.is_empty());
}
