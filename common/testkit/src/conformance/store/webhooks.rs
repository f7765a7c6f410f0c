//! Receivers of webhooks: what they are told, each once, and in the commit of what it tells of.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use evergrant_contract::Timestamp;
use evergrant_contract::app::{AppState, Hold};
use evergrant_contract::connection::{IfPresent, NewConnection, Settled};
use evergrant_contract::ids::{EndpointId, MessageId};
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::webhook::{
    ClaimedDelivery, ConsentLifetime, Delivery, DeliveryAttempt, DeliveryFilter, DeliveryOutcome, DeliveryReport,
    DeliveryState, DisabledReason, Endpoint, EndpointChange, EndpointState, MessageKind, Reported,
};
use serde_json::Value;

use super::steps::{
    HOUR, MOMENT, app, at_once, connect, ended, failed, find, hold_as_it_stands, new_connection, put, put_all,
    refreshed, secs, settle, unchanged,
};
use crate::ManualClock;

const DAY: Duration = Duration::from_hours(24);

async fn endpoint_for(store: &dyn Store, clock: &ManualClock, events: &[MessageKind]) -> EndpointId {
    let endpoint = Endpoint {
        id: EndpointId::generate(),
        url: "https://receiver.example/hook".into(),
        description: "a receiver".into(),
        events: events.to_vec(),
        state: EndpointState::Enabled,
        disabled_reason: None,
        failing_since: None,
        former_secret_until: None,
        created_at: clock.now(),
    };
    let secret = Secret::new(format!("whsec_{}", endpoint.id));
    store.add_endpoint(&endpoint, &secret).await.expect("a working store takes endpoints");
    endpoint.id
}

async fn endpoint(store: &dyn Store, id: EndpointId) -> Endpoint {
    store.endpoint(id).await.expect("a working store finds").expect("the endpoint exists")
}

async fn deliveries(store: &dyn Store, id: EndpointId) -> Vec<Delivery> {
    let all = DeliveryFilter::default();
    store.deliveries(id, &all, None, 100).await.expect("a working store lists deliveries")
}

/// What the endpoint is told, oldest first.
async fn heard(store: &dyn Store, id: EndpointId) -> Vec<MessageKind> {
    deliveries(store, id).await.iter().rev().map(|delivery| delivery.kind).collect()
}

async fn newest_payload(store: &dyn Store, id: EndpointId) -> Value {
    let newest = deliveries(store, id).await.first().expect("there is a delivery").message;
    let message = store.message(newest).await.expect("a working store finds").expect("the message exists");
    serde_json::from_str(&message.payload).expect("a payload is JSON")
}

async fn claim(store: &dyn Store, now: Timestamp, limit: u32) -> Vec<ClaimedDelivery> {
    store.claim_deliveries(now, HOUR, &[], limit).await.expect("a working store gives deliveries")
}

async fn report(store: &dyn Store, claimed: &ClaimedDelivery, at: Timestamp, outcome: DeliveryOutcome) -> Reported {
    let result = DeliveryAttempt { at, status: Some(503), message: "busy\0".into(), duration_ms: 12 };
    let report = DeliveryReport {
        message: claimed.message.id,
        endpoint: claimed.endpoint,
        attempt: claimed.attempt,
        result,
        outcome,
        hopeless_since: at - DAY * 5,
    };
    store.report_delivery(&report).await.expect("a working store takes reports")
}

async fn fault(store: &dyn Store, clock: &ManualClock) {
    let hold = Hold {
        state: AppState::Fault,
        probe_at: clock.now() + secs(60),
        code: Some("invalid_client".into()),
        message: "the client secret is refused".into(),
    };
    store.hold(&app(), hold, clock.now()).await.expect("a working store holds apps");
}

/// A message for everybody, made out of a connection that fails.
async fn some_news(store: &dyn Store, clock: &ManualClock, user: &str) {
    let id = connect(store, clock, user).await;
    let lease = hold_as_it_stands(store, id).await.lease;
    settle(store, failed(lease, clock)).await;
}

