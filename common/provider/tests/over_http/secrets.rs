//! Two client secrets, and secrets that must not be shown.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use evergrant_contract::verdict::VerdictKind;
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

use crate::server::{App, Endpoint, NEXT_SECRET, REFRESH_TOKEN, SECRET, Seen};

const OK: &str = include_str!("../answers/amazon-ok.json");
const REFUSED: &str = include_str!("../answers/amazon-invalid-client.json");
const ENDED: &str = include_str!("../answers/amazon-invalid-grant.json");

const TIMEOUT: Duration = Duration::from_secs(10);

fn takes(secret: &'static str, taken: (StatusCode, &'static str)) -> impl Fn(&Seen) -> Response {
    move |seen| {
        let right = seen.body.ends_with(&format!("client_secret={secret}"));
        if right { taken.into_response() } else { (StatusCode::UNAUTHORIZED, REFUSED).into_response() }
    }
}

#[tokio::test]
async fn the_next_secret_is_tried_at_once_and_preferred_from_then_on() {
    for (status, body, verdict) in
        [(StatusCode::OK, OK, VerdictKind::Refreshed), (StatusCode::BAD_REQUEST, ENDED, VerdictKind::GrantInvalid)]
    {
        let endpoint = Endpoint::start(takes(NEXT_SECRET, (status, body))).await;
        let app = App::with("amazon-na", endpoint.address, Some(NEXT_SECRET), TIMEOUT);
        assert_eq!(app.refresh().await.verdict.kind(), verdict);
        assert_eq!(endpoint.seen().len(), 2);
        assert_eq!(app.refresh().await.verdict.kind(), verdict);
        assert_eq!(endpoint.seen().len(), 3);
    }
}

#[tokio::test]
async fn without_a_next_secret_there_is_one_call() {
    let endpoint = Endpoint::start(takes(NEXT_SECRET, (StatusCode::OK, OK))).await;
    assert_eq!(App::of("amazon-na", endpoint.address).refresh().await.verdict.kind(), VerdictKind::AppFault);
    assert_eq!(endpoint.seen().len(), 1);
}

#[tokio::test]
async fn two_refused_secrets_are_the_apps_fault() {
    let endpoint = Endpoint::start(takes("neither", (StatusCode::OK, OK))).await;
    let app = App::with("amazon-na", endpoint.address, Some(NEXT_SECRET), TIMEOUT);
    let answer = app.refresh().await;
    assert_eq!((answer.verdict.kind(), answer.trace.code.as_deref()), (VerdictKind::AppFault, Some("invalid_client")));
    assert_eq!(endpoint.seen().len(), 2);
}

#[tokio::test]
async fn only_a_refused_secret_calls_for_the_other() {
    let unauthorized = include_str!("../answers/amazon-unauthorized-client.json");
    let endpoint = Endpoint::start(move |_| (StatusCode::BAD_REQUEST, unauthorized).into_response()).await;
    let app = App::with("amazon-na", endpoint.address, Some(NEXT_SECRET), TIMEOUT);
    assert_eq!(app.refresh().await.verdict.kind(), VerdictKind::AppFault);
    assert_eq!(endpoint.seen().len(), 1);
}

#[tokio::test]
async fn an_outage_prefers_no_secret() {
    let endpoint = Endpoint::start(takes(NEXT_SECRET, (StatusCode::BAD_GATEWAY, ""))).await;
    let app = App::with("amazon-na", endpoint.address, Some(NEXT_SECRET), TIMEOUT);
    for calls in [2, 4] {
        assert_eq!(app.refresh().await.verdict.kind(), VerdictKind::Transient);
        assert_eq!(endpoint.seen().len(), calls);
    }
}

/// An answer that says a secret wherever a provider can say something.
fn telling(
    secret: &str,
    before: &str,
    after: &str,
    how: u8,
    status: u16,
) -> (StatusCode, [(&'static str, String); 1], String) {
    let told = format!("{before}{secret}{after}");
    let body = match how {
        0 => json!({"error": "invalid_grant", "error_description": told}),
        1 => json!({"error": secret, "error_description": secret}),
        2 => json!({"error": told, "request_id": secret, "error_description": format!("{before} '{secret}'")}),
        3 => json!({"access_token": secret, "refresh_token": secret, "request_id": secret}),
        4 => json!({"refresh_token": secret, "error": "x", "error_description": told}),
        _ => json!([told]),
    };
    (StatusCode::from_u16(status).expect("a status"), [("x-amzn-requestid", secret.to_owned())], body.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_that_was_sent_or_received_is_in_a_trace(
        which in 0_usize..4, received in "[A-Za-z0-9_|-]{12,60}", before in ".{0,30}", after in ".{0,30}",
        how in 0_u8..6, status in prop_oneof![Just(200_u16), Just(400), Just(401), Just(403), Just(429), Just(500)],
    ) {
        // A received token is known as one only where the answer calls it so.
        let (secret, how) =
            if which == 3 { (received.as_str(), 3 + how % 2) } else { ([REFRESH_TOKEN, SECRET, NEXT_SECRET][which], how) };
        let (secret, answer) = (secret.to_owned(), telling(secret, &before, &after, how, status));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let trace = runtime.block_on(async move {
            let endpoint = Endpoint::start(move |_| answer.clone().into_response()).await;
            App::with("amazon-na", endpoint.address, Some(NEXT_SECRET), TIMEOUT).refresh().await.trace
        });
        for shown in [Some(trace.message), trace.code, trace.request_id].into_iter().flatten() {
            prop_assert!(!shown.contains(&secret), "{shown}");
        }
    }
}
