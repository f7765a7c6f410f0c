//! Streams of events through the whole router.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use evergrant_contract::app::AppState;
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::people::{Scope, SessionEnd, User};
use evergrant_contract::ports::{Clock as _, Connections as _, EventBus as _, Sessions as _};
use futures::StreamExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::fixture::{Fixture, PROVIDER, get};
use crate::hub::KEPT;

const HEARTBEAT: Duration = Duration::from_secs(15);

/// One open stream, as a browser sees it.
struct Browser {
    headers: HeaderMap,
    body: BodyDataStream,
    unread: String,
}

/// The fields of one event.
type Fields = BTreeMap<String, String>;

impl Browser {
    async fn open(fixture: &Fixture, bearer: &str, last: Option<&str>) -> Self {
        let mut request = get("/api/events").header(header::AUTHORIZATION, bearer);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = fixture.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let (parts, body) = response.into_parts();
        Self { headers: parts.headers, body: body.into_data_stream(), unread: String::new() }
    }

    /// The next event or comment; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Fields> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let lines = event.lines().filter_map(|line| line.split_once(':'));
                let fields = lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
                self.unread = rest.to_owned();
                return Some(fields);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.body.next()).await.expect("nothing came");
            self.unread.push_str(std::str::from_utf8(&chunk?.unwrap()).unwrap());
        }
    }

    /// The next event of this name: anything else fails the test.
    async fn expect(&mut self, name: &str) -> (Value, String) {
        let fields = self.next().await.unwrap_or_else(|| panic!("{name} expected, and the stream ended"));
        assert_eq!(fields.get("event").map(String::as_str), Some(name), "{fields:?}");
        (serde_json::from_str(&fields["data"]).unwrap(), fields["id"].clone())
    }

    async fn welcome(&mut self) -> String {
        let fields = self.next().await.unwrap();
        assert_eq!((fields[""].as_str(), fields["retry"].as_str()), ("welcome", "2000"), "{fields:?}");
        fields["id"].clone()
    }
}

/// A fixture whose hub listens.
async fn listening() -> Fixture {
    let fixture = Fixture::new();
    fixture.run();
    let mut latest = fixture.api.hub.latest();
    latest.wait_for(|newest| *newest >= 1).await.unwrap();
    fixture
}

async fn happens(fixture: &Fixture, connection: ConnectionId) {
    let before = *fixture.api.hub.latest().borrow();
    let event = Event::Connection {
        connection,
        version: Version::new(1),
        outcome: Outcome::Refreshed,
        reason: None,
        retry_at: None,
        traceparent: None,
    };
    fixture.events.publish(vec![event]).await;
    fixture.api.hub.latest().wait_for(|newest| *newest > before).await.unwrap();
}

async fn two_people(fixture: &Fixture) -> [(User, ConnectionId, String); 2] {
    let mut people = Vec::new();
    for email in ["ada@example.com", "bob@example.com"] {
        let user = fixture.user(email).await;
        let (connection, bearer) = (fixture.connection(&user).await, fixture.bearer(&user).await);
        people.push((user, connection, bearer));
    }
    people.try_into().unwrap_or_else(|_| unreachable!())
}

#[tokio::test]
async fn people_hear_of_their_own_connections_and_of_no_others() {
    let fixture = listening().await;
    let [(ada, hers, bearer), (_, his, _)] = two_people(&fixture).await;
    let mut browser = Browser::open(&fixture, &bearer, None).await;
    browser.welcome().await;
    happens(&fixture, his).await;
    happens(&fixture, hers).await;
    let (data, _) = browser.expect("connection").await;
    let row = fixture.row(hers).await;
    assert_eq!(data["connection_id"], hers.to_string());
    assert_eq!((data["outcome"].as_str(), data["state"].as_str()), (Some("refreshed"), Some("active")));
    assert_eq!(data["version"], row.version.number());
    assert_eq!(data["expires_at"].as_str().unwrap().parse::<evergrant_contract::Timestamp>().ok(), row.expires_at);
    assert!(!data.to_string().contains("Atz"), "no token");
    assert_eq!(browser.headers["content-type"], "text/event-stream");
    assert_eq!(browser.headers["cache-control"], "no-store");
    assert_eq!(browser.headers["x-accel-buffering"], "no");
    assert!(!ada.is_admin);
}

