//! When a call is repeated, and when it is not.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use evergrant_amc::{Call, Client, Error, Method, TokenError, Used};
use evergrant_contract::ids::Version;
use evergrant_contract::state::Reason;
use serde_json::json;

use crate::scripted::{Script, client, client_with, connection, held, until_pause};
use crate::server::{Server, json, refusal, throttle};

const SECOND: Duration = Duration::from_secs(1);

async fn body(client: &Client, call: Call) -> (u16, String, Used) {
    let answer = client.send(connection(), call).await.unwrap();
    let (status, used) = (answer.status.as_u16(), answer.used);
    let body = answer.body.bytes(1_000_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap(), used)
}

#[tokio::test]
async fn a_refused_token_costs_one_question_and_the_call_is_made_again_whole() {
    let server = Server::start([refusal(), json(200, &json!({"made": true}))]).await;
    let tokens = Script::new(Ok(held(&server.url, "old", 4)), [Ok(held(&server.url, "new", 5))]);
    let (client, _) = client(&tokens);
    let call = Call::new(Method::POST, "/amc/reporting/i/workflowExecutions?x=%2F").with_body("application/json", "{}");
    let call = call.with_header("amazon-advertising-api-marketplaceid", "ATVPDKIKX0DER").unwrap();
    let (status, text, used) = body(&client, call).await;
    assert_eq!((status, text.as_str()), (200, r#"{"made":true}"#));
    assert_eq!(used, Used { version: Version::new(5), retries: 1 });
    assert_eq!(tokens.refused(), [4]);
    let asked = server.asked();
    let tokens: Vec<_> = asked.iter().map(|asked| asked.header("authorization")).collect();
    assert_eq!(tokens, ["Bearer old", "Bearer new"]);
    for asked in &asked {
        assert_eq!((&asked.method, asked.path.as_str()), (&Method::POST, "/amc/reporting/i/workflowExecutions?x=%2F"));
        assert_eq!((&asked.body[..], asked.header("content-type")), (&b"{}"[..], "application/json"));
        assert_eq!(asked.header("amazon-advertising-api-marketplaceid"), "ATVPDKIKX0DER");
    }
}

#[tokio::test]
async fn a_permission_is_handed_on_untouched_and_no_token_is_asked_for() {
    let permissions = [
        (401, json!({"code": "401", "details": "Not authorized to access scope 1"})),
        (401, json!({"code": "UNAUTHORIZED", "details": "No matching advertiser found for scope"})),
        (403, json!({"code": "403", "details": "Unauthorized request."})),
        (403, json!({"code": "403", "details": "Authentication failed"})),
    ];
    let server = Server::start(permissions.iter().map(|(status, body)| json(*status, body))).await;
    let tokens = Script::new(Ok(held(&server.url, "good", 1)), []);
    let (client, _) = client(&tokens);
    for (status, expected) in permissions {
        let (got, text, used) = body(&client, Call::get("/v2/campaigns")).await;
        assert_eq!((got, text, used.retries), (status, expected.to_string(), 0));
    }
    assert_eq!((tokens.refused(), server.lines().len()), (vec![], 4));
}

#[tokio::test]
async fn a_401_that_nobody_can_read_may_be_about_the_token() {
    let page = (StatusCode::UNAUTHORIZED, "<html>".repeat(100_000)).into_response();
    let server = Server::start([page, StatusCode::OK.into_response()]).await;
    let tokens = Script::new(Ok(held(&server.url, "old", 1)), [Ok(held(&server.url, "new", 2))]);
    let (client, _) = client(&tokens);
    assert_eq!(body(&client, Call::get("/v2/profiles")).await.0, 200);
    assert_eq!(tokens.refused(), [1]);
}

#[tokio::test]
async fn a_call_is_repeated_so_often_and_then_the_api_is_believed() {
    let server = Server::start([refusal(), refusal(), refusal(), refusal()]).await;
    let newer = [2, 3, 4].map(|version| Ok(held(&server.url, "t", version)));
    let tokens = Script::new(Ok(held(&server.url, "t", 1)), newer);
    let (client, _) = client(&tokens);
    let error = client.send(connection(), Call::get("/v2/profiles")).await.unwrap_err();
    let Error::Rejected { answer: Some(answer) } = error else { panic!("{error}") };
    assert_eq!((answer.status.as_u16(), answer.used), (401, Used { version: Version::new(3), retries: 2 }));
    let text = answer.body.bytes(10_000).await.unwrap();
    assert!(text.starts_with(br#"{"code":"401""#));
    assert_eq!((tokens.refused(), server.lines().len()), (vec![1, 2], 3));
}

#[tokio::test]
async fn without_retries_a_401_is_an_answer_like_any_other() {
    let server = Server::start([refusal()]).await;
    let tokens = Script::new(Ok(held(&server.url, "t", 1)), []);
    let (client, _) = client_with(&tokens, |settings| settings.max_retries = 0);
    assert_eq!(body(&client, Call::get("/v2/profiles")).await.0, 401);
    assert!(tokens.refused().is_empty());
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_ends_it_with_the_apis_own_words() {
    let server = Server::start([refusal(), refusal()]).await;
    let same = Ok(held(&server.url, "t", 1));
    for newer in [Err(TokenError::Rejected), same] {
        let tokens = Script::new(Ok(held(&server.url, "t", 1)), [newer]);
        let (client, _) = client(&tokens);
        let error = client.send(connection(), Call::get("/v2/profiles")).await.unwrap_err();
        assert!(!format!("{error:?}").contains("Authentication"), "{error:?}");
        let Error::Rejected { answer: Some(answer) } = error else { panic!("{error}") };
        assert!(answer.body.bytes(10_000).await.unwrap().starts_with(br#"{"code":"401""#));
        assert_eq!((tokens.refused(), server.lines().len()), (vec![1], 1));
    }
}

#[tokio::test]
async fn why_there_is_no_token_is_told_as_it_is() {
    let retry_after = Duration::from_secs(7);
    let later = || TokenError::Unavailable { retry_after, message: "later".to_owned(), is_app_fault: true };
    let reasons = [
        TokenError::NotFound(connection()),
        TokenError::NeedsReauth(Reason::GrantInvalid),
        later(),
        TokenError::Pending { retry_after },
        TokenError::Refused("no scope".to_owned()),
    ];
    let server = Server::start((0..reasons.len()).map(|_| refusal())).await;
    for reason in reasons {
        let never = Script::new(Err(reason.clone()), []);
        let after_a_refusal = Script::new(Ok(held(&server.url, "t", 1)), [Err(reason.clone())]);
        for tokens in [never, after_a_refusal] {
            let error = client(&tokens).0.send(connection(), Call::get("/v2/profiles")).await.unwrap_err();
            let is_same = match (&reason, &error) {
                (TokenError::NotFound(a), Error::NotFound(b)) => a == b,
                (TokenError::NeedsReauth(a), Error::NeedsReauth { reason: b }) => a == b,
                (
                    TokenError::Unavailable { .. },
                    Error::Unavailable { retry_after: b, message, is_app_fault: true },
                ) => *b == retry_after && message == "later",
                (TokenError::Pending { .. }, Error::Pending { retry_after: b }) => *b == retry_after,
                (TokenError::Refused(a), Error::Refused(b)) => a == b,
                _ => false,
            };
            assert!(is_same, "{reason:?} became {error:?}");
        }
    }
}

#[tokio::test]
async fn a_429_is_waited_for_within_the_budget() {
    // The clock of the tests begins at 08:00:00.
    let date = "Fri, 15 Jan 2027 08:00:06 GMT";
    let server = Server::start([throttle("2"), throttle(date), throttle("0"), json(200, &json!({}))]).await;
    let tokens = Script::new(Ok(held(&server.url, "t", 1)), []);
    let (client, clock) = client(&tokens);
    let sent = tokio::spawn(async move { body(&client, Call::new(Method::POST, "/sp/campaigns")).await });
    // The date is four seconds from the second answer; an API that says "now" is given a second all the same.
    for pause in [2, 4, 1] {
        until_pause(&clock, pause * SECOND).await;
        clock.advance(pause * SECOND).await;
    }
    let (status, _, used) = sent.await.unwrap();
    assert_eq!((status, used.retries, server.lines().len()), (200, 3, 4));
}

#[tokio::test]
async fn a_429_beyond_the_budget_or_without_a_pause_is_handed_on() {
    for (first, second, tries) in [("31", "0", 1), ("soon", "0", 1), ("20", "11", 2)] {
        let server = Server::start([throttle(first), throttle(second)]).await;
        let tokens = Script::new(Ok(held(&server.url, "t", 1)), []);
        let (client, clock) = client(&tokens);
        let sent = tokio::spawn(async move { body(&client, Call::get("/v2/profiles")).await });
        if tries == 2 {
            until_pause(&clock, 20 * SECOND).await;
            clock.advance(20 * SECOND).await;
        }
        let (status, text, _) = sent.await.unwrap();
        assert_eq!((status, text.as_str(), server.lines().len()), (429, "slower", tries));
    }
}

#[tokio::test]
async fn nothing_else_is_repeated() {
    for status in [400, 404, 409, 425, 500, 502, 503, 504] {
        let server = Server::start([json(status, &json!({"code": "x"}))]).await;
        let tokens = Script::new(Ok(held(&server.url, "t", 1)), []);
        let (client, _) = client(&tokens);
        assert_eq!(body(&client, Call::get("/v2/profiles")).await.0, status);
        assert_eq!((tokens.refused(), server.lines().len()), (vec![], 1));
    }
}

#[tokio::test]
async fn a_call_that_would_lead_elsewhere_asks_for_no_token() {
    let tokens = std::sync::Arc::new(Script::default());
    let (client, _) = client(&tokens);
    for path in ["//evil.example.com/", "/a/../../b", "v2/profiles", "/%2e%2e/", "/a#b", "/\\evil"] {
        let error = client.send(connection(), Call::get(path)).await.unwrap_err();
        assert!(matches!(error, Error::BadPath(_)), "{path}: {error}");
    }
}
