//! What operators hold back by hand.

use std::sync::Arc;

use evergrant_contract::connection::{IfPresent, Leased, Settled};
use evergrant_contract::controls::{Drain, Order, Ordered, Pause, PauseTarget};
use evergrant_contract::ids::{AuditId, ConnectionId, ProcessId, Version};
use evergrant_contract::job::JobKind;
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::{Clock as _, Peer, Store};

use super::steps::{
    HOUR, acquire, app, app_named, at_once, connect, find, hold_as_it_stands, new_connection, put_all, refreshed,
    request, secs, settle, word,
};
use crate::ManualClock;

fn order(clock: &ManualClock, why: &str) -> Order {
    Order { by: "cli ada".into(), why: why.into(), at: clock.now() }
}

fn line(clock: &ManualClock, action: Action, subject: String) -> AuditEntry {
    AuditEntry {
        id: AuditId::generate(),
        at: clock.now(),
        actor: "cli ada".into(),
        action,
        subject,
        reason: "a reason".into(),
        outcome: "done".into(),
    }
}

async fn pause(store: &dyn Store, clock: &ManualClock, target: PauseTarget) -> Ordered<Pause> {
    let audit = line(clock, Action::Pause, target.subject());
    let pause = Pause { target, order: order(clock, "a release") };
    store.pause(&pause, &audit).await.expect("a working store pauses")
}

async fn resume(store: &dyn Store, clock: &ManualClock, target: &PauseTarget) -> Option<Pause> {
    let audit = line(clock, Action::Resume, target.subject());
    store.resume(target, &audit).await.expect("a working store resumes")
}

async fn due(store: &dyn Store, clock: &ManualClock) -> Vec<ConnectionId> {
    let due = store.due(&app(), clock.now(), None, 100).await.expect("a working store says what is due");
    due.iter().map(|due| due.connection).collect()
}

async fn told_about(store: &dyn Store, subject: &str) -> Vec<Action> {
    let lines = store.audit_log(Some(subject), None, 100).await.expect("a working store keeps its log");
    lines.iter().map(|line| line.action).collect()
}

/// It costs the scheduler nothing and no worker gets it; on its resumption it is due as it was.
pub async fn a_paused_connection_is_neither_due_nor_leased_and_resumes_where_it_stood(
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
) {
    let (id, other) = (connect(&*store, &clock, "paused").await, connect(&*store, &clock, "other").await);
    let before = find(&*store, id).await;
    let target = PauseTarget::Connection(id);
    assert_eq!(pause(&*store, &clock, target.clone()).await, Ordered::Done);

    let row = find(&*store, id).await;
    assert_eq!(row.paused, Some(order(&clock, "a release")), "whoever looks at it sees why");
    assert_eq!((row.state, row.refresh_at, row.version), (before.state, before.refresh_at, before.version));
    assert_eq!(due(&*store, &clock).await, [other]);
    let answer = acquire(&*store, request(id, Version::FIRST)).await;
    assert!(matches!(answer, Leased::Paused), "nobody gets its lease, the answer is {}", word(&answer));
    let stats = store.stats(clock.now(), clock.now()).await.expect("a working store counts");
    assert_eq!((stats.total, stats.due, stats.paused), (2, 1, 1));
    store.disconnect(other).await.expect("a working store disconnects");
    let next = store.next_refresh_at(&app()).await.expect("a working store says what comes next");
    assert_eq!(next, None, "the scheduler does not wake up for it");
    let token = store.access_token(id).await.expect("a working store hands out tokens");
    assert!(token.is_some(), "the token that it has is as good as before");

    clock.advance(HOUR).await;
    let ended = resume(&*store, &clock, &target).await.expect("it was paused");
    assert_eq!((ended.target, ended.order.why.as_str()), (target, "a release"));
    assert_eq!(find(&*store, id).await, before, "nothing of it has changed");
    assert_eq!(due(&*store, &clock).await, [id]);
    assert_eq!(hold_as_it_stands(&*store, id).await.lease.connection, id);
    assert_eq!(told_about(&*store, &id.to_string()).await, [Action::Resume, Action::Pause]);
}

/// Neither a new consent nor an end of the grant resumes it: only an operator does.
pub async fn a_pause_outlives_what_happens_to_its_connection(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    pause(&*store, &clock, PauseTarget::Connection(id)).await;
    put_all(&*store, vec![new_connection("user", clock.now())], IfPresent::Replace).await;
    assert_eq!(find(&*store, id).await.version, Version::FIRST.next());
    assert!(find(&*store, id).await.paused.is_some(), "the user consented, the operator did not resume");
    assert!(store.make_due(id, clock.now()).await.expect("a working store makes due"));
    assert_eq!(due(&*store, &clock).await, []);

    store.disconnect(id).await.expect("a working store disconnects");
    let answer = acquire(&*store, request(id, Version::FIRST.next())).await;
    assert!(matches!(answer, Leased::NotRefreshable { .. }), "its end comes first, the answer is {}", word(&answer));
    assert!(resume(&*store, &clock, &PauseTarget::Connection(id)).await.is_some());
    assert_eq!(due(&*store, &clock).await, [], "a resumption brings nothing back that has ended");
}

