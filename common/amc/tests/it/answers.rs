//! What comes back: streams, redirects, and answers that do not arrive.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use evergrant_amc::{Call, Error, Method};
use futures::TryStreamExt as _;
use tokio::net::TcpListener;

use crate::scripted::{CLIENT_ID, Script, client, connection, held, until_pause};
use crate::server::{Server, pieces};

#[tokio::test]
async fn a_body_is_handed_on_piece_by_piece_while_it_comes() {
    let server = Server::start([pieces(["one", "two"], true)]).await;
    let (client, clock) = client(&Script::new(Ok(held(&server.url, "t", 1)), []));
    let mut answer = client.send(connection(), Call::get("/v2/reports/1/download")).await.unwrap();
    let mut got = Vec::new();
    // The rest never comes, and what is here can be read.
    while got.len() < 6 {
        got.extend_from_slice(&answer.body.chunk().await.unwrap().unwrap());
    }
    assert_eq!(got, b"onetwo");
    let rest = tokio::spawn(async move { answer.body.chunk().await });
    until_pause(&clock, Duration::from_mins(1)).await;
    clock.advance(Duration::from_mins(1)).await;
    let error = rest.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Network { maybe_executed: true, .. }), "{error}");
}

#[tokio::test]
async fn a_body_is_a_stream_and_has_a_limit_if_it_is_wanted_whole() {
    let whole = || pieces(["one", "two", "three"], false);
    let server = Server::start([whole(), whole(), whole()]).await;
    let (client, _) = client(&Script::new(Ok(held(&server.url, "t", 1)), []));
    let body = async || client.send(connection(), Call::get("/v2/x")).await.unwrap().body;
    let got: Vec<_> = body().await.into_stream().try_collect().await.unwrap();
    assert_eq!(got.concat(), b"onetwothree");
    assert_eq!(body().await.bytes(11).await.unwrap(), "onetwothree");
    assert!(matches!(body().await.bytes(10).await, Err(Error::BodyTooLong { limit: 10 })));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_the_token_does_not_follow_it() {
    let elsewhere = Server::start([]).await;
    let redirect = (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, elsewhere.url.as_str())]).into_response();
    let server = Server::start([redirect]).await;
    let (client, _) = client(&Script::new(Ok(held(&server.url, "t", 1)), []));
    let answer = client.send(connection(), Call::get("/v2/reports/1/download")).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.headers[header::LOCATION].as_bytes()),
        (307, elsewhere.url.as_str().as_bytes())
    );
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn an_error_says_whether_the_call_may_have_been_carried_out() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", nobody.local_addr().unwrap()).parse().unwrap();
    drop(nobody);
    let (to_nobody, _) = client(&Script::new(Ok(held(&url, "t", 1)), []));
    let error = to_nobody.send(connection(), Call::new(Method::POST, "/v2/x?secret=1")).await.unwrap_err();
    assert!(matches!(error, Error::Network { maybe_executed: false, .. }), "{error}");
    assert!(error.to_string().ends_with("nothing was done") && !error.to_string().contains("secret"), "{error}");

    // Accepts, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap()).parse().unwrap();
    let (to_silent, clock) = client(&Script::new(Ok(held(&url, "t", 1)), []));
    let sent = tokio::spawn(async move { to_silent.send(connection(), Call::get("/v2/x")).await });
    until_pause(&clock, Duration::from_mins(1)).await;
    let (socket, _) = silent.accept().await.unwrap();
    clock.advance(Duration::from_mins(1)).await;
    let error = sent.await.unwrap().unwrap_err();
    assert!(error.to_string().ends_with("the call may have been carried out"), "{error}");
    drop(socket);
}

#[tokio::test]
async fn each_family_is_told_the_client_id_in_its_own_header() {
    let server = Server::start([]).await;
    let (client, _) = client(&Script::new(Ok(held(&server.url, "t", 1)), []));
    for path in ["/v2/profiles", "/amc/accounts", "/adsApi/v1/query/campaigns"] {
        let call =
            Call::get(path).with_header("cookie", "mine=1").unwrap().with_header("host", "evil.example.com").unwrap();
        client.send(connection(), call).await.unwrap();
    }
    let asked = server.asked();
    let told: Vec<_> = asked
        .iter()
        .map(|asked| (asked.header("amazon-advertising-api-clientid"), asked.header("amazon-ads-clientid")))
        .collect();
    assert_eq!(told, [(CLIENT_ID, ""), (CLIENT_ID, ""), ("", CLIENT_ID)]);
    for asked in asked {
        assert_eq!((asked.header("cookie"), asked.header("host")), ("", server.url.authority()));
    }
}
