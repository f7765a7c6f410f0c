//! Answers that do not come, or not whole, or not from where they should.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{Clock, Provider};
use evergrant_contract::verdict::{Answer, Verdict, VerdictKind};
use tokio::net::TcpListener;

use crate::server::{After, App, Endpoint, raw};

/// Short, since these tests wait for it in real time.
const SOON: Duration = Duration::from_millis(300);

fn assert_transient(answer: &Answer, status: Option<u16>, ambiguous: bool, message: &str) {
    assert_eq!(answer.verdict.kind(), VerdictKind::Transient);
    assert_eq!((answer.trace.status, answer.trace.ambiguous), (status, ambiguous), "{}", answer.trace.message);
    assert!(answer.trace.message.contains(message), "{}", answer.trace.message);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Endpoint::start(|_| StatusCode::OK.into_response()).await;
    let url = format!("http://{}/stolen", elsewhere.address);
    for status in [StatusCode::MOVED_PERMANENTLY, StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT] {
        let url = url.clone();
        let endpoint = Endpoint::start(move |_| (status, [(header::LOCATION, url.clone())]).into_response()).await;
        let answer = App::of("amazon-na", endpoint.address).refresh().await;
        assert_transient(&answer, Some(status.as_u16()), false, "no token was issued");
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn an_answer_of_any_length_is_read_up_to_the_limit() {
    let fits = "x".repeat(64 * 1024);
    let endpoint = Endpoint::start(move |_| fits.clone().into_response()).await;
    let answer = App::of("amazon-na", endpoint.address).refresh().await;
    assert!(matches!(answer.verdict, Verdict::Unusable(raw) if raw.expose().len() == 64 * 1024));

    let endpoint = Endpoint::start(|_| "x".repeat(64 * 1024 + 1).into_response()).await;
    let answer = App::of("amazon-na", endpoint.address).refresh().await;
    assert_transient(&answer, Some(200), true, "more than 65536 bytes");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_ambiguous() {
    let address = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access_token\":", After::Hang).await;
    let answer = App::with("amazon-na", address, None, SOON).refresh().await;
    assert_transient(&answer, Some(200), true, "did not answer in time");
}

#[tokio::test]
async fn a_body_that_is_cut_is_ambiguous() {
    let address = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access_token\":", After::Close).await;
    let answer = App::of("amazon-na", address).refresh().await;
    assert_transient(&answer, Some(200), true, "broke before the answer was complete");
}

#[tokio::test]
async fn silence_a_reset_and_a_closed_connection_are_ambiguous() {
    let address = raw(b"", After::Hang).await;
    let answer = App::with("amazon-na", address, None, SOON).refresh().await;
    assert_transient(&answer, None, true, "did not answer in time");
    let address = raw(b"", After::Reset).await;
    let answer = App::of("amazon-na", address).refresh().await;
    assert_transient(&answer, None, true, "broke before the answer was complete");
    let address = raw(b"", After::Close).await;
    let answer = App::of("amazon-na", address).refresh().await;
    assert_transient(&answer, None, true, "broke before the answer was complete");
}

#[tokio::test]
async fn a_request_that_never_left_is_not_ambiguous() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let answer = App::of("amazon-na", address).refresh().await;
    assert_transient(&answer, None, false, "no connection to the provider");
}

#[tokio::test]
async fn a_pause_is_kept_to_by_every_call_of_the_app() {
    for (header, pause) in [("120", 120), ("Fri, 15 Jan 2027 08:01:00 GMT", 60), ("999999999", 3600)] {
        let answer = move |_: &_| (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, header)]).into_response();
        let endpoint = Endpoint::start(answer).await;
        let app = App::of("amazon-na", endpoint.address);
        let pause = Duration::from_secs(pause);
        assert_eq!(app.clock.now().to_rfc3339(), "2027-01-15T08:00:00+00:00", "the date above is relative to it");
        let answer = app.refresh().await;
        assert!(matches!(answer.verdict, Verdict::Throttled(Some(asked)) if asked == pause), "{header}");
        assert_eq!(app.provider.admit(JobKind::RefreshDue, Duration::from_secs(1)).await, Err(pause));
        app.clock.advance(pause).await;
        assert_eq!(app.provider.admit(JobKind::RefreshDue, Duration::ZERO).await, Ok(()));
    }
}

#[tokio::test]
async fn a_pause_of_unknown_length_pauses_nothing() {
    let endpoint = Endpoint::start(|_| StatusCode::TOO_MANY_REQUESTS.into_response()).await;
    let app = App::of("amazon-na", endpoint.address);
    assert!(matches!(app.refresh().await.verdict, Verdict::Throttled(None)));
    assert_eq!(app.provider.admit(JobKind::RefreshDue, Duration::ZERO).await, Ok(()));
}