/// The refresh token may be spent already: dropping the result could cost the grant.
pub async fn a_refresh_in_hand_is_finished_and_the_pause_stays(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    assert_eq!(pause(&*store, &clock, PauseTarget::Connection(id)).await, Ordered::Done);
    let settled = settle(&*store, refreshed(lease, &clock, "2")).await;
    assert_eq!(settled, Settled::Written(Version::FIRST.next()));
    let row = find(&*store, id).await;
    assert!(row.paused.is_some() && row.leased_until.is_none());
    clock.advance(2 * HOUR).await;
    assert_eq!(due(&*store, &clock).await, []);
    let answer = acquire(&*store, request(id, row.version)).await;
    assert!(matches!(answer, Leased::Paused), "the answer is {}", word(&answer));
}

/// Whoever asks for more than is stored needs no call, and is told so.
pub async fn what_has_moved_on_is_told_before_a_pause(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    settle(&*store, refreshed(lease, &clock, "2")).await;
    pause(&*store, &clock, PauseTarget::Connection(id)).await;
    let answer = acquire(&*store, request(id, Version::FIRST)).await;
    assert!(matches!(answer, Leased::MovedOn { .. }), "the answer is {}", word(&answer));
}

/// And what they hold back stays as it is in the rows.
pub async fn queues_and_apps_are_paused_apart(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let pauses = async || store.pauses().await.expect("a working store knows its pauses");
    assert_eq!(pauses().await.iter().count(), 0);
    let id = connect(&*store, &clock, "user").await;
    let (queue, eu) = (PauseTarget::Queue(JobKind::ForceRefresh), PauseTarget::App(app_named("amazon-eu")));
    for target in [&queue, &eu, &PauseTarget::Connection(id)] {
        assert_eq!(pause(&*store, &clock, target.clone()).await, Ordered::Done);
    }
    let standing = pauses().await;
    assert_eq!(standing.iter().count(), 2, "a connection's pause shows in its row");
    assert_eq!(standing.of_queue(JobKind::ForceRefresh).map(|pause| &pause.order), Some(&order(&clock, "a release")));
    assert!(standing.of_queue(JobKind::RefreshDue).is_none() && standing.of_app(&app()).is_none());
    assert!(standing.of_app(&app_named("amazon-eu")).is_some());
    assert!(resume(&*store, &clock, &queue).await.is_some());
    let standing = pauses().await;
    assert!(standing.of_queue(JobKind::ForceRefresh).is_none() && standing.of_app(&app_named("amazon-eu")).is_some());
    assert_eq!(told_about(&*store, "queue force_refresh").await, [Action::Resume, Action::Pause]);
}

/// Of many who pause at once one does it; the others learn whose pause stands. The same for its end.
pub async fn a_pause_is_made_once_and_told_once(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    for target in [PauseTarget::App(app()), PauseTarget::Queue(JobKind::RefreshDue), PauseTarget::Connection(id)] {
        let answers = at_once(10, |_| {
            let (store, clock, target) = (Arc::clone(&store), Arc::clone(&clock), target.clone());
            async move { pause(&*store, &clock, target).await }
        })
        .await;
        assert_eq!(answers.iter().filter(|answer| **answer == Ordered::Done).count(), 1, "{target}");
        let standing = Ordered::Already(Pause { target: target.clone(), order: order(&clock, "a release") });
        assert_eq!(answers.iter().filter(|answer| **answer == standing).count(), 9, "{target}");
        let ends = at_once(10, |_| {
            let (store, clock, target) = (Arc::clone(&store), Arc::clone(&clock), target.clone());
            async move { resume(&*store, &clock, &target).await }
        })
        .await;
        assert_eq!(ends.iter().flatten().count(), 1, "{target}");
        let lines = told_about(&*store, &target.subject()).await;
        assert_eq!(lines, [Action::Resume, Action::Pause], "only what changed something is in the log: {target}");
    }
}

