//! Every fault, as the client sees it.

use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDateTime};
use evergrant_sim::{ErrorBody, Fault, FaultKind, Rotation, SimOptions, Target};
use reqwest::Method;
use serde_json::json;

use crate::client::Bench;

const STRICT: Rotation = Rotation::Strict { retry_until_successor_used: false };

async fn bench() -> (Bench, String) {
    let bench = Bench::with(STRICT).await;
    let token = bench.sim.grant("ann").refresh_token;
    (bench, token)
}

/// The innermost reason of an error, which is where "connection reset" is told from "connection closed".
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string().to_lowercase()
}

#[tokio::test]
async fn status_with_each_body() {
    let (bench, token) = bench().await;
    bench.fault(json!({"kind": "status", "status": 503})).await;
    let reply = bench.refresh(&token).await;
    assert_eq!((reply.status.as_u16(), reply.error().as_str()), (503, "temporarily_unavailable"));
    bench.fault(json!({"kind": "status", "status": 500, "body": "html"})).await;
    let reply = bench.refresh(&token).await;
    assert!(reply.status == 500 && reply.body.starts_with("<!DOCTYPE html>"), "{reply:?}");
    bench.fault(json!({"kind": "status", "status": 502, "body": "empty"})).await;
    let reply = bench.refresh(&token).await;
    assert_eq!((reply.status.as_u16(), reply.body.as_str()), (502, ""));
    bench.clear().await;
    bench.rotate(&token).await;
    assert_eq!(bench.sim.stats().faults["status"], 3);
}

#[tokio::test]
async fn throttling_with_and_without_retry_after() {
    let (bench, token) = bench().await;
    bench.fault(json!({"kind": "throttle"})).await;
    let reply = bench.refresh(&token).await;
    assert!(reply.status == 429 && !reply.headers.contains_key("retry-after"), "{reply:?}");
    bench.fault(json!({"kind": "throttle", "retry_after_secs": 7})).await;
    assert_eq!(bench.refresh(&token).await.headers["retry-after"], "7");
    bench.fault(json!({"kind": "throttle", "retry_after_secs": 3600, "as_date": true})).await;
    let reply = bench.refresh(&token).await;
    let asked = reply.headers["retry-after"].to_str().unwrap();
    let until = NaiveDateTime::parse_from_str(asked, "%a, %d %b %Y %H:%M:%S GMT").unwrap().and_utc();
    let issued = DateTime::parse_from_rfc2822(reply.headers["date"].to_str().unwrap()).unwrap();
    assert!((3595..=3605).contains(&(until - issued.to_utc()).num_seconds()), "{asked}");
    bench.fault(json!({"kind": "throttle", "retry_after_secs": u64::MAX, "as_date": true})).await;
    assert_eq!(bench.refresh(&token).await.headers["retry-after"], "Fri, 31 Dec 9999 23:59:59 GMT");
    bench.clear().await;
    bench.rotate(&token).await;
}

#[tokio::test]
async fn reset_is_an_error_without_effect() {
    let (bench, token) = bench().await;
    bench.fault(json!({"kind": "reset", "count": 1})).await;
    let error = bench.try_refresh(&token).await.unwrap_err();
    assert!(root_cause(&error).contains("reset"), "{error:?}");
    assert_eq!(bench.sim.stats().refreshes, 0);
    bench.rotate(&token).await;
}

#[tokio::test]
async fn a_lost_reply_is_an_error_with_effect() {
    let (bench, token) = bench().await;
    bench.fault(json!({"kind": "lost_reply", "count": 1})).await;
    let error = bench.try_refresh(&token).await.unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
    assert_eq!(bench.sim.stats().refreshes, 1);
    assert_eq!(bench.entry("ann").counts.lost_replies, 1);
}

#[tokio::test]
async fn connections_are_cut_also_when_they_have_been_used_before() {
    let bench = Bench::with(Rotation::Off).await;
    let token = bench.sim.grant("ann").refresh_token;
    for kind in ["reset", "lost_reply"] {
        bench.rotate(&token).await;
        bench.fault(json!({"kind": kind, "count": 1})).await;
        bench.try_refresh(&token).await.unwrap_err();
        bench.rotate(&token).await;
    }
}

#[tokio::test]
async fn a_hang_lasts_until_the_client_has_enough_or_the_limit() {
    let (bench, token) = bench().await;
    bench.fault(json!({"kind": "hang", "ms": 60_000})).await;
    let impatient = bench.refresh_request(&token).timeout(Duration::from_millis(50));
    assert!(bench.send(impatient).await.unwrap_err().is_timeout());
    bench.fault(json!({"kind": "hang", "ms": 30})).await;
    let error = bench.try_refresh(&token).await.unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
    bench.clear().await;
    bench.rotate(&token).await;
    assert_eq!(bench.entry("ann").counts.concurrent_refreshes, 1, "the call of the client that left has ended");
}

#[tokio::test]
async fn latency_is_waited_for() {
    let options = SimOptions { latency: Duration::from_millis(20), ..SimOptions::default() };
    let bench = Bench::start(options).await;
    let token = bench.sim.grant("ann").refresh_token;
    bench.fault(json!([{"kind": "latency", "ms": 30, "jitter_ms": 5}])).await;
    let started = Instant::now();
    bench.rotate(&token).await;
    assert!(started.elapsed() >= Duration::from_millis(50), "{:?}", started.elapsed());
    assert!(bench.sim.stats().token_latency.max_ms >= 50.0);
}

