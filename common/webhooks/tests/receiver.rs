//! Deliveries to a real receiver, verified by the reference implementation.

#![expect(clippy::unwrap_used, reason = "test code: a broken expectation must end the test")]

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use evergrant_contract::Timestamp;
use evergrant_contract::app::{AppState, Hold};
use evergrant_contract::ids::EndpointId;
use evergrant_contract::ports::{Apps as _, Clock, Operations as _, Webhooks as _};
use evergrant_contract::timing::to_millis;
use evergrant_contract::webhook::{DeliveryFilter, DeliveryState, DisabledReason, EndpointChange};
use evergrant_testkit::{FixedChance, ManualClock, MemoryStore};
use evergrant_webhooks::{
    By, Deliverer, DeliverySettings, HookError, Hooks, Lookup, NewEndpoint, Rules, Sender, SystemLookup,
};
use standardwebhooks::Webhook;
use tokio::net::TcpListener;

/// The wall clock, which the reference compares time stamps with.
struct WallClock;

#[async_trait]
impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "the reference verifier reads the wall clock, too")]
    fn now(&self) -> Timestamp {
        to_millis(Utc::now())
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }
}

/// What a receiver got, and what it is to answer.
#[derive(Default)]
struct Received {
    requests: Vec<(HeaderMap, Bytes)>,
    answers: VecDeque<Response>,
}

type Desk = Arc<Mutex<Received>>;

async fn receive(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let mut desk = desk.lock().unwrap();
    desk.requests.push((headers, body));
    desk.answers.pop_front().unwrap_or_else(|| StatusCode::NO_CONTENT.into_response())
}

struct Bench {
    desk: Desk,
    url: String,
    store: Arc<MemoryStore>,
    clock: Arc<dyn Clock>,
    sender: Arc<Sender>,
}

fn by() -> By {
    By { actor: "cli tests".to_owned(), reason: String::new() }
}

fn here() -> Rules {
    Rules { allow_http: true, allow_networks: vec!["127.0.0.0/8".parse().unwrap()] }
}

const SETTINGS: DeliverySettings = DeliverySettings {
    timeout: Duration::from_secs(5),
    concurrency: 8,
    look_every: Duration::from_secs(1),
    disable_after: Duration::from_hours(120),
};

impl Bench {
    async fn new(clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/hook", listener.local_addr().unwrap().port());
        let desk = Desk::default();
        let router = Router::new().fallback(receive).with_state(Arc::clone(&desk));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let store = MemoryStore::new(Arc::clone(&clock));
        let rules =
            Rules { allow_networks: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()], ..here() };
        let sender = Sender::new(rules, SETTINGS.timeout, Arc::new(SystemLookup), Arc::clone(&clock)).unwrap();
        Self { desk, url, store, clock, sender: Arc::new(sender) }
    }

    fn hooks(&self) -> Hooks {
        Hooks::new(Arc::clone(&self.store) as _, Arc::clone(&self.sender), Arc::clone(&self.clock))
    }

    async fn endpoint(&self) -> (EndpointId, String) {
        let new = NewEndpoint { url: self.url.clone(), ..NewEndpoint::default() };
        let done = self.hooks().create(new, &by()).await.unwrap();
        (done.endpoint.id, done.secret.expose().to_owned())
    }

    fn deliverer(&self) -> Deliverer {
        let (store, clock) = (Arc::clone(&self.store) as _, Arc::clone(&self.clock));
        Deliverer::new(store, Arc::clone(&self.sender), clock, Arc::new(FixedChance(0.0)), SETTINGS)
    }

    /// Delivers everything that is due now.
    async fn deliver(&self) {
        let mut deliverer = self.deliverer();
        while deliverer.look().await.unwrap() {}
        deliverer.finish().await;
    }

    async fn fault(&self) {
        let probe_at = self.clock.now();
        let message = "the secret is refused".to_owned();
        let hold = Hold { state: AppState::Fault, probe_at, code: Some("invalid_client".to_owned()), message };
        let app = "amazon-na".parse().unwrap();
        self.store.open(&app, probe_at).await.unwrap();
        assert!(self.store.hold(&app, hold, probe_at).await.unwrap());
    }

    fn answer(&self, answer: impl IntoResponse) {
        self.desk.lock().unwrap().answers.push_back(answer.into_response());
    }

    fn requests(&self) -> Vec<(HeaderMap, Bytes)> {
        self.desk.lock().unwrap().requests.clone()
    }

    async fn state(&self, id: EndpointId) -> (DeliveryState, Option<Timestamp>, u32) {
        let rows = self.store.deliveries(id, &DeliveryFilter::default(), None, 9).await.unwrap();
        (rows[0].state, rows[0].due_at, rows[0].attempts)
    }
}

