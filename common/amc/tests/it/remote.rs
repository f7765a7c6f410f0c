//! Tokens out of Evergrant's HTTP API.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use evergrant_amc::{Call, Client, ClientSettings, RemoteSettings, RemoteTokens, TokenError, Tokens as _};
use evergrant_contract::ids::Version;
use evergrant_contract::secret::Secret;
use evergrant_contract::state::Reason;
use evergrant_testkit::ManualClock;
use serde_json::json;
use url::Url;

use crate::scripted::{CLIENT_ID, connection, until_pause};
use crate::server::{Server, json, refusal};

const MINUTE: Duration = Duration::from_mins(1);

fn token(version: i64, api_url: &Url) -> Response {
    let body = json!({
        "access_token": format!("Atza|{version}"), "token_type": "bearer", "expires_in": 3600,
        "expires_at": "2027-01-15T09:00:00Z", "version": version, "connection_id": connection(), "provider": "amazon-na",
        "api_url": api_url.as_str(), "client_id": CLIENT_ID,
    });
    json(200, &body)
}

fn problem(status: u16, slug: &str) -> Response {
    let kind = format!("https://evergrant.dev/problems/{slug}");
    json(status, &json!({"type": kind, "detail": "Why.", "reason": "grant_invalid", "retry_after": 2}))
}

fn somewhere() -> Url {
    "https://advertising-api.amazon.com".parse().unwrap()
}

fn remote(evergrant: &Server) -> (RemoteTokens, Arc<ManualClock>) {
    let clock = ManualClock::new();
    let key = Secret::new("egk_s3cret");
    let settings = RemoteSettings::new(evergrant.url.join("below/").unwrap(), key, Arc::clone(&clock) as _);
    (RemoteTokens::new(settings).unwrap(), clock)
}

fn ask(rest: &str) -> String {
    rest.replacen(' ', &format!(" /below/api/connections/{}/", connection()), 1)
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_kept_while_it_is_good_for_long_enough() {
    let evergrant = Server::start([token(1, &somewhere()), token(2, &somewhere())]).await;
    let (tokens, clock) = remote(&evergrant);
    for _ in 0..3 {
        let held = tokens.token(connection(), 5 * MINUTE).await.ok().unwrap();
        assert_eq!((held.token.expose(), held.target.client_id.as_str()), ("Atza|1", CLIENT_ID));
        clock.advance(18 * MINUTE).await;
    }
    let asked = evergrant.asked();
    assert_eq!((asked.len(), asked[0].header("authorization")), (1, "Bearer egk_s3cret"));
    assert_eq!(format!("GET {}", asked[0].path), ask("GET token?min_validity=300"));
    // Six minutes are left now, and then four.
    clock.advance(2 * MINUTE).await;
    assert_eq!(tokens.token(connection(), 5 * MINUTE).await.ok().unwrap().version, Version::new(2));
}

#[tokio::test]
async fn however_many_ask_at_once_evergrant_is_asked_once() {
    let evergrant = Server::start([token(1, &somewhere()), json(200, &json!({})), token(2, &somewhere())]).await;
    let (tokens, _) = remote(&evergrant);
    let all = futures::future::join_all((0..100).map(|_| tokens.token(connection(), MINUTE))).await;
    assert!(all.into_iter().all(|held| held.is_ok_and(|held| held.version == Version::new(1))));
    let all = futures::future::join_all((0..100).map(|_| tokens.refused(connection(), Version::new(1)))).await;
    assert!(all.into_iter().all(|held| held.is_ok_and(|held| held.version == Version::new(2))));
    // Too late to need one of its own.
    assert!(tokens.refused(connection(), Version::new(1)).await.is_ok());
    let asked = evergrant.asked();
    assert_eq!(asked[1].json(), json!({"observed_version": 1}));
    assert_eq!(asked[1].header("content-type"), "application/json");
    let lines: Vec<_> = asked.iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect();
    assert_eq!(lines, [ask("GET token?min_validity=60"), ask("POST force-refresh"), ask("GET token?min_validity=0")]);
}

#[tokio::test]
async fn what_evergrant_says_is_what_the_caller_learns() {
    let evergrant = Server::start([
        problem(409, "provider-reauth-required"),
        problem(409, "provider-rejected"),
        problem(403, "insufficient-scope"),
        problem(404, "not-found"),
    ])
    .await;
    let (tokens, _) = remote(&evergrant);
    let refused = async || tokens.refused(connection(), Version::FIRST).await.err().unwrap();
    assert_eq!(refused().await, TokenError::NeedsReauth(Reason::GrantInvalid));
    assert_eq!(refused().await, TokenError::Rejected);
    assert_eq!(refused().await, TokenError::Refused("Why.".to_owned()));
    assert_eq!(tokens.token(connection(), MINUTE).await.err().unwrap(), TokenError::NotFound(connection()));
}

#[tokio::test]
async fn an_evergrant_that_is_away_is_told_as_such_and_asked_again_the_next_time() {
    let evergrant = Server::start([]).await;
    let (tokens, clock) = remote(&evergrant);
    drop(evergrant);
    tokio::task::yield_now().await;
    let error = tokens.token(connection(), MINUTE).await.err().unwrap();
    assert!(matches!(&error, TokenError::Unavailable { is_app_fault: false, .. }), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"));

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/", silent.local_addr().unwrap()).parse().unwrap();
    let settings = RemoteSettings::new(base_url, Secret::new("k"), Arc::clone(&clock) as _);
    let tokens = RemoteTokens::new(settings).unwrap();
    let asked = tokio::spawn(async move { tokens.token(connection(), MINUTE).await.err().unwrap() });
    until_pause(&clock, MINUTE).await;
    clock.advance(MINUTE).await;
    assert!(asked.await.unwrap().to_string().contains("in time"));
}

#[tokio::test]
async fn a_service_beside_evergrant_never_sees_the_expired_token() {
    let amazon = Server::start([refusal(), json(200, &json!([{"profileId": 1}]))]).await;
    let evergrant = Server::start([token(1, &amazon.url), json(200, &json!({})), token(2, &amazon.url)]).await;
    let (tokens, clock) = remote(&evergrant);
    let client = Client::new(Arc::new(tokens), ClientSettings::new(clock)).unwrap();
    let answer = client.send(connection(), Call::get("/v2/profiles")).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.used.version, answer.used.retries), (200, Version::new(2), 1));
    let shown: Vec<_> = amazon.asked().iter().map(|asked| asked.header("authorization").to_owned()).collect();
    assert_eq!(shown, ["Bearer Atza|1", "Bearer Atza|2"]);
}
