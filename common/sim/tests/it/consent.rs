//! The way of a user through the consent page, and of the code back to the app.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use evergrant_sim::SimOptions;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use crate::client::{Bench, Reply};

const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-0123";
const BACK: &str = "https://app.example/callback?tenant=7";
const SCOPE: &str = "advertising::campaign_management profile";

fn query() -> HashMap<&'static str, String> {
    HashMap::from([
        ("client_id", SimOptions::default().client_id),
        ("scope", SCOPE.to_owned()),
        ("response_type", "code".to_owned()),
        ("redirect_uri", BACK.to_owned()),
        ("state", "a&b \"<c>".to_owned()),
        ("code_challenge", URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))),
        ("code_challenge_method", "S256".to_owned()),
    ])
}

async fn bench() -> Bench {
    Bench::start(SimOptions { redirect_uris: vec![BACK.to_owned()], ..SimOptions::default() }).await
}

async fn open(bench: &Bench, query: &HashMap<&str, String>) -> Reply {
    let url = Url::parse_with_params(&bench.url("/ap/oa"), query).unwrap();
    bench.send(bench.http.get(url)).await.unwrap()
}

async fn press(bench: &Bench, query: &HashMap<&str, String>, button: &str) -> HashMap<String, String> {
    let mut form = query.clone();
    form.insert("user", "ann".to_owned());
    form.insert("decision", button.to_owned());
    returned(&bench.send(bench.http.post(bench.url("/ap/oa")).form(&form)).await.unwrap())
}

/// The parameters that the browser carries back to the app.
fn returned(reply: &Reply) -> HashMap<String, String> {
    assert_eq!(reply.status, 302, "{reply:?}");
    let url = Url::parse(reply.headers["location"].to_str().unwrap()).unwrap();
    assert_eq!((url.host_str(), url.path()), (Some("app.example"), "/callback"));
    url.query_pairs().into_owned().collect()
}

async fn exchange(bench: &Bench, code: &str, redirect_uri: &str, verifier: &str) -> Reply {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier),
    ];
    let options = SimOptions::default();
    let request =
        bench.http.post(bench.sim.token_url()).basic_auth(&options.client_id, Some(&options.client_secrets[0]));
    bench.send(request.form(&form)).await.unwrap()
}

#[tokio::test]
async fn from_the_page_to_a_working_token() {
    let bench = bench().await;
    let page = open(&bench, &query()).await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(page.body.contains("value=\"a&amp;b &quot;&lt;c&gt;\""), "the state is escaped: {}", page.body);

    let back = press(&bench, &query(), "allow").await;
    assert_eq!((back["state"].as_str(), back["scope"].as_str(), back["tenant"].as_str()), ("a&b \"<c>", SCOPE, "7"));
    let reply = exchange(&bench, &back["code"], BACK, VERIFIER).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let access = reply.text("access_token");
    assert_eq!(bench.get("/user/profile", &access, &[]).await.json()["user_id"], "ann");
    bench.rotate(&reply.text("refresh_token")).await;
    assert_eq!(exchange(&bench, &back["code"], BACK, VERIFIER).await.error(), "invalid_grant", "a code is good once");
}

#[tokio::test]
async fn a_code_needs_its_verifier_and_its_address() {
    let bench = bench().await;
    for (redirect_uri, verifier) in [(BACK, "another-verifier"), (BACK, ""), ("https://evil.example/", VERIFIER)] {
        let code = press(&bench, &query(), "allow").await.remove("code").unwrap();
        let reply = exchange(&bench, &code, redirect_uri, verifier).await;
        assert_eq!((reply.status.as_u16(), reply.error().as_str()), (400, "invalid_grant"));
        assert!(reply.text("error_description").ends_with(": code"), "{reply:?}");
    }
    assert_eq!(bench.sim.stats().grants, 0);
}

#[tokio::test]
async fn the_user_may_deny() {
    let bench = bench().await;
    let back = press(&bench, &query(), "deny").await;
    assert_eq!((back["error"].as_str(), back["state"].as_str()), ("access_denied", "a&b \"<c>"));
    assert!(!back.contains_key("code"));
}

#[tokio::test]
async fn an_unknown_address_or_app_is_told_to_the_user_only() {
    let bench = bench().await;
    for (name, value) in [("redirect_uri", "https://evil.example/"), ("redirect_uri", ""), ("client_id", "other")] {
        let mut query = query();
        query.insert(name, value.to_owned());
        let page = open(&bench, &query).await;
        assert_eq!(page.status, 400, "{page:?}");
        assert!(!page.headers.contains_key("location"));
    }
}

#[tokio::test]
async fn other_mistakes_are_told_to_the_app() {
    let bench = bench().await;
    for (name, value, error) in [
        ("scope", "advertising::everything", "invalid_scope"),
        ("scope", "", "invalid_scope"),
        ("response_type", "token", "unsupported_response_type"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "S512", "invalid_request"),
    ] {
        let mut query = query();
        query.insert(name, value.to_owned());
        let back = returned(&open(&bench, &query).await);
        assert_eq!((back["error"].as_str(), back["state"].as_str()), (error, "a&b \"<c>"), "{name}={value}");
    }
}

#[tokio::test]
async fn a_grant_without_the_profile_scope_has_no_profile() {
    let bench = bench().await;
    let mut query = query();
    query.insert("scope", "advertising::campaign_management".to_owned());
    let code = press(&bench, &query, "allow").await.remove("code").unwrap();
    let access = exchange(&bench, &code, BACK, VERIFIER).await.text("access_token");
    let reply = bench.get("/user/profile", &access, &[]).await;
    assert_eq!((reply.status.as_u16(), reply.error().as_str()), (403, "insufficient_scope"));
    assert_eq!(bench.profiles(&access).await.json()[0]["countryCode"], Value::from("US"));
}