/// An endpoint is kept as it was made, changed in part, and taken away with its deliveries.
pub async fn an_endpoint_is_found_as_it_was_added(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = endpoint_for(&*store, &clock, &[MessageKind::Failing, MessageKind::AppFault]).await;
    let before = endpoint(&*store, id).await;
    assert_eq!(before.events, [MessageKind::Failing, MessageKind::AppFault]);
    assert_eq!((before.state, before.created_at), (EndpointState::Enabled, clock.now()));
    let change = EndpointChange { url: Some("https://other.example/".into()), ..EndpointChange::default() };
    assert!(store.change_endpoint(id, &change).await.expect("it changes"));
    let after = Endpoint { url: "https://other.example/".into(), ..before };
    assert_eq!(endpoint(&*store, id).await, after);
    clock.advance(HOUR).await;
    let second = endpoint_for(&*store, &clock, &[]).await;
    let ids: Vec<_> = store.endpoints().await.expect("it lists").into_iter().map(|endpoint| endpoint.id).collect();
    assert_eq!(ids, [id, second], "oldest first");
    some_news(&*store, &clock, "user").await;
    assert!(store.remove_endpoint(id).await.expect("it removes"));
    assert!(!store.remove_endpoint(id).await.expect("it removes"), "it is gone");
    assert!(!store.change_endpoint(id, &change).await.expect("it changes"), "it is gone");
    assert_eq!((store.endpoint(id).await.expect("it finds"), deliveries(&*store, id).await), (None, vec![]));
}

/// After a rotation both secrets sign for a while, then the new one alone.
pub async fn a_rotated_secret_signs_beside_the_former(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = endpoint_for(&*store, &clock, &[]).await;
    let until = clock.now() + secs(3600);
    let in_the_clear = async |at| {
        let secrets = store.endpoint_secrets(id, at).await.expect("it reads").expect("it opens");
        (secrets.current.expose().to_owned(), secrets.former.map(|former| former.expose().to_owned()))
    };
    let first = format!("whsec_{id}");
    assert_eq!(in_the_clear(clock.now()).await, (first.clone(), None));
    assert!(store.rotate_endpoint_secret(id, &Secret::new("whsec_next"), until).await.expect("it rotates"));
    assert_eq!(in_the_clear(clock.now()).await, ("whsec_next".to_owned(), Some(first)));
    assert_eq!(in_the_clear(until).await, ("whsec_next".to_owned(), None));
    assert_eq!(endpoint(&*store, id).await.former_secret_until, Some(until));
    assert_eq!(store.reseal_endpoint_secrets().await.expect("it looks"), 0, "they are under the key that encrypts");
    let nobody = EndpointId::generate();
    assert!(!store.rotate_endpoint_secret(nobody, &Secret::new("x"), until).await.expect("it looks"));
    assert!(store.endpoint_secrets(nobody, until).await.expect("it looks").is_none());
}

/// Failing once, however long it goes on; recovered once; a suspicion is nobody's news.
pub async fn a_change_of_state_is_told_once(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let endpoint = endpoint_for(&*store, &clock, &[]).await;
    for _ in 0..2 {
        let lease = hold_as_it_stands(&*store, id).await.lease;
        settle(&*store, failed(lease, &clock)).await;
    }
    assert_eq!(heard(&*store, endpoint).await, [MessageKind::Failing]);
    let payload = newest_payload(&*store, endpoint).await;
    assert_eq!(payload["type"], "connection.failing");
    assert_eq!(payload["data"]["connection_id"], id.to_string());
    assert_eq!((&payload["data"]["user_id"], &payload["data"]["account"]), (&"user".into(), &"account".into()));
    assert_eq!(payload["data"]["reason"], "attempts_exhausted");
    assert!(!payload.to_string().contains("Atz"), "never a token");

    let lease = hold_as_it_stands(&*store, id).await.lease;
    settle(&*store, refreshed(lease, &clock, "healed")).await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    settle(&*store, refreshed(lease, &clock, "well")).await;
    assert_eq!(heard(&*store, endpoint).await, [MessageKind::Failing, MessageKind::Recovered]);

    let lease = hold_as_it_stands(&*store, id).await.lease;
    settle(&*store, ended(lease, &clock, Reason::GrantInvalid)).await;
    assert_eq!(heard(&*store, endpoint).await[2..], [MessageKind::NeedsReauth]);
    let payload = newest_payload(&*store, endpoint).await;
    assert_eq!(
        (&payload["data"]["state"], &payload["data"]["reason"]),
        (&"needs_reauth".into(), &"grant_invalid".into())
    );
}

