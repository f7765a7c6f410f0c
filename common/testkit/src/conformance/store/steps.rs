//! The steps that cases are made of.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::{
    AccessToken, Connection, Grant, IfPresent, Lease, LeaseRequest, Leased, NewConnection, Settled, Settlement, Stored,
};
use evergrant_contract::failed_job::{FailedJob, FailedJobFilter, FailedJobState};
use evergrant_contract::ids::{ConnectionId, JobId, ProcessId, ProviderName, Version};
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::transition::{Change, Standing};
use evergrant_contract::verdict::{AnswerTrace, Attempt, Tokens, VerdictKind};

use crate::ManualClock;
use crate::conformance::eventually;

pub(in crate::conformance) const HOUR: Duration = Duration::from_hours(1);
/// So short that it lapses while somebody looks.
pub(in crate::conformance) const MOMENT: Duration = Duration::from_millis(1);

pub(in crate::conformance) fn app() -> ProviderName {
    app_named("amazon-na")
}

pub(in crate::conformance) fn app_named(name: &str) -> ProviderName {
    name.parse().expect("a provider name in a case is well formed")
}

pub(in crate::conformance) const fn secs(seconds: i64) -> TimeDelta {
    TimeDelta::seconds(seconds)
}

/// A connection of `user` with the tokens `Atza|<user>-1` and `Atzr|<user>-1`.
pub(in crate::conformance) fn new_connection(user: &str, refresh_at: Timestamp) -> NewConnection {
    NewConnection {
        user: user.parse().expect("a user id in a case is well formed"),
        provider: app(),
        account: "account".into(),
        label: format!("{user}@example.com"),
        scopes: "advertising::campaign_management".into(),
        access_token: Some(Secret::new(format!("Atza|{user}-1"))),
        refresh_token: Some(Secret::new(format!("Atzr|{user}-1"))),
        expires_at: Some(refresh_at + secs(900)),
        refresh_at,
        consent_at: Some(refresh_at - secs(3600)),
        refresh_expires_at: None,
    }
}

pub(in crate::conformance) async fn put(store: &dyn Store, new: NewConnection) -> ConnectionId {
    match put_all(store, vec![new], IfPresent::Keep).await.as_slice() {
        [Stored::Inserted(id)] => *id,
        other => panic!("one new connection was put, the answer is {other:?}"),
    }
}

pub(in crate::conformance) async fn put_all(
    store: &dyn Store,
    new: Vec<NewConnection>,
    if_present: IfPresent,
) -> Vec<Stored> {
    store.put(new, if_present).await.expect("a working store takes connections")
}

/// Puts a connection that is due now.
pub(in crate::conformance) async fn connect(store: &dyn Store, clock: &ManualClock, user: &str) -> ConnectionId {
    put(store, new_connection(user, clock.now())).await
}

pub(in crate::conformance) async fn find(store: &dyn Store, id: ConnectionId) -> Connection {
    store.find(id).await.expect("a working store finds").expect("the connection exists")
}

pub(in crate::conformance) async fn access_token(store: &dyn Store, id: ConnectionId) -> Option<AccessToken> {
    store.access_token(id).await.expect("a working store gives access tokens")
}

/// Token, end and version, where there is a token.
pub(in crate::conformance) async fn access_token_in_the_clear(
    store: &dyn Store,
    id: ConnectionId,
) -> Option<(String, Timestamp, Version)> {
    access_token(store, id).await.map(|held| (held.token.expose().to_owned(), held.expires_at, held.version))
}

/// A request by a new process for a lease of an hour.
pub(in crate::conformance) fn request(connection: ConnectionId, version: Version) -> LeaseRequest {
    LeaseRequest {
        connection,
        version,
        seen_refresh_at: None,
        owner: ProcessId::generate(),
        ttl: HOUR,
        takeover_grace: HOUR,
        is_awaited: false,
    }
}

pub(in crate::conformance) async fn acquire(store: &dyn Store, request: LeaseRequest) -> Leased {
    store.acquire(request).await.expect("a working store answers requests for leases")
}

/// Takes a lease that must be free.
pub(in crate::conformance) async fn hold(store: &dyn Store, request: LeaseRequest) -> Grant {
    match acquire(store, request).await {
        Leased::Held(grant) => *grant,
        other => panic!("the lease is free, the answer is {}", word(&other)),
    }
}

/// Takes the lease of the connection as it stands.
pub(in crate::conformance) async fn hold_as_it_stands(store: &dyn Store, id: ConnectionId) -> Grant {
    hold(store, request(id, find(store, id).await.version)).await
}

/// Takes the lease for a moment only, and lets that pass.
pub(in crate::conformance) async fn hold_and_lapse(store: &dyn Store, clock: &ManualClock, id: ConnectionId) -> Grant {
    let grant = hold(store, LeaseRequest { ttl: MOMENT, ..request(id, Version::FIRST) }).await;
    clock.advance(HOUR).await;
    grant
}