#[tokio::test]
async fn admins_and_free_keys_hear_of_all_and_a_bound_key_of_its_user() {
    let fixture = listening().await;
    let [(_, hers, _), (bob, his, _)] = two_people(&fixture).await;
    let admin = fixture.admin("root@example.com").await;
    let scopes = [Scope::ConnectionsRead];
    let callers = [
        (fixture.bearer(&admin).await, vec![hers, his]),
        (format!("Bearer {}", fixture.key(&scopes).await), vec![hers, his]),
        (format!("Bearer {}", fixture.key_for(&scopes, Some(&bob)).await), vec![his]),
    ];
    for (bearer, connections) in callers {
        let mut browser = Browser::open(&fixture, &bearer, None).await;
        browser.welcome().await;
        happens(&fixture, hers).await;
        happens(&fixture, his).await;
        for connection in connections {
            assert_eq!(browser.expect("connection").await.0["connection_id"], connection.to_string());
        }
    }
}

#[tokio::test]
async fn nobody_and_a_key_without_the_scope_hear_nothing() {
    let fixture = listening().await;
    let answer = fixture.call(get("/api/events")).await;
    assert_eq!((answer.status.as_u16(), answer.problem()), (401, "unauthenticated"));
    let key = fixture.key(&[Scope::TokensRead]).await;
    let answer = fixture.call(get("/api/events").header("x-api-key", key)).await;
    assert_eq!((answer.status.as_u16(), answer.problem()), (403, "insufficient-scope"));
}

#[tokio::test]
async fn the_state_of_a_provider_app_is_for_everybody_and_so_is_a_gap() {
    let fixture = listening().await;
    let [(_, _, bearer), _] = two_people(&fixture).await;
    let mut browser = Browser::open(&fixture, &bearer, None).await;
    browser.welcome().await;
    let event = Event::App { provider: PROVIDER.parse().unwrap(), state: AppState::Outage };
    fixture.events.publish(vec![event]).await;
    let (data, _) = browser.expect("app").await;
    assert_eq!((data["provider"].as_str(), data["state"].as_str()), (Some(PROVIDER), Some("outage")));
    fixture.events.gap();
    assert!(browser.expect("gap").await.0["message"].as_str().unwrap().contains("read the list"));
}

#[tokio::test]
async fn who_comes_back_hears_what_was_missed_and_once() {
    let fixture = listening().await;
    let [(_, hers, bearer), (_, his, _)] = two_people(&fixture).await;
    let mut browser = Browser::open(&fixture, &bearer, None).await;
    browser.welcome().await;
    happens(&fixture, hers).await;
    let (_, id) = browser.expect("connection").await;
    drop(browser);
    happens(&fixture, his).await;
    fixture.store.disconnect(hers).await.unwrap();
    happens(&fixture, hers).await;
    let mut browser = Browser::open(&fixture, &bearer, Some(&id)).await;
    browser.welcome().await;
    let (data, newer) = browser.expect("connection").await;
    assert_eq!(data["state"], "disconnected", "the row is the truth, whatever the event says");
    assert_ne!(newer, id);
    let mut browser = Browser::open(&fixture, &bearer, Some(&newer)).await;
    browser.welcome().await;
    happens(&fixture, hers).await;
    assert_ne!(browser.expect("connection").await.1, newer);
}

