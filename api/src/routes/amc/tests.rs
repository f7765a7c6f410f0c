//! Calls that are passed on, against an API beyond that answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::people::Scope;
use serde_json::json;
use tokio::net::TcpListener;

use crate::fixture::{Fixture, get, post};

/// What arrived at the API beyond.
struct Asked {
    line: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

#[derive(Default)]
struct Beyond {
    answers: Mutex<VecDeque<Response>>,
    asked: Mutex<Vec<Asked>>,
}

impl Beyond {
    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// An API on memory ports, and an API beyond that gives these answers in order, and 204 after them.
async fn fixture(answers: impl IntoIterator<Item = Response>) -> (Fixture, Arc<Beyond>) {
    let beyond = Arc::new(Beyond { answers: Mutex::new(answers.into_iter().collect()), ..Beyond::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Arc::clone(&beyond));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (Fixture::at(&url, |settings| settings.amc_body_max = 100), beyond)
}

async fn answer(State(beyond): State<Arc<Beyond>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let asked = Asked { line: format!("{} {}", parts.method, parts.uri), headers: parts.headers, body };
    beyond.asked.lock().unwrap().push(asked);
    let answer = beyond.answers.lock().unwrap().pop_front();
    answer.unwrap_or_else(|| StatusCode::NO_CONTENT.into_response())
}

fn refusal(details: &str) -> Response {
    let body = json!({"code": "401", "details": details}).to_string();
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic")], body).into_response()
}

fn path(connection: ConnectionId, rest: &str) -> String {
    format!("/api/amc/{connection}/{rest}")
}

#[tokio::test]
async fn a_call_goes_on_as_it_was_written_with_the_connections_token_and_none_of_the_callers() {
    let (fixture, beyond) = fixture([]).await;
    let ada = fixture.user("ada@example.com").await;
    let connection = fixture.connection(&ada).await;
    let key = fixture.key(&[Scope::AmcCall]).await;
    let request = post(&path(connection, "amc/reporting/a%2Fb/workflows?x=%20y&z"))
        .header("x-api-key", &key)
        .header(header::COOKIE, "a=b")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("x-forwarded-for", "203.0.113.9")
        .header("amazon-advertising-api-scope", "1");
    let reply = fixture.call_json(request, &json!({"a": 1})).await;
    assert_eq!((reply.status.as_u16(), reply.header("evergrant-retries")), (204, "0"));
    assert_eq!(reply.header("evergrant-outcome"), "answered");
    let asked = beyond.asked().remove(0);
    assert_eq!(asked.line, "POST /amc/reporting/a%2Fb/workflows?x=%20y&z");
    assert_eq!(asked.body, br#"{"a":1}"#);
    let mut names: Vec<_> = asked.headers.keys().map(header::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "amazon-advertising-api-clientid",
            "amazon-advertising-api-scope",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent"
        ]
    );
    assert!(asked.headers[header::AUTHORIZATION].to_str().unwrap().starts_with("Bearer Atza|amzn1.account."));
}

#[tokio::test]
async fn only_who_may_call_for_a_connection_does() {
    let (fixture, beyond) = fixture([]).await;
    let (ada, bob) = (fixture.user("ada@example.com").await, fixture.user("bob@example.com").await);
    let admin = fixture.admin("root@example.com").await;
    let place = path(fixture.connection(&ada).await, "v2/profiles");
    let bearer = async |key: String| format!("Bearer {key}");
    let cases = [
        (None, 401),
        (Some(fixture.bearer(&ada).await), 204),
        (Some(fixture.bearer(&bob).await), 404),
        (Some(fixture.bearer(&admin).await), 204),
        (Some(bearer(fixture.key(&[Scope::AmcCall]).await).await), 204),
        (Some(bearer(fixture.key(&[Scope::TokensRead, Scope::TokensRefresh]).await).await), 403),
        (Some(bearer(fixture.key_for(&[Scope::AmcCall], Some(&bob)).await).await), 404),
    ];
    for (number, (credentials, expected)) in cases.into_iter().enumerate() {
        let mut request = get(&place);
        if let Some(credentials) = credentials {
            request = request.header(header::AUTHORIZATION, credentials);
        }
        let reply = fixture.call(request).await;
        assert_eq!((reply.status.as_u16(), beyond.asked().len()), (expected, usize::from(expected == 204)), "{number}");
    }
}

#[tokio::test]
async fn an_answer_comes_back_without_what_speaks_for_another_origin() {
    let page = Response::builder()
        .status(203)
        .header(header::SET_COOKIE, "session-id=1")
        .header(header::STRICT_TRANSPORT_SECURITY, "max-age=1")
        .header("access-control-allow-origin", "*")
        .header(header::CACHE_CONTROL, "public, max-age=600")
        .header(header::CONTENT_TYPE, "text/html")
        .header("x-amzn-requestid", "r1")
        .body(Body::from("<script>"))
        .unwrap();
    let (fixture, _) = fixture([page]).await;
    let ada = fixture.user("ada@example.com").await;
    let connection = fixture.connection(&ada).await;
    let request = get(&path(connection, "v2/x")).header(header::AUTHORIZATION, fixture.bearer(&ada).await);
    let reply = fixture.call(request).await;
    assert_eq!((reply.status.as_u16(), reply.body.as_str()), (203, "<script>"));
    let shown = ["set-cookie", "access-control-allow-origin", "cache-control", "content-type", "x-amzn-requestid"];
    assert_eq!(shown.map(|name| reply.header(name)), ["", "", "no-store", "text/html", "r1"]);
    assert_ne!(reply.header("strict-transport-security"), "max-age=1");
    assert_eq!(reply.header("content-security-policy"), "sandbox; default-src 'none'");
}

#[tokio::test]
async fn a_permission_passes_and_says_that_it_is_not_the_session() {
    let details = "Not authorized to access scope 1";
    let (fixture, beyond) = fixture([refusal(details)]).await;
    let ada = fixture.user("ada@example.com").await;
    let connection = fixture.connection(&ada).await;
    let request = get(&path(connection, "v2/x")).header(header::AUTHORIZATION, fixture.bearer(&ada).await);
    let reply = fixture.call(request).await;
    assert_eq!((reply.status.as_u16(), reply.json["details"].as_str()), (401, Some(details)));
    assert_eq!((reply.header("evergrant-outcome"), reply.header("www-authenticate")), ("answered", ""));
    assert_eq!((beyond.asked().len(), fixture.row(connection).await.version.number()), (1, 1));
}

#[tokio::test]
async fn a_refused_token_is_refreshed_and_nobody_notices() {
    let (fixture, beyond) = fixture([refusal("Authentication failed")]).await;
    let ada = fixture.user("ada@example.com").await;
    let connection = fixture.connection(&ada).await;
    // The token is not as new as one that is refused for other reasons.
    fixture.clock.advance(Duration::from_mins(5)).await;
    fixture.run();
    fixture.run_workers();
    let request = post(&path(connection, "v2/x")).header(header::AUTHORIZATION, fixture.bearer(&ada).await);
    let reply = fixture.call_json(request, &json!([1])).await;
    assert_eq!((reply.status.as_u16(), reply.header("evergrant-retries")), (204, "1"), "{}", reply.body);
    let asked = beyond.asked();
    assert_ne!(asked[0].headers[header::AUTHORIZATION], asked[1].headers[header::AUTHORIZATION]);
    assert_eq!((&asked[0].body, &asked[1].body), (&b"[1]".to_vec(), &b"[1]".to_vec()));
    assert_eq!(fixture.row(connection).await.version.number(), 2);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_is_told_in_the_apis_own_words() {
    let (fixture, _) = fixture((0..4).map(|_| refusal("Authentication failed"))).await;
    let ada = fixture.user("ada@example.com").await;
    let connection = fixture.connection(&ada).await;
    fixture.clock.advance(Duration::from_mins(5)).await;
    fixture.run();
    fixture.run_workers();
    let request = get(&path(connection, "v2/x")).header(header::AUTHORIZATION, fixture.bearer(&ada).await);
    let reply = fixture.call(request).await;
    assert_eq!((reply.status.as_u16(), reply.json["details"].as_str()), (401, Some("Authentication failed")));
    assert_eq!(reply.header("evergrant-outcome"), "rejected");
    // Not one refresh for each try.
    assert_eq!(fixture.row(connection).await.version.number(), 2);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_begun() {
    let (fixture, beyond) = fixture([]).await;
    let ada = fixture.user("ada@example.com").await;
    let connection = fixture.connection(&ada).await;
    let bearer = fixture.bearer(&ada).await;
    for (length, expected) in [(100, 204), (101, 413)] {
        let pieces = futures::stream::iter((0..length).map(|_| Ok::<_, std::convert::Infallible>("x")));
        for body in [Body::from("x".repeat(length)), Body::from_stream(pieces)] {
            let request = post(&path(connection, "v2/x")).header(header::AUTHORIZATION, &bearer).body(body).unwrap();
            let reply = fixture.send(request).await;
            assert_eq!(reply.status.as_u16(), expected, "{length}: {}", reply.body);
        }
    }
    assert_eq!(beyond.asked().len(), 2);
}

#[tokio::test]
async fn what_stops_a_call_here_is_a_problem() {
    let (answering, beyond) = fixture([]).await;
    let ada = answering.user("ada@example.com").await;
    let connection = answering.connection(&ada).await;
    let bearer = answering.bearer(&ada).await;
    let ask = async |fixture: &Fixture, path: &str, bearer: &str| {
        let reply = fixture.call(get(path).header(header::AUTHORIZATION, bearer)).await;
        assert_eq!(reply.header("evergrant-outcome"), "");
        (reply.status.as_u16(), reply.problem().to_owned())
    };
    for rest in ["/evil.example.com/", "a/../../b", "%2e%2e/b", "a%5cb"] {
        let problem = ask(&answering, &path(connection, rest), &bearer).await;
        assert_eq!(problem, (400, "invalid-request".to_owned()), "{rest}");
    }
    assert_eq!(ask(&answering, "/api/amc/nobody/v2/x", &bearer).await.0, 422);
    assert!(beyond.asked().is_empty());

    let nobody_there = Fixture::new();
    let ada = nobody_there.user("ada@example.com").await;
    let place = path(nobody_there.connection(&ada).await, "v2/x");
    let bearer = nobody_there.bearer(&ada).await;
    assert_eq!(ask(&nobody_there, &place, &bearer).await, (502, "bad-gateway".to_owned()));
}