#[tokio::test]
async fn the_reference_verifies_what_arrives_and_refuses_what_was_changed() {
    let bench = Bench::new(Arc::new(WallClock)).await;
    let (id, secret) = bench.endpoint().await;
    bench.fault().await;
    bench.deliver().await;
    let requests = bench.requests();
    let [(headers, body)] = requests.as_slice() else { panic!("one request expected, {} came", requests.len()) };
    let reference = Webhook::new(&secret).unwrap();
    reference.verify(body, headers).unwrap();
    assert!(reference.verify(b"{}", headers).is_err());
    let payload: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert_eq!((&payload["type"], &payload["data"]["code"]), (&"app.fault".into(), &"invalid_client".into()));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(bench.state(id).await, (DeliveryState::Delivered, None, 1));
}

#[tokio::test]
async fn both_secrets_sign_after_a_rotation() {
    let bench = Bench::new(Arc::new(WallClock)).await;
    let (id, former) = bench.endpoint().await;
    let current = bench.hooks().rotate_secret(id, &by()).await.unwrap();
    bench.fault().await;
    bench.deliver().await;
    let (headers, body) = bench.requests().remove(0);
    for secret in [former.as_str(), current.secret.expose()] {
        Webhook::new(secret).unwrap().verify(&body, &headers).unwrap();
    }
    assert_eq!(headers["webhook-signature"].to_str().unwrap().split(' ').count(), 2);
}

#[tokio::test]
async fn a_test_says_what_the_receiver_answered_and_hides_what_it_echoes() {
    let bench = Bench::new(Arc::new(WallClock)).await;
    let (id, secret) = bench.endpoint().await;
    bench.answer((StatusCode::IM_A_TEAPOT, format!("I got {secret} from you")));
    let answered = bench.hooks().test(id, &by()).await.unwrap();
    assert_eq!((answered.attempt.status, answered.is_delivered), (Some(418), false));
    assert_eq!(answered.attempt.message, "I got [hidden] from you");
    let (headers, body) = bench.requests().remove(0);
    Webhook::new(&secret).unwrap().verify(&body, &headers).unwrap();
    let log = bench.store.audit_log(Some(&id.to_string()), None, 9).await.unwrap();
    let acts: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.outcome.as_str())).collect();
    assert_eq!(acts, [("test_webhook", "not_delivered"), ("create_webhook", "created")]);
    assert!(!format!("{log:?}").contains(&secret[6..]));
}

