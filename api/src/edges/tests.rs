//! The edges, through the whole router.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, Request, StatusCode, header};
use axum::routing::get as route_get;
use evergrant_contract::event::Event;
use evergrant_contract::ports::Clock as _;
use tower::ServiceExt as _;

use super::around;
use super::trace::TraceContext;
use crate::fixture::{Fixture, get, post};
use crate::page::Page;
use crate::state::Api;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A router with handlers of the test's own within the edges.
fn edges(fixture: &Fixture, brief: Router<Arc<Api>>, lasting: Router<Arc<Api>>) -> Router {
    around(Arc::clone(&fixture.api), brief, lasting, Page::built())
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_browsers_from_guessing() {
    let fixture = Fixture::new();
    for path in ["/healthz", "/metrics", "/api/health", "/api/nothing", "/nothing"] {
        let answer = fixture.call(get(path)).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("strict-transport-security", "max-age=63072000"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{name} of {path}");
        }
        let cached = if path.starts_with("/api/") { "no-store" } else { "" };
        assert_eq!(answer.header("cache-control"), cached, "{path}");
        assert!(answer.header("permissions-policy").contains("camera=()"));
        assert_eq!(answer.headers.get_all(header::CONTENT_SECURITY_POLICY).iter().count(), 1);
    }
    let plain = Fixture::with(|settings| settings.public_url = "http://127.0.0.1:8080/".parse().unwrap());
    assert_eq!(plain.call(get("/api/health")).await.header("strict-transport-security"), "");
}

#[tokio::test]
async fn a_request_keeps_its_id_and_its_trace() {
    let fixture = Fixture::new();
    let answer =
        fixture.call(get("/api/nothing").header("x-request-id", "web-1").header("traceparent", TRACEPARENT)).await;
    assert_eq!((answer.header("x-request-id"), answer.json["request_id"].as_str()), ("web-1", Some("web-1")));
    assert!(answer.header("traceparent").starts_with(&TRACEPARENT[..36]), "{}", answer.header("traceparent"));
    assert_ne!(answer.header("traceparent"), TRACEPARENT, "with a span of our own");
    let other = fixture.call(get("/api/nothing").header("x-request-id", "two words")).await;
    assert!(uuid::Uuid::try_parse(other.header("x-request-id")).is_ok());
    assert!(!other.header("traceparent").starts_with(&TRACEPARENT[..36]));
}

#[tokio::test]
async fn a_handler_knows_the_trace_that_its_answer_names() {
    let fixture = Fixture::new();
    let tell = route_get(|| async { TraceContext::current().unwrap() });
    let router = edges(&fixture, Router::new().route("/api/tell", tell), Router::new());
    let response = router.oneshot(get("/api/tell").body(Body::empty()).unwrap()).await.unwrap();
    let named = response.headers()["traceparent"].to_str().unwrap().to_owned();
    let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    assert_eq!(body, named.as_bytes());
}

#[tokio::test]
async fn a_route_that_is_none_and_a_method_that_is_none_are_problems() {
    let fixture = Fixture::new();
    let answer = fixture.call(get("/api/auth/nothing")).await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::NOT_FOUND, "not-found"));
    for (path, allow) in [("/api/auth/me", "GET,HEAD"), ("/healthz", "GET,HEAD")] {
        let answer = fixture.call(Request::delete(path)).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (405, "method-not-allowed"), "{path}");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}

#[tokio::test]
async fn a_panic_is_answered_and_says_nothing() {
    async fn panics() -> &'static str {
        assert!(std::hint::black_box(false), "s3cret");
        "unreachable"
    }
    let fixture = Fixture::new();
    let router = edges(&fixture, Router::new().route("/api/panics", route_get(panics)), Router::new());
    let response = router.oneshot(get("/api/panics").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()["x-frame-options"], "DENY", "it passes the edges like any other");
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains("problems/internal") && !body.contains("s3cret"), "{body}");
}