/// Change and message are one: where nothing is written nothing is told.
pub async fn a_lost_settlement_tells_nothing(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let endpoint = endpoint_for(&*store, &clock, &[]).await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    settle(&*store, unchanged(lease, &clock, None)).await;
    assert_eq!(settle(&*store, failed(lease, &clock)).await, Settled::Lost);
    assert_eq!(find(&*store, id).await.state, State::Active);
    assert_eq!(heard(&*store, endpoint).await, []);
}

/// The everyday: nothing is written for anybody.
pub async fn a_plain_refresh_tells_nothing(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let endpoint = endpoint_for(&*store, &clock, &[]).await;
    for round in 0..3 {
        let lease = hold_as_it_stands(&*store, id).await.lease;
        settle(&*store, refreshed(lease, &clock, &round.to_string())).await;
    }
    assert_eq!(heard(&*store, endpoint).await, []);
    assert_eq!(store.delivery_backlog().await.expect("it counts").pending, 0);
}

/// A connection that begins in need is nobody's news; a consent that heals it is.
pub async fn a_consent_that_heals_is_told(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let endpoint = endpoint_for(&*store, &clock, &[]).await;
    let bare = |user: &str| NewConnection { refresh_token: None, ..new_connection(user, clock.now()) };
    let (first, second) = (put(&*store, bare("first")).await, put(&*store, bare("second")).await);
    assert_eq!(heard(&*store, endpoint).await, [], "how it begins");
    put_all(&*store, vec![new_connection("first", clock.now())], IfPresent::Replace).await;
    assert_eq!(heard(&*store, endpoint).await, [MessageKind::Recovered]);
    store.reconnect(second, new_connection("second", clock.now())).await.expect("it reconnects");
    let payload = newest_payload(&*store, endpoint).await;
    assert_eq!(heard(&*store, endpoint).await.len(), 2);
    assert_eq!(
        (&payload["data"]["connection_id"], &payload["data"]["version"]),
        (&second.to_string().into(), &2.into())
    );
    store.reconnect(first, bare("first")).await.expect("it reconnects");
    assert_eq!(heard(&*store, endpoint).await[2..], [MessageKind::NeedsReauth]);
}

/// What users end themselves is no news, and neither is what they begin again.
pub async fn a_disconnect_is_nobodys_news(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let endpoint = endpoint_for(&*store, &clock, &[]).await;
    let id = connect(&*store, &clock, "user").await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    settle(&*store, failed(lease, &clock)).await;
    assert!(store.disconnect(id).await.expect("it disconnects"));
    store.reconnect(id, new_connection("user", clock.now())).await.expect("it reconnects");
    assert_eq!(heard(&*store, endpoint).await, [MessageKind::Failing]);
}

/// An outage is not told of; a fault is, once, and its end.
pub async fn a_fault_of_an_app_is_told_once(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let endpoint = endpoint_for(&*store, &clock, &[]).await;
    let outage = Hold { state: AppState::Outage, probe_at: clock.now(), code: None, message: "down".into() };
    store.hold(&app(), outage.clone(), clock.now()).await.expect("it holds");
    store.open(&app(), clock.now()).await.expect("it opens");
    assert_eq!(heard(&*store, endpoint).await, [], "an outage passes");
    store.hold(&app(), outage, clock.now()).await.expect("it holds");
    fault(&*store, &clock).await;
    fault(&*store, &clock).await;
    assert_eq!(heard(&*store, endpoint).await, [MessageKind::AppFault]);
    let payload = newest_payload(&*store, endpoint).await;
    assert_eq!(
        (&payload["data"]["provider"], &payload["data"]["code"]),
        (&"amazon-na".into(), &"invalid_client".into())
    );
    store.open(&app(), clock.now()).await.expect("it opens");
    store.open(&app(), clock.now()).await.expect("it opens");
    assert_eq!(heard(&*store, endpoint).await, [MessageKind::AppFault, MessageKind::AppRecovered]);
}