#[tokio::test]
async fn what_fails_is_tried_again_when_the_specification_says_under_the_same_id() {
    let clock = ManualClock::new();
    let bench = Bench::new(Arc::clone(&clock) as _).await;
    let (id, _) = bench.endpoint().await;
    bench.fault().await;
    let pauses = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400_u64];
    for (tries, pause) in (1..).zip(pauses) {
        bench.answer(StatusCode::INTERNAL_SERVER_ERROR);
        bench.deliver().await;
        let due_at = clock.now() + chrono::TimeDelta::seconds(pause.try_into().unwrap());
        assert_eq!(bench.state(id).await, (DeliveryState::Pending, Some(due_at), tries));
        bench.deliver().await;
        clock.advance(Duration::from_secs(pause)).await;
    }
    bench.answer(StatusCode::INTERNAL_SERVER_ERROR);
    bench.deliver().await;
    assert_eq!(bench.state(id).await, (DeliveryState::Failed, None, 10));
    let message = bench.store.deliveries(id, &DeliveryFilter::default(), None, 1).await.unwrap()[0].message;
    bench.hooks().replay(id, message, &by()).await.unwrap();
    bench.deliver().await;
    assert_eq!(bench.state(id).await, (DeliveryState::Delivered, None, 1));
    let ids: Vec<_> = bench.requests().iter().map(|(headers, _)| headers["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), 11, "once each time, and once for the replay");
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_disabled_and_heard_no_more() {
    let bench = Bench::new(ManualClock::new() as _).await;
    let (id, _) = bench.endpoint().await;
    bench.answer(StatusCode::GONE);
    bench.fault().await;
    bench.deliver().await;
    let endpoint = bench.store.endpoint(id).await.unwrap().unwrap();
    assert_eq!(endpoint.disabled_reason, Some(DisabledReason::Gone));
    bench.fault().await;
    bench.deliver().await;
    assert_eq!(bench.requests().len(), 1);
    let refused = bench.hooks().replay_missed(id, Timestamp::UNIX_EPOCH, &by()).await;
    assert!(matches!(refused, Err(HookError::Disabled)));
    let enable = EndpointChange { is_enabled: Some(true), ..EndpointChange::default() };
    bench.hooks().update(id, enable, &by()).await.unwrap();
    assert_eq!(bench.hooks().replay_missed(id, Timestamp::UNIX_EPOCH, &by()).await.unwrap(), 3);
    bench.deliver().await;
    assert_eq!(bench.requests().len(), 4);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let bench = Bench::new(Arc::new(WallClock)).await;
    let (id, _) = bench.endpoint().await;
    bench.answer((StatusCode::TEMPORARY_REDIRECT, [(LOCATION, bench.url.clone())]));
    let answered = bench.hooks().test(id, &by()).await.unwrap();
    assert_eq!((answered.attempt.status, answered.is_delivered), (Some(307), false));
    assert_eq!(bench.requests().len(), 1);
}

#[tokio::test]
async fn two_deliverers_send_each_message_once() {
    let bench = Bench::new(Arc::new(WallClock)).await;
    bench.endpoint().await;
    for _ in 0..10 {
        bench.fault().await;
    }
    while bench.store.delivery_backlog().await.unwrap().pending > 0 {
        tokio::join!(bench.deliver(), bench.deliver());
    }
    let mut ids: Vec<_> = bench.requests().iter().map(|(headers, _)| headers["webhook-id"].clone()).collect();
    let all = ids.len();
    ids.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    ids.dedup();
    assert_eq!((all, ids.len()), (19, 19), "ten faults and nine recoveries between them");
}

/// A name whose address changes between two questions, as an attacker's does.
struct Rebinding(Mutex<VecDeque<IpAddr>>);

#[async_trait]
impl Lookup for Rebinding {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![self.0.lock().unwrap().pop_front().unwrap()])
    }
}

#[tokio::test]
async fn a_name_that_turns_inward_is_refused_when_it_is_called() {
    let bench = Bench::new(Arc::new(WallClock)).await;
    let port = bench.url.rsplit(':').next().unwrap().to_owned();
    for inside in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1", "fd00:ec2::254"] {
        let lookup = Rebinding(Mutex::new(VecDeque::from([inside.parse().unwrap()])));
        let rules = Rules { allow_http: true, ..Rules::default() };
        let sender = Sender::new(rules, SETTINGS.timeout, Arc::new(lookup), Arc::new(WallClock)).unwrap();
        let hooks = Hooks::new(Arc::clone(&bench.store) as _, Arc::new(sender), Arc::new(WallClock));
        let new = NewEndpoint { url: format!("http://receiver.example:{port}"), ..NewEndpoint::default() };
        let made = hooks.create(new, &by()).await.unwrap();
        let answered = hooks.test(made.endpoint.id, &by()).await.unwrap();
        assert_eq!(answered.attempt.status, None, "{inside}");
        assert!(answered.attempt.message.contains("must not reach"), "{}", answered.attempt.message);
    }
    assert_eq!(bench.requests().len(), 0, "nothing was called");
    let inside = NewEndpoint { url: "https://127.0.0.1/".to_owned(), ..NewEndpoint::default() };
    let strict = Sender::new(Rules::default(), SETTINGS.timeout, Arc::new(SystemLookup), Arc::new(WallClock)).unwrap();
    let hooks = Hooks::new(Arc::clone(&bench.store) as _, Arc::new(strict), Arc::new(WallClock));
    assert!(matches!(hooks.create(inside, &by()).await, Err(HookError::Url(_))));
}