#[tokio::test]
async fn bodies_arrive_slowly_or_by_half() {
    let (bench, token) = bench().await;
    bench.fault(json!({"kind": "slow_body", "ms": 40, "count": 1})).await;
    let started = Instant::now();
    let token = bench.rotate(&token).await;
    assert!(started.elapsed() >= Duration::from_millis(40), "{:?}", started.elapsed());
    assert_eq!(bench.entry("ann").counts.lost_replies, 0);

    bench.fault(json!({"kind": "truncated_body", "count": 1})).await;
    let mut response = bench.refresh_request(&token).send().await.expect("the head arrives");
    assert_eq!(response.status(), 200);
    let piece = response.chunk().await.unwrap().expect("half of the body arrives");
    assert!(piece.starts_with(b"{\"access_token\""), "{piece:?}");
    response.chunk().await.expect_err("the other half does not");
    assert_eq!(bench.entry("ann").counts.lost_replies, 1);
}

#[tokio::test]
async fn answers_of_200_that_hold_no_token() {
    let (bench, token) = bench().await;
    bench.fault(json!({"kind": "no_access_token"})).await;
    let reply = bench.refresh(&token).await;
    assert!(reply.status == 200 && reply.json().get("access_token").is_none(), "{reply:?}");
    bench.fault(json!({"kind": "html_ok"})).await;
    let reply = bench.refresh(&token).await;
    assert!(reply.status == 200 && reply.body.starts_with("<!DOCTYPE html>"), "{reply:?}");
    assert_eq!(bench.sim.stats().refreshes, 0);
    bench.clear().await;
    bench.rotate(&token).await;
}

#[tokio::test]
async fn an_answer_without_a_new_refresh_token_leaves_the_old_one_good() {
    let (bench, token) = bench().await;
    bench.fault(json!({"kind": "empty_refresh_token", "count": 1})).await;
    assert_eq!(bench.refresh(&token).await.text("refresh_token"), "");
    bench.fault(json!({"kind": "no_refresh_token", "count": 1})).await;
    let reply = bench.refresh(&token).await;
    assert!(reply.json().get("refresh_token").is_none(), "{reply:?}");
    assert_eq!(bench.profiles(&reply.text("access_token")).await.status, 200);
    bench.rotate(&token).await;
    assert_eq!(bench.entry("ann").counts.spent_twice, 0);
}

#[tokio::test]
async fn odd_lifetimes() {
    let bench = Bench::with(Rotation::Off).await;
    let token = bench.sim.grant("ann").refresh_token;
    for odd in [json!("3600"), json!(0), json!(-1), json!(1e18), json!(3599.5), json!([])] {
        bench.fault(json!({"kind": "expires_in", "value": odd})).await;
        assert_eq!(bench.refresh(&token).await.json()["expires_in"], odd);
    }
    bench.fault(json!({"kind": "expires_in"})).await;
    assert!(bench.refresh(&token).await.json().get("expires_in").is_none());
}

#[tokio::test]
async fn false_invalid_grants_pass() {
    let (bench, token) = bench().await;
    bench.sim.set_faults_for("ann", [Fault::new(FaultKind::InvalidGrant {}).times(2)]);
    bench.refuse(&token).await;
    bench.refuse(&token).await;
    bench.rotate(&token).await;
    assert_eq!(bench.entry("ann").state, "live");
}

#[tokio::test]
async fn an_unlimited_invalid_grant_of_one_user_is_a_revocation() {
    let (bench, token) = bench().await;
    let path = "/sim/faults/ann";
    assert_eq!(bench.control(Method::PUT, path, json!({"kind": "invalid_grant"})).await.status, 204);
    bench.refuse(&token).await;
    assert_eq!(bench.control(Method::DELETE, path, json!(null)).await.status, 204);
    bench.refuse(&token).await;
    assert_eq!(bench.entry("ann").state, "revoked");
}

#[tokio::test]
async fn invalid_client_is_401_and_costs_no_grant_anything() {
    let (bench, token) = bench().await;
    bench.fault(json!({"kind": "invalid_client", "count": 1})).await;
    let reply = bench.refresh(&token).await;
    assert_eq!((reply.status.as_u16(), reply.error().as_str()), (401, "invalid_client"));
    bench.rotate(&token).await;
}

#[tokio::test]
async fn one_user_is_struck_and_the_others_are_not() {
    let (bench, token) = bench().await;
    let other = bench.sim.grant("bob").refresh_token;
    bench.sim.set_faults_for("ann", [Fault::new(FaultKind::Status { status: 500, body: ErrorBody::Json })]);
    assert_eq!(bench.refresh(&token).await.status, 500);
    bench.rotate(&other).await;
    bench.sim.clear_faults();
    bench.rotate(&token).await;
}

#[tokio::test]
async fn a_plan_over_time_strikes_in_its_window_only() {
    let (bench, token) = bench().await;
    let hour = Duration::from_hours(1);
    bench.sim.set_faults([Fault::new(FaultKind::Reset {}).between(hour, 2 * hour)]);
    let token = bench.rotate(&token).await;
    bench.sim.set_faults([Fault::new(FaultKind::Reset {}).between(Duration::ZERO, hour)]);
    bench.try_refresh(&token).await.unwrap_err();
}

#[tokio::test]
async fn faults_of_the_api() {
    let (bench, token) = bench().await;
    let access = bench.sim.grant("bob").access_token;
    bench.fault(json!({"kind": "api_error", "status": 401, "details": "Not authorized to access scope 1"})).await;
    let reply = bench.profiles(&access).await;
    assert_eq!((reply.status.as_u16(), reply.text("code").as_str()), (401, "401"));
    assert_eq!(reply.text("details"), "Not authorized to access scope 1");
    bench.sim.set_faults([Fault::new(FaultKind::Reset {}).on(Target::Api)]);
    let request = bench.authorize(bench.http.get(bench.url("/v2/profiles")), &access, &[]);
    bench.send(request).await.unwrap_err();
    bench.rotate(&token).await;
}