/// Each endpoint hears what it chose.
pub async fn endpoints_hear_what_they_chose(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let everything = endpoint_for(&*store, &clock, &[]).await;
    let apps = endpoint_for(&*store, &clock, &[MessageKind::AppFault, MessageKind::AppRecovered]).await;
    let nothing = endpoint_for(&*store, &clock, &[]).await;
    let off = EndpointChange { is_enabled: Some(false), ..EndpointChange::default() };
    assert!(store.change_endpoint(nothing, &off).await.expect("it changes"));
    assert_eq!(endpoint(&*store, nothing).await.disabled_reason, Some(DisabledReason::ByOperator));
    some_news(&*store, &clock, "user").await;
    fault(&*store, &clock).await;
    assert_eq!(heard(&*store, everything).await, [MessageKind::Failing, MessageKind::AppFault]);
    assert_eq!(heard(&*store, apps).await, [MessageKind::AppFault]);
    assert_eq!(heard(&*store, nothing).await, []);
}

/// However many ask, each delivery is somebody's alone until the claim lapses; who comes late with a report is told so.
pub async fn a_delivery_is_claimed_by_one(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let endpoint = endpoint_for(&*store, &clock, &[]).await;
    for user in 0..20 {
        some_news(&*store, &clock, &format!("user-{user:02}")).await;
    }
    let now = clock.now();
    let answers = at_once(20, |_| {
        let store = Arc::clone(&store);
        async move { claim(&*store, now, 3).await.iter().map(|claimed| claimed.message.id).collect::<Vec<_>>() }
    })
    .await;
    let mut claimed: Vec<MessageId> = answers.into_iter().flatten().collect();
    claimed.extend(claim(&*store, now, 100).await.iter().map(|claimed| claimed.message.id));
    let all = claimed.len();
    claimed.sort_unstable();
    claimed.dedup();
    assert_eq!((all, claimed.len()), (20, 20), "each once");
    let excluded = store.claim_deliveries(now, HOUR, &[endpoint], 100).await.expect("it looks");
    assert!(excluded.is_empty());
}

/// A claim that lapsed is somebody else's; whoever had it changes nothing any more.
pub async fn a_lapsed_claim_goes_to_another(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let endpoint = endpoint_for(&*store, &clock, &[]).await;
    some_news(&*store, &clock, "user").await;
    let first = store.claim_deliveries(clock.now(), MOMENT, &[], 9).await.expect("it claims").remove(0);
    assert_eq!((first.attempt, first.endpoint), (1, endpoint));
    let secret = first.secrets.as_ref().expect("it opens").current.expose();
    assert_eq!(secret, format!("whsec_{endpoint}"));
    let look = async || {
        clock.advance(10 * MOMENT).await;
        claim(&*store, clock.now(), 9).await.pop()
    };
    let second = crate::conformance::eventually("a claim lapses", look).await;
    assert_eq!((second.attempt, second.message.id), (2, first.message.id), "the same message");
    assert_eq!(second.message.payload, first.message.payload);
    assert_eq!(report(&*store, &first, clock.now(), DeliveryOutcome::Delivered).await, Reported::Lost);
    let written = report(&*store, &second, clock.now(), DeliveryOutcome::Delivered).await;
    assert_eq!(written, Reported::Written(None));
    assert_eq!(deliveries(&*store, endpoint).await[0].state, DeliveryState::Delivered);
}

/// What did not arrive is tried again when it is time, given up, and replayed under the same id.
pub async fn a_delivery_is_retried_given_up_and_replayed(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let endpoint = endpoint_for(&*store, &clock, &[]).await;
    some_news(&*store, &clock, "user").await;
    let first = claim(&*store, clock.now(), 9).await.remove(0);
    let later = clock.now() + secs(300);
    report(&*store, &first, clock.now(), DeliveryOutcome::Retry(later)).await;
    let row = deliveries(&*store, endpoint).await.remove(0);
    assert_eq!((row.state, row.due_at, row.attempts), (DeliveryState::Pending, Some(later), 1));
    let last = row.last.expect("it was tried");
    assert_eq!((last.status, last.duration_ms, last.at), (Some(503), 12, clock.now()));
    assert!(claim(&*store, clock.now(), 9).await.is_empty(), "it is not time");
    let again = claim(&*store, later, 9).await.remove(0);
    assert_eq!((again.attempt, again.message.id), (2, first.message.id));
    report(&*store, &again, later, DeliveryOutcome::GaveUp).await;
    let row = deliveries(&*store, endpoint).await.remove(0);
    assert_eq!((row.state, row.due_at), (DeliveryState::Failed, None));
    assert!(claim(&*store, later + TimeDelta::days(9), 9).await.is_empty());
    assert!(store.replay_delivery(endpoint, row.message, later).await.expect("it replays"));
    let replayed = claim(&*store, later, 9).await.remove(0);
    assert_eq!((replayed.attempt, replayed.message.id), (1, first.message.id), "it starts over under the same id");
    assert!(!store.replay_delivery(endpoint, MessageId::generate(), later).await.expect("it looks"));
}