/// A slip of the pen pauses nothing, and says so.
pub async fn an_unknown_connection_cannot_be_paused(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let target = PauseTarget::Connection(ConnectionId::generate());
    assert_eq!(pause(&*store, &clock, target.clone()).await, Ordered::NotFound);
    assert_eq!(resume(&*store, &clock, &target).await, None);
    assert_eq!(told_about(&*store, &target.subject()).await, []);
    assert_eq!(store.count_paused_connections().await.expect("a working store counts"), 0);
}

/// In the order of their ids, each page from behind the one before.
pub async fn paused_connections_are_listed_page_by_page(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let mut ids = Vec::new();
    for n in 0..5 {
        let id = connect(&*store, &clock, &format!("user-{n}")).await;
        connect(&*store, &clock, &format!("free-{n}")).await;
        pause(&*store, &clock, PauseTarget::Connection(id)).await;
        ids.push(PauseTarget::Connection(id));
    }
    ids.sort();
    assert_eq!(store.count_paused_connections().await.expect("a working store counts"), 5);
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.paused_connections(after, 2).await.expect("a working store lists pauses");
        assert!(page.len() <= 2);
        let Some(Pause { target: PauseTarget::Connection(last), .. }) = page.last() else { break };
        after = Some(*last);
        listed.extend(page.into_iter().map(|pause| pause.target));
        assert!(listed.len() <= 5, "a page repeats rows of the one before");
    }
    assert_eq!(listed, ids);
}

fn peer(clock: &ManualClock) -> Peer {
    Peer {
        process: ProcessId::generate(),
        role: "worker".into(),
        primary_key: "key".into(),
        keys: vec!["key".into()],
        seen_at: clock.now(),
        drain: None,
    }
}

async fn drain(store: &dyn Store, clock: &ManualClock, process: ProcessId) -> Ordered<Drain> {
    let drain = Drain { order: order(clock, "a new host"), done_at: None };
    let audit = line(clock, Action::DrainWorker, process.to_string());
    store.drain(process, &drain, &audit).await.expect("a working store drains")
}

/// It says nothing of itself that would end it, and what it leaves behind is nothing.
pub async fn a_drain_is_of_a_live_process_and_ends_with_it(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (worker, other) = (peer(&clock), peer(&clock));
    assert_eq!(drain(&*store, &clock, worker.process).await, Ordered::NotFound);
    for peer in [&worker, &other] {
        store.announce(peer).await.expect("a working store hears");
    }
    assert_eq!(drain(&*store, &clock, worker.process).await, Ordered::Done);
    let standing = Drain { order: order(&clock, "a new host"), done_at: None };
    clock.advance(HOUR / 60).await;
    store.announce(&worker).await.expect("a working store hears");
    let of = async |process| store.drain_of(process).await.expect("a working store knows its orders");
    assert_eq!(of(worker.process).await, Some(standing.clone()), "announcing itself leaves it alone");
    assert_eq!(of(other.process).await, None);
    let peers = store.peers(HOUR).await.expect("a working store knows its peers");
    let shown = peers.into_iter().find(|peer| peer.process == worker.process).expect("it is there");
    assert_eq!(shown.drain, Some(standing));

    store.depart(worker.process).await.expect("a working store lets go");
    assert_eq!(of(worker.process).await, None);
    store.announce(&worker).await.expect("a working store hears");
    assert_eq!(of(worker.process).await, None, "its end was the order's end");
}

/// The first end counts, and only a drained process has one.
pub async fn a_drain_is_done_once(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let worker = peer(&clock);
    store.announce(&worker).await.expect("a working store hears");
    let done = async |at| store.drained(worker.process, at).await.expect("a working store takes notes");
    let of = async || store.drain_of(worker.process).await.expect("a working store knows its orders");
    done(clock.now()).await;
    assert_eq!(of().await, None, "nobody asked for it");
    drain(&*store, &clock, worker.process).await;
    let at = clock.now() + secs(3);
    done(at).await;
    done(at + secs(60)).await;
    let standing = of().await.expect("it stands");
    assert_eq!(standing.done_at, Some(at));
    assert_eq!(drain(&*store, &clock, worker.process).await, Ordered::Already(standing.clone()));

    let audit = line(&clock, Action::ResumeWorker, worker.process.to_string());
    assert_eq!(store.undrain(worker.process, &audit).await.expect("a working store resumes"), Some(standing));
    assert_eq!(of().await, None);
    assert_eq!(store.undrain(worker.process, &audit).await.expect("a working store resumes"), None);
    assert_eq!(drain(&*store, &clock, worker.process).await, Ordered::Done);
    assert_eq!(of().await.and_then(|drain| drain.done_at), None, "a new order has a new end");
    let lines = told_about(&*store, &worker.process.to_string()).await;
    assert_eq!(lines, [Action::DrainWorker, Action::ResumeWorker, Action::DrainWorker]);
}