/// Takes a lapsed lease over, however long the store's own time needs for it.
pub(in crate::conformance) async fn take_over(store: &dyn Store, clock: &ManualClock, id: ConnectionId) -> Grant {
    let request = LeaseRequest { takeover_grace: MOMENT, ..request(id, Version::FIRST) };
    let look = async || {
        clock.advance(10 * MOMENT).await;
        match acquire(store, request).await {
            Leased::Held(grant) => Some(*grant),
            Leased::Busy => None,
            other => panic!("the lease has lapsed, the answer is {}", word(&other)),
        }
    };
    eventually("the takeover of a lapsed lease", look).await
}

pub(in crate::conformance) const fn word(leased: &Leased) -> &'static str {
    match leased {
        Leased::Held(_) => "held",
        Leased::MovedOn { .. } => "moved on",
        Leased::Busy => "busy",
        Leased::Paused => "paused",
        Leased::NotRefreshable { .. } => "not refreshable",
        Leased::Unspendable { .. } => "unspendable",
    }
}

pub(in crate::conformance) async fn settle(store: &dyn Store, settlement: Settlement) -> Settled {
    store.settle(settlement).await.expect("a working store settles")
}

/// A success: the tokens `Atza|<name>` and `Atzr|<name>`, good for an hour from now.
pub(in crate::conformance) fn refreshed(lease: Lease, clock: &ManualClock, name: &str) -> Settlement {
    let tokens = Tokens {
        access_token: Secret::new(format!("Atza|{name}")),
        refresh_token: Some(Secret::new(format!("Atzr|{name}"))),
        lifetime: HOUR,
        refresh_expires_at: None,
        scopes: None,
    };
    let change = Change {
        standing: Standing::ACTIVE,
        reason: None,
        refresh_at: Some(clock.now() + secs(2700)),
        gives_up: false,
    };
    Settlement { tokens: Some((tokens, clock.now())), ..unchanged(lease, clock, Some(change)) }
}

/// A failure after which the connection is tried again in a minute.
pub(in crate::conformance) fn failed(lease: Lease, clock: &ManualClock) -> Settlement {
    let change = Change {
        standing: Standing { state: State::Failing, failures: 3, suspicions: 0 },
        reason: Some(Reason::AttemptsExhausted),
        refresh_at: Some(clock.now() + secs(60)),
        gives_up: false,
    };
    Settlement {
        attempts: vec![attempt(clock.now(), "the provider is down")],
        last_error: Some("the provider is down".into()),
        ..unchanged(lease, clock, Some(change))
    }
}

/// The end of the grant.
pub(in crate::conformance) fn ended(lease: Lease, clock: &ManualClock, reason: Reason) -> Settlement {
    let change = Change {
        standing: Standing { state: State::NeedsReauth, failures: 0, suspicions: 0 },
        reason: Some(reason),
        refresh_at: None,
        gives_up: false,
    };
    Settlement { last_error: Some("the grant has ended".into()), ..unchanged(lease, clock, Some(change)) }
}

/// Nothing but the lease and, if there is one, a change.
pub(in crate::conformance) fn unchanged(lease: Lease, clock: &ManualClock, change: Option<Change>) -> Settlement {
    Settlement {
        lease,
        change,
        tokens: None,
        unread_answer: None,
        attempts: Vec::new(),
        last_error: None,
        failed_job: None,
        decided_at: clock.now(),
    }
}

pub(in crate::conformance) fn attempt(at: Timestamp, message: &str) -> Attempt {
    let trace = AnswerTrace {
        status: Some(503),
        code: Some("temporarily_unavailable".into()),
        message: message.into(),
        request_id: Some("request-1".into()),
        duration_ms: 1234,
        ambiguous: true,
    };
    Attempt { at, verdict: VerdictKind::Transient, trace }
}

pub(in crate::conformance) fn failed_job(connection: ConnectionId, failed_at: Timestamp) -> FailedJob {
    FailedJob {
        id: JobId::generate(),
        kind: "refresh_due".into(),
        connection: Some(connection),
        provider: Some(app()),
        payload: r#"{"v":1}"#.into(),
        attempts: vec![attempt(failed_at - secs(2), "first"), attempt(failed_at - secs(1), "second")],
        error: "the provider is down".into(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        failed_at,
        state: FailedJobState::Open,
    }
}

/// What nobody has dealt with, newest first.
pub(in crate::conformance) async fn open_jobs(store: &dyn Store) -> Vec<FailedJob> {
    let open = FailedJobFilter { states: vec![FailedJobState::Open], ..FailedJobFilter::default() };
    store.failed_jobs(&open, None, 100).await.expect("a working store lists failed jobs")
}

/// Makes so many calls at once and collects their answers.
pub(in crate::conformance) async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    callers: usize,
    call: impl Fn(usize) -> F,
) -> Vec<T> {
    let start = Arc::new(tokio::sync::Barrier::new(callers));
    let calls: Vec<_> = (0..callers)
        .map(|caller| {
            let (start, call) = (Arc::clone(&start), call(caller));
            tokio::spawn(async move {
                start.wait().await;
                call.await
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(callers);
    for call in calls {
        answers.push(call.await.expect("no call panics"));
    }
    answers
}