#[tokio::test]
async fn a_brief_request_has_a_time_limit_and_a_lasting_one_has_none() {
    let fixture = Fixture::new();
    let clock = Arc::clone(&fixture.clock);
    let slow = move |long: Duration| {
        let clock = Arc::clone(&clock);
        route_get(move || async move {
            clock.sleep(long).await;
            "done"
        })
    };
    let limit = fixture.api.settings.request_timeout;
    let brief = Router::new().route("/api/short", slow(limit / 2)).route("/api/long", slow(2 * limit));
    let router = edges(&fixture, brief, Router::new().route("/api/stream", slow(10 * limit)));
    let ask = |path: &str| {
        let (router, request) = (router.clone(), get(path).body(Body::empty()).unwrap());
        tokio::spawn(async move { router.oneshot(request).await.unwrap() })
    };
    let (short, long, stream) = (ask("/api/short"), ask("/api/long"), ask("/api/stream"));
    fixture.clock.until_asleep(5).await;
    fixture.clock.advance(3 * limit).await;
    assert_eq!(short.await.unwrap().status(), StatusCode::OK);
    let ended = long.await.unwrap();
    assert_eq!((ended.status().as_u16(), ended.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    assert!(!stream.is_finished());
    fixture.clock.advance(10 * limit).await;
    assert_eq!(stream.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn requests_beyond_the_room_are_turned_away_and_probes_are_not() {
    let fixture = Fixture::with(|settings| settings.in_flight_max = 2);
    let body = || async { Body::from("x") };
    let stream = || async { ([(header::CONTENT_TYPE, "text/event-stream")], "data: x\n\n") };
    let lasting = Router::new().route("/api/body", route_get(body)).route("/api/stream", route_get(stream));
    let router = edges(&fixture, Router::new(), lasting);
    let ask = async |path: &str| router.clone().oneshot(get(path).body(Body::empty()).unwrap()).await.unwrap();
    // Streams take no place, however long they stay.
    let _streams = [ask("/api/stream").await, ask("/api/stream").await, ask("/api/stream").await];
    let (first, _second) = (ask("/api/body").await, ask("/api/body").await);
    let away = ask("/api/body").await;
    assert_eq!(away.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(away.headers()[header::RETRY_AFTER], "1");
    for probe in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(ask(probe).await.status(), StatusCode::OK, "{probe}");
    }
    // A place is free again when the answer is sent to its end.
    axum::body::to_bytes(first.into_body(), 10).await.unwrap();
    assert_eq!(ask("/api/body").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn pages_of_named_origins_may_call_and_strangers_are_refused() {
    let fixture = Fixture::with(|settings| settings.allowed_origins = vec!["https://app.example".to_owned()]);
    let preflight = |origin: &str| {
        Request::options("/api/auth/refresh")
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,x-requested-with")
    };
    let answer = fixture.call(preflight("https://app.example")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    let allowed = answer.header("access-control-allow-headers");
    for name in
        ["authorization", "x-requested-with", "x-request-id", "last-event-id", "amazon-advertising-api-advertiserid"]
    {
        assert!(allowed.contains(name), "{name} in {allowed}");
    }
    for stranger in ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null"] {
        let answer = fixture.call(preflight(stranger)).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::FORBIDDEN, "forbidden"), "{stranger}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
        let answer = fixture.call(get("/api/health").header(header::ORIGIN, stranger)).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{stranger}");
    }
    let answer = fixture.call(get("/api/health").header(header::ORIGIN, "https://app.example")).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    assert!(answer.header("access-control-expose-headers").contains("evergrant-outcome"));
    assert!(answer.headers.get_all(header::VARY).iter().any(|value| value.to_str().unwrap().contains("origin")));
}

#[tokio::test]
async fn without_named_origins_no_answer_speaks_of_any() {
    let fixture = Fixture::new();
    let preflight = Request::options("/api/auth/refresh")
        .header(header::ORIGIN, "https://evil.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
    for request in [preflight, get("/api/health").header(header::ORIGIN, "https://evil.example")] {
        let answer = fixture.call(request).await;
        let speaks = |name: &HeaderName| name.as_str().starts_with("access-control-");
        assert!(!answer.headers.keys().any(speaks), "{:?}", answer.headers);
    }
}

async fn burst(fixture: &Fixture, path: &str, peer: &str, number: usize) -> (usize, Option<u64>) {
    let peer: SocketAddr = peer.parse().unwrap();
    let (mut limited, mut wait) = (0, None);
    for _ in 0..number {
        let mut request = post(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = fixture.send(request).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer.problem(), "rate-limited");
            wait = Some(answer.header("retry-after").parse().unwrap());
            limited += 1;
        }
    }
    (limited, wait)
}

#[tokio::test]
async fn of_120_requests_in_a_burst_all_but_a_minutes_worth_are_limited() {
    let fixture = Fixture::with(|settings| settings.auth_per_minute = 20);
    let path = "/api/auth/login";
    assert_eq!(burst(&fixture, path, "192.0.2.1:1000", 120).await, (100, Some(3)));
    assert_eq!(burst(&fixture, path, "192.0.2.1:2000", 1).await.0, 1, "another port is the same address");
    assert_eq!(burst(&fixture, path, "192.0.2.2:1000", 20).await.0, 0, "another address has a bucket of its own");
    assert_eq!(burst(&fixture, "/api/auth/refresh", "192.0.2.1:1000", 1).await.0, 1, "one bucket for all of them");
    fixture.clock.advance(Duration::from_secs(3)).await;
    assert_eq!(burst(&fixture, path, "192.0.2.1:1000", 2).await.0, 1, "one more every three seconds");
    fixture.clock.advance(Duration::from_mins(1)).await;
    assert_eq!(burst(&fixture, path, "192.0.2.1:1000", 21).await.0, 1, "and after a minute all of them");
}

#[tokio::test]
async fn what_front_ends_poll_is_not_limited_by_address() {
    let fixture = Fixture::with(|settings| settings.auth_per_minute = 1);
    for path in super::limits::POLLED {
        for _ in 0..20 {
            let answer = fixture.call(get(path)).await;
            assert_ne!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
            assert_ne!(answer.status, StatusCode::NOT_FOUND, "{path} is no route");
        }
    }
}

#[tokio::test]
async fn behind_a_proxy_the_address_is_the_one_that_the_proxy_saw() {
    let fixture = Fixture::with(|settings| (settings.auth_per_minute, settings.trusted_proxies) = (1, 1));
    let login = |forwarded: &str| post("/api/auth/login").header("x-forwarded-for", forwarded.to_owned());
    let is_limited =
        async |forwarded: &str| fixture.call(login(forwarded)).await.status == StatusCode::TOO_MANY_REQUESTS;
    assert!(!is_limited("198.51.100.7").await);
    assert!(is_limited("203.0.113.1, 198.51.100.7").await, "what the client wrote itself changes nothing");
    assert!(!is_limited("198.51.100.8").await);
}

#[tokio::test]
async fn a_user_who_refreshes_all_the_time_is_limited_whichever_way_they_show_who_they_are() {
    let fixture = Fixture::with(|settings| settings.auth_per_minute_user = 5);
    let (ada, grace) = (fixture.user("ada@example.com").await, fixture.user("grace@example.com").await);
    let (bearer, cookie) = fixture.sign_in(&ada).await;
    let (graces, _) = fixture.sign_in(&grace).await;
    let by_bearer = |bearer: &str| post("/api/auth/refresh").header(header::AUTHORIZATION, bearer.to_owned());
    let by_cookie = || post("/api/auth/refresh").header(header::COOKIE, cookie.clone()).header("x-requested-with", "t");
    for _ in 0..3 {
        assert_eq!(fixture.call(by_bearer(&bearer)).await.status, StatusCode::OK);
    }
    for _ in 0..2 {
        assert_eq!(fixture.call(by_cookie()).await.status, StatusCode::OK);
    }
    for request in [by_bearer(&bearer), by_cookie()] {
        let answer = fixture.call(request).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (429, "rate-limited"));
        assert_eq!(answer.header("retry-after"), "12");
    }
    assert_eq!(fixture.call(by_bearer(&graces)).await.status, StatusCode::OK, "another user has a bucket of their own");
    let forged = by_cookie().header(header::COOKIE, "__Host-evergrant-session=forged.1.x");
    assert_ne!(fixture.call(forged).await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn too_long_a_body_is_refused() {
    let fixture = Fixture::with(|settings| settings.body_max = 100);
    let body = serde_json::json!({ "email": "ada@example.com", "password": "x".repeat(100) });
    let answer = fixture.call_json(post("/api/auth/login"), &body).await;
    assert_eq!((answer.status.as_u16(), answer.problem()), (413, "body-too-large"));
}

#[tokio::test]
async fn a_trace_goes_with_the_job_through_the_worker_and_comes_back_with_the_event() {
    let fixture = Fixture::new();
    fixture.run();
    fixture.run_workers();
    let ada = fixture.user("ada@example.com").await;
    let connection = fixture.connection(&ada).await;
    fixture.clock.advance(Duration::from_mins(30)).await;
    let bearer = fixture.bearer(&ada).await;
    let request = post(&format!("/api/connections/{connection}/force-refresh"))
        .header(header::AUTHORIZATION, bearer)
        .header("traceparent", TRACEPARENT);
    let answer = fixture.call_json(request, &serde_json::json!({ "observed_version": 1 })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let ours = Some(answer.header("traceparent").to_owned());
    let jobs = fixture.queue.published();
    assert_eq!((jobs.len(), &jobs[0].traceparent), (1, &ours));
    let published = fixture.events.published();
    let [Event::Connection { traceparent, .. }] = &published[..] else { panic!("one event, got {published:?}") };
    assert_eq!(traceparent, &ours);
}