/// 410 disables at once; days of nothing but failures do too; one success in between forgives.
pub async fn a_hopeless_endpoint_is_disabled(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (gone, hopeless) = (endpoint_for(&*store, &clock, &[]).await, endpoint_for(&*store, &clock, &[]).await);
    some_news(&*store, &clock, "user").await;
    some_news(&*store, &clock, "other").await;
    let (of_gone, of_hopeless): (Vec<_>, Vec<_>) =
        claim(&*store, clock.now(), 9).await.into_iter().partition(|claimed| claimed.endpoint == gone);
    let told = report(&*store, &of_gone[0], clock.now(), DeliveryOutcome::Gone).await;
    assert_eq!(told, Reported::Written(Some(DisabledReason::Gone)));
    let states = |rows: Vec<Delivery>| rows.into_iter().map(|row| row.state).collect::<Vec<_>>();
    assert_eq!(states(deliveries(&*store, gone).await), [DeliveryState::Failed, DeliveryState::Failed]);
    assert!(!store.replay_delivery(gone, of_gone[0].message.id, clock.now()).await.expect("it looks"), "disabled");
    assert_eq!(store.replay_missed(gone, Timestamp::UNIX_EPOCH, clock.now()).await.expect("it looks"), 0);

    let began = clock.now();
    let retry = DeliveryOutcome::Retry(began);
    assert_eq!(report(&*store, &of_hopeless[0], began, retry).await, Reported::Written(None));
    assert_eq!(endpoint(&*store, hopeless).await.failing_since, Some(began));
    assert_eq!(report(&*store, &of_hopeless[1], began, DeliveryOutcome::Delivered).await, Reported::Written(None));
    assert_eq!(endpoint(&*store, hopeless).await.failing_since, None, "one success forgives");
    for (days, disabled) in [(0, None), (4, None), (5, Some(DisabledReason::Failing))] {
        let at = began + DAY * days;
        let claimed = claim(&*store, at, 9).await.remove(0);
        assert_eq!(report(&*store, &claimed, at, DeliveryOutcome::Retry(at)).await, Reported::Written(disabled));
    }
    assert_eq!(endpoint(&*store, hopeless).await.state, EndpointState::Disabled);
}

/// What an endpoint missed while it was disabled is had by replaying, and what it has taken stays.
pub async fn what_was_missed_is_replayed(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = endpoint_for(&*store, &clock, &[MessageKind::Failing]).await;
    some_news(&*store, &clock, "taken").await;
    let taken = claim(&*store, clock.now(), 9).await.remove(0);
    report(&*store, &taken, clock.now(), DeliveryOutcome::Delivered).await;
    some_news(&*store, &clock, "given up").await;
    let toggle = |on| EndpointChange { is_enabled: Some(on), ..EndpointChange::default() };
    assert!(store.change_endpoint(id, &toggle(false)).await.expect("it changes"));
    clock.advance(HOUR).await;
    let since = clock.now();
    some_news(&*store, &clock, "missed").await;
    fault(&*store, &clock).await;
    assert!(store.change_endpoint(id, &toggle(true)).await.expect("it changes"));
    assert_eq!(endpoint(&*store, id).await.disabled_reason, None);
    assert_eq!(store.replay_missed(id, since, clock.now()).await.expect("it replays"), 1, "the missed one");
    assert_eq!(store.replay_missed(id, Timestamp::UNIX_EPOCH, clock.now()).await.expect("it replays"), 1, "given up");
    let pending = claim(&*store, clock.now(), 9).await;
    assert_eq!(pending.len(), 2);
    assert!(pending.iter().all(|claimed| claimed.message.id != taken.message.id));
}