#[tokio::test]
async fn an_id_that_is_not_known_here_is_a_gap() {
    let fixture = listening().await;
    let [(_, hers, bearer), _] = two_people(&fixture).await;
    let ours = fixture.api.hub.id(1);
    let (process, _) = ours.rsplit_once('-').unwrap();
    let future = format!("{process}-99");
    let other = format!("{}-1", uuid::Uuid::now_v7());
    for id in [&future, &other, "", "-", "7", &format!("{process}-"), &format!("{process}-{}", u64::MAX)] {
        let mut browser = Browser::open(&fixture, &bearer, Some(id)).await;
        browser.expect("gap").await;
        happens(&fixture, hers).await;
        browser.expect("connection").await;
    }
}

#[tokio::test]
async fn a_stream_that_is_too_slow_gets_one_gap_and_goes_on_from_there() {
    let fixture = listening().await;
    let [(_, hers, bearer), _] = two_people(&fixture).await;
    let mut slow = Browser::open(&fixture, &bearer, None).await;
    let forgotten = slow.welcome().await;
    for _ in 0..=KEPT {
        happens(&fixture, hers).await;
    }
    slow.expect("gap").await;
    happens(&fixture, hers).await;
    slow.expect("connection").await;
    let mut late = Browser::open(&fixture, &bearer, Some(&forgotten)).await;
    late.expect("gap").await;
    happens(&fixture, hers).await;
    late.expect("connection").await;
}

#[tokio::test]
async fn a_heartbeat_comes_every_fifteen_seconds_and_keeps_a_quiet_stream_in_reach() {
    let fixture = listening().await;
    let [(_, hers, bearer), (_, his, _)] = two_people(&fixture).await;
    let mut browser = Browser::open(&fixture, &bearer, None).await;
    let first = browser.welcome().await;
    happens(&fixture, his).await;
    let clock = Arc::clone(&fixture.clock);
    let beat = tokio::spawn(async move {
        let fields = browser.next().await.unwrap();
        (fields, browser)
    });
    clock.until_asleep(1).await;
    clock.advance(HEARTBEAT).await;
    let (fields, mut browser) = beat.await.unwrap();
    assert_eq!(fields[""], "heartbeat");
    assert_ne!(fields["id"], first, "others' events were passed by");
    happens(&fixture, hers).await;
    browser.expect("connection").await;
}

#[tokio::test]
async fn a_stream_ends_with_its_session_or_its_token() {
    let fixture = listening().await;
    let [(ada, _, bearer), (_, _, other)] = two_people(&fixture).await;
    let mut browser = Browser::open(&fixture, &bearer, None).await;
    browser.welcome().await;
    fixture.store.end_sessions(&ada.id, SessionEnd::SignedOutEverywhere, fixture.clock.now()).await.unwrap();
    fixture.clock.advance(HEARTBEAT).await;
    assert_eq!(browser.expect("end").await.0["problem"], "session-ended");
    assert!(browser.next().await.is_none());

    let mut browser = Browser::open(&fixture, &other, None).await;
    browser.welcome().await;
    fixture.clock.advance(Duration::from_mins(20)).await;
    assert_eq!(browser.expect("end").await.0["problem"], "session-expired");
    assert!(browser.next().await.is_none());
}

#[tokio::test]
async fn there_are_only_so_many_streams_and_one_that_is_closed_makes_room() {
    let fixture = Fixture::with(|settings| settings.streams_max = 2);
    let [(_, _, bearer), _] = two_people(&fixture).await;
    let first = Browser::open(&fixture, &bearer, None).await;
    let _second = Browser::open(&fixture, &bearer, None).await;
    let answer = fixture.call(get("/api/events").header(header::AUTHORIZATION, &bearer)).await;
    assert_eq!((answer.status.as_u16(), answer.problem(), answer.header("retry-after")), (503, "overloaded", "10"));
    drop(first);
    Browser::open(&fixture, &bearer, None).await;
}

#[tokio::test]
async fn streams_end_when_the_process_does() {
    let fixture = listening().await;
    let [(_, _, bearer), _] = two_people(&fixture).await;
    let mut browser = Browser::open(&fixture, &bearer, None).await;
    browser.welcome().await;
    fixture.api.stop.cancel();
    assert!(browser.next().await.is_none());
}
