//! What a provider sees of us, and what we keep of its answer.

use axum::response::IntoResponse;
use evergrant_contract::ports::{Clock, Provider};
use evergrant_contract::timing::after;
use evergrant_contract::verdict::{Confirmation, Rotation, Verdict};
use std::time::Duration;

use crate::server::{App, CLIENT_ID, Endpoint};

const OK: &str = include_str!("../answers/amazon-ok.json");

#[tokio::test]
async fn amazon_is_asked_as_amazon_documents_it() {
    let endpoint = Endpoint::start(|_| ([("x-amzn-requestid", "4f1c-77")], OK).into_response()).await;
    let answer = App::of("amazon-na", endpoint.address).refresh().await;
    let seen = endpoint.seen().pop().expect("a request");
    assert_eq!(seen.path, "/token");
    let header = |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    assert_eq!(header("content-type").as_deref(), Some("application/x-www-form-urlencoded;charset=UTF-8"));
    assert_eq!(header("accept").as_deref(), Some("application/json"));
    assert_eq!(header("user-agent"), Some(format!("evergrant/{}", env!("CARGO_PKG_VERSION"))));
    assert_eq!(header("authorization"), None);
    let expected = format!(
        "grant_type=refresh_token&refresh_token=Atzr%7CIwEBIJ7kQm9yZWZyZXNoLXRva2Vu&client_id={CLIENT_ID}\
         &client_secret=amzn1.oa2-cs.v1.c2VjcmV0LW9mLXRoZS1hcHA"
    );
    assert_eq!(seen.body, expected);
    assert_eq!(answer.trace.request_id.as_deref(), Some("4f1c-77"));
}

#[tokio::test]
async fn slack_gets_its_credentials_in_the_header_and_microsoft_its_scopes() {
    let endpoint = Endpoint::start(|_| OK.into_response()).await;
    App::of("slack", endpoint.address).refresh().await;
    App::of("microsoft", endpoint.address).refresh().await;
    let seen = endpoint.seen();
    let authorization = seen[0].headers["authorization"].to_str().expect("text");
    assert!(authorization.starts_with("Basic "));
    assert!(!seen[0].body.contains("client_"), "{}", seen[0].body);
    assert!(seen[1].body.contains("&scope=a+b&"), "{}", seen[1].body);
}

#[tokio::test]
async fn times_count_from_before_the_request() {
    let endpoint = Endpoint::start(|_| include_str!("../answers/github-ok.json").into_response()).await;
    let app = App::of("github", endpoint.address);
    let before = app.clock.now();
    let answer = app.refresh().await;
    assert_eq!(answer.sent_at, before);
    let Verdict::Refreshed(tokens) = answer.verdict else { unreachable!("it is a success") };
    assert_eq!(tokens.lifetime, Duration::from_hours(8));
    assert_eq!(tokens.refresh_expires_at, Some(after(before, Duration::from_hours(184 * 24))));
}

#[tokio::test]
async fn the_policy_is_the_descriptors() {
    let app = App::of("microsoft", ([127, 0, 0, 1], 9).into());
    let policy = app.provider.policy();
    assert_eq!(policy.name.as_str(), "microsoft");
    assert_eq!(policy.rotation, Rotation::Optional);
    assert_eq!(policy.confirmation, Confirmation::Spaced { times: 3, every_ms: 120_000 });
    assert_eq!(policy.call_timeout, Duration::from_secs(10));
}