/// A page begins behind the one before; filters narrow.
pub async fn deliveries_come_newest_first_page_by_page(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = endpoint_for(&*store, &clock, &[]).await;
    for user in 0..5 {
        some_news(&*store, &clock, &format!("user-{user}")).await;
    }
    fault(&*store, &clock).await;
    let all = deliveries(&*store, id).await;
    assert!(all.windows(2).all(|pair| pair[0].message > pair[1].message));
    let any = DeliveryFilter::default();
    let page = store.deliveries(id, &any, Some(all[1].message), 2).await.expect("it lists");
    assert_eq!(page, all[2..4]);
    let faults = DeliveryFilter { kind: Some(MessageKind::AppFault), state: Some(DeliveryState::Pending) };
    assert_eq!(store.deliveries(id, &faults, None, 9).await.expect("it lists"), all[..1]);
    let none = DeliveryFilter { state: Some(DeliveryState::Delivered), ..any };
    assert_eq!(store.deliveries(id, &none, None, 9).await.expect("it lists"), []);
    let backlog = store.delivery_backlog().await.expect("it counts");
    assert_eq!((backlog.pending, backlog.oldest_at), (6, Some(clock.now())));
}

/// Each threshold once, by the provider's own end or by the lifetime of its consents; a new consent starts over.
pub async fn consents_that_end_are_told_of(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let endpoint = endpoint_for(&*store, &clock, &[]).await;
    let begin = clock.now();
    let consent = |user: &str, consent_at, refresh_expires_at| NewConnection {
        consent_at,
        refresh_expires_at,
        ..new_connection(user, begin)
    };
    let named = put(&*store, consent("named", None, Some(begin + TimeDelta::days(40)))).await;
    put(&*store, consent("endless", None, None)).await;
    put(&*store, NewConnection { refresh_token: None, ..consent("over", None, Some(begin + TimeDelta::days(2))) })
        .await;
    put(&*store, consent("reckoned", Some(begin - TimeDelta::days(300)), None)).await;
    let lifetimes = [ConsentLifetime { provider: app(), lifetime: DAY * 365 }];
    let tell = async |day: i64, limit| {
        let now = begin + TimeDelta::days(day);
        store.tell_of_expiring(&lifetimes, now, limit).await.expect("it tells")
    };
    assert_eq!(tell(9, 9).await, 0);
    assert_eq!(tell(10, 9).await, 1, "30 days");
    let payload = newest_payload(&*store, endpoint).await;
    assert_eq!(payload["data"]["connection_id"], named.to_string());
    assert_eq!((&payload["type"], &payload["data"]["days_left"]), (&"connection.expiring".into(), &30.into()));
    assert_eq!(tell(10, 9).await, 0, "once");
    assert_eq!(tell(26, 9).await, 1, "14 days");
    assert_eq!(tell(33, 1).await + tell(33, 1).await, 1, "7 days");
    assert_eq!(tell(39, 9).await, 2, "1 day, and 26 of the other");
    assert_eq!(tell(40, 9).await, 0, "it has ended");
    let renewed = consent("named", None, Some(begin + TimeDelta::days(60)));
    store.reconnect(named, renewed).await.expect("it reconnects");
    assert_eq!(tell(41, 9).await, 1, "another consent, another end");
    let kinds = heard(&*store, endpoint).await;
    assert!(kinds.iter().all(|kind| *kind == MessageKind::Expiring), "{kinds:?}");
}

/// What somebody still waits for is kept, however old.
pub async fn forgetting_spares_messages_on_their_way(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let endpoint = endpoint_for(&*store, &clock, &[]).await;
    some_news(&*store, &clock, "delivered").await;
    some_news(&*store, &clock, "waiting").await;
    let claimed = claim(&*store, clock.now(), 1).await.remove(0);
    report(&*store, &claimed, clock.now(), DeliveryOutcome::Delivered).await;
    clock.advance(HOUR).await;
    store.forget_before(clock.now()).await.expect("it forgets");
    let left = deliveries(&*store, endpoint).await;
    assert_eq!(left.iter().map(|row| row.state).collect::<Vec<_>>(), [DeliveryState::Pending]);
    assert_eq!(store.message(claimed.message.id).await.expect("it looks"), None);
}
