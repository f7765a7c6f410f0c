//! The connection routes through the whole router, on memory ports.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Builder;
use evergrant_contract::app::{AppState, Hold};
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::people::Scope;
use evergrant_contract::ports::{Apps as _, Clock as _};
use evergrant_contract::timing::after;
use evergrant_testkit::Reply as ProviderReply;
use serde_json::{Value, json};

use crate::fixture::{Fixture, PROVIDER, Reply, get, post};

const READ: &[Scope] = &[Scope::ConnectionsRead];
const TAKE: &[Scope] = &[Scope::TokensRead];
const FORCE: &[Scope] = &[Scope::TokensRefresh];

fn by(request: Builder, key: &str) -> Builder {
    request.header(AUTHORIZATION, format!("Bearer {key}"))
}

async fn ids(fixture: &Fixture, path: &str, credential: &str) -> Vec<String> {
    let reply = fixture.call(get(path).header(AUTHORIZATION, credential)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    let items = reply.json["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn assert_problem(reply: &Reply, status: u16, problem: &str) {
    assert_eq!((reply.status.as_u16(), reply.problem()), (status, problem), "{}", reply.body);
}

#[tokio::test]
async fn people_list_their_own_connections_and_admins_and_services_those_of_all() {
    let fixture = Fixture::new();
    let (ada, bob, root) =
        (fixture.user("ada@x.org").await, fixture.user("bob@x.org").await, fixture.admin("root@x.org").await);
    let (adas, bobs) = (fixture.connection(&ada).await.to_string(), fixture.connection(&bob).await.to_string());
    let mut all = vec![adas.clone(), bobs.clone()];
    all.sort();
    let (bearer, admin) = (fixture.bearer(&ada).await, fixture.bearer(&root).await);
    let everybody = format!("Bearer {}", fixture.key(READ).await);
    let bound = format!("Bearer {}", fixture.key_for(READ, Some(&bob)).await);
    assert_eq!(ids(&fixture, "/api/connections", &bearer).await, [adas.as_str()]);
    assert_eq!(ids(&fixture, "/api/connections", &bound).await, [bobs.as_str()]);
    assert_eq!(ids(&fixture, "/api/connections", &admin).await, all);
    assert_eq!(ids(&fixture, "/api/connections", &everybody).await, all);
    let of_bob = format!("/api/connections?user={}", bob.id);
    assert_eq!(ids(&fixture, &of_bob, &everybody).await, [bobs.as_str()]);
    assert_problem(&fixture.call(get(&of_bob).header(AUTHORIZATION, bearer)).await, 403, "forbidden");
}

#[tokio::test]
async fn the_list_is_filtered_and_goes_page_by_page() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@x.org").await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(fixture.connection(&ada).await.to_string());
    }
    all.sort();
    let bearer = fixture.bearer(&ada).await;
    let (mut seen, mut path) = (Vec::new(), "/api/connections?limit=2".to_owned());
    let sizes = loop {
        let reply = fixture.call(get(&path).header(AUTHORIZATION, &bearer)).await;
        let items = reply.json["items"].as_array().unwrap();
        seen.push(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
        match reply.json["next"].as_str() {
            Some(next) => path = format!("/api/connections?limit=2&after={next}"),
            None => break seen.iter().map(Vec::len).collect::<Vec<_>>(),
        }
    };
    assert_eq!((sizes, seen.concat()), (vec![2, 2, 1], all.clone()));

    let disconnect = post(&format!("/api/connections/{}/disconnect", all[0])).header(AUTHORIZATION, &bearer);
    assert_eq!(fixture.call(disconnect).await.status, StatusCode::OK);
    let gone = ids(&fixture, "/api/connections?state=disconnected,needs_reauth", &bearer).await;
    assert_eq!(gone, [all[0].as_str()]);
    assert_eq!(ids(&fixture, "/api/connections?state=active&provider=amazon-na", &bearer).await, all[1..]);
    assert_eq!(ids(&fixture, "/api/connections?provider=amazon-eu", &bearer).await, [""; 0]);
    for wrong in ["limit=0", "limit=201", "limit=x", "state=broken", "provider=A%20B", "after=7"] {
        let reply = fixture.call(get(&format!("/api/connections?{wrong}")).header(AUTHORIZATION, &bearer)).await;
        assert_problem(&reply, 422, "invalid-parameter");
        let parameter = wrong.split('=').next().unwrap();
        assert!(parameter == "limit" || reply.body.contains(parameter) || parameter == "after", "{}", reply.body);
    }
}

#[tokio::test]
async fn a_connection_is_shown_without_its_tokens_and_its_key() {
    let fixture = Fixture::new();
    let (ada, bob) = (fixture.user("ada@x.org").await, fixture.user("bob@x.org").await);
    let id = fixture.connection(&ada).await;
    let (bearer, others) = (fixture.bearer(&ada).await, fixture.bearer(&bob).await);
    let reply = fixture.call(get(&format!("/api/connections/{id}")).header(AUTHORIZATION, &bearer)).await;
    let row = fixture.row(id).await;
    let mut expected = serde_json::to_value(&row).unwrap();
    expected.as_object_mut().unwrap().remove("key").expect("the row has a key");
    assert_eq!(reply.json, expected);
    assert!(!reply.body.contains("Atza|") && !reply.body.contains("Atzr|"));
    for path in ["", "/attempts"] {
        let path = format!("/api/connections/{id}{path}");
        let reply = fixture.call(get(&path).header(AUTHORIZATION, &others)).await;
        assert_problem(&reply, 404, "not-found");
    }
    assert_problem(
        &fixture.call(get("/api/connections/7").header(AUTHORIZATION, &bearer)).await,
        422,
        "invalid-parameter",
    );
}

#[tokio::test]
async fn attempts_are_shown_newest_first() {
    let fixture = Fixture::new();
    fixture.run();
    fixture.run_workers();
    let ada = fixture.user("ada@x.org").await;
    let (id, bearer) = (fixture.connection(&ada).await, fixture.bearer(&ada).await);
    fixture.provider.then([ProviderReply::Throttled(Some(Duration::from_mins(1)))]);
    let force = post(&format!("/api/connections/{id}/force-refresh")).header(AUTHORIZATION, &bearer);
    let reply = fixture.call(force).await;
    assert_problem(&reply, 503, "provider-unavailable");
    assert_eq!(reply.json["connection_id"], id.to_string());
    assert!(reply.header("retry-after").parse::<u64>().unwrap() >= 60, "{}", reply.header("retry-after"));
    let attempts = fixture.call(get(&format!("/api/connections/{id}/attempts?limit=5")).header(AUTHORIZATION, &bearer));
    let items = attempts.await.json["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 1);
    assert_eq!((&items[0]["verdict"], &items[0]["status"]), (&json!("throttled"), &json!(429)));
}

#[tokio::test]
async fn a_service_takes_a_token_that_lasts() {
    let fixture = Fixture::new();
    fixture.run();
    fixture.run_workers();
    let ada = fixture.user("ada@x.org").await;
    let id = fixture.connection(&ada).await;
    let key = fixture.key(TAKE).await;
    let reply = fixture.call(by(get(&format!("/api/connections/{id}/token")), &key)).await;
    assert_eq!((reply.status, reply.header("cache-control")), (StatusCode::OK, "no-store"));
    let token = reply.json["access_token"].as_str().unwrap();
    assert!(token.starts_with("Atza|amzn1.account."), "{token}");
    let shown = |name: &str| reply.json[name].clone();
    assert_eq!((shown("token_type"), shown("expires_in"), shown("version")), (json!("bearer"), json!(3600), json!(1)));
    assert_eq!((shown("provider"), shown("connection_id")), (json!(PROVIDER), json!(id)));
    assert_eq!(shown("api_url"), "http://127.0.0.1:9/");
    assert_eq!(shown("client_id"), "amzn1.application-oa2-client.test");
    assert_eq!(shown("expires_at"), json!(fixture.row(id).await.expires_at));
    assert_eq!(fixture.provider.call_count(), 0);

    let soon = fixture.connection_until(&ada, after(fixture.clock.now(), Duration::from_mins(4))).await;
    let reply = fixture.call(by(get(&format!("/api/connections/{soon}/token?min_validity=300")), &key)).await;
    assert_eq!(
        (reply.json["access_token"].as_str(), reply.json["version"].as_i64()),
        (Some("Atza|scripted-1"), Some(2))
    );
    let path = format!("/api/connections/{id}/token?min_validity=86401");
    assert_problem(&fixture.call(by(get(&path), &key)).await, 422, "invalid-parameter");
}

#[tokio::test]
async fn no_person_gets_a_token_and_no_service_one_that_its_key_is_not_for() {
    let fixture = Fixture::new();
    let (ada, bob, root) =
        (fixture.user("ada@x.org").await, fixture.user("bob@x.org").await, fixture.admin("root@x.org").await);
    let path = format!("/api/connections/{}/token", fixture.connection(&ada).await);
    for person in [&ada, &bob, &root] {
        let bearer = fixture.bearer(person).await;
        assert_problem(&fixture.call(get(&path).header(AUTHORIZATION, bearer)).await, 403, "forbidden");
    }
    let others = [Scope::ConnectionsRead, Scope::TokensRefresh, Scope::AmcCall, Scope::Ops];
    assert_problem(&fixture.call(by(get(&path), &fixture.key(&others).await)).await, 403, "insufficient-scope");
    assert_problem(&fixture.call(by(get(&path), &fixture.key_for(TAKE, Some(&bob)).await)).await, 404, "not-found");
    assert_eq!(fixture.call(by(get(&path), &fixture.key_for(TAKE, Some(&ada)).await)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_ended_grant_and_a_held_app_are_told_apart() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@x.org").await;
    let (id, bearer) = (fixture.connection(&ada).await, fixture.bearer(&ada).await);
    let key = fixture.key(&[Scope::TokensRead, Scope::TokensRefresh]).await;
    let now = fixture.clock.now();
    let (probe_at, message) = (after(now, Duration::from_secs(30)), "invalid_client".to_owned());
    let hold = Hold { state: AppState::Fault, probe_at, code: None, message };
    fixture.store.hold(&PROVIDER.parse().unwrap(), hold, now).await.unwrap();
    let force = || by(post(&format!("/api/connections/{id}/force-refresh")), &key);
    let reply = fixture.call_json(force(), &json!({ "observed_version": 1 })).await;
    assert_problem(&reply, 503, "app-credentials-invalid");
    assert_eq!(reply.header("retry-after"), "30");

    let disconnect = || post(&format!("/api/connections/{id}/disconnect")).header(AUTHORIZATION, &bearer);
    let answers = [fixture.call(disconnect()).await.json, fixture.call(disconnect()).await.json];
    assert_eq!(answers.map(|answer| answer["changed"].clone()), [json!(true), json!(false)]);
    let told = fixture.events.published();
    assert!(
        matches!(told[..], [Event::Connection { connection, outcome: Outcome::Disconnected, .. }] if connection == id),
        "{told:?}"
    );
    for reply in [
        fixture.call_json(force(), &json!({ "observed_version": 1 })).await,
        fixture.call(by(get(&format!("/api/connections/{id}/token")), &key)).await,
    ] {
        assert_problem(&reply, 409, "provider-reauth-required");
        assert_eq!((&reply.json["reason"], &reply.json["connection_id"]), (&json!("by_user"), &json!(id)));
    }
}

#[tokio::test]
async fn a_forced_refresh_answers_with_the_new_version_and_rejects_a_fresh_one() {
    let fixture = Fixture::new();
    fixture.run();
    fixture.run_workers();
    let ada = fixture.user("ada@x.org").await;
    let id = fixture.connection(&ada).await;
    let (key, bearer) = (fixture.key(FORCE).await, fixture.bearer(&ada).await);
    let path = format!("/api/connections/{id}/force-refresh");
    let force =
        async |observed: i64| fixture.call_json(by(post(&path), &key), &json!({ "observed_version": observed })).await;
    let reply = force(1).await;
    let expires_at = fixture.row(id).await.expires_at;
    let expected = json!({ "outcome": "refreshed", "connection_id": id, "version": 2, "expires_at": expires_at });
    assert_eq!((reply.status, reply.json), (StatusCode::OK, expected.clone()));
    assert_eq!(force(1).await.json, expected, "answered with no call");
    assert_problem(&force(2).await, 409, "provider-rejected");
    assert_eq!(fixture.provider.call_count(), 1);
    // A person insists.
    let reply = fixture.call(post(&path).header(AUTHORIZATION, &bearer)).await;
    assert_eq!((&reply.json["outcome"], &reply.json["version"]), (&json!("refreshed"), &json!(3)));
}

#[tokio::test]
async fn whoever_does_not_wait_is_told_that_the_refresh_goes_on() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@x.org").await;
    let id = fixture.connection(&ada).await;
    let path = format!("/api/connections/{id}/force-refresh");
    let key = fixture.key(FORCE).await;
    let reply = fixture.call_json(by(post(&path), &key), &json!({ "observed_version": 1, "wait_ms": 0 })).await;
    assert_eq!((reply.status, reply.header("retry-after")), (StatusCode::ACCEPTED, "1"));
    assert_eq!(reply.json, json!({ "outcome": "pending", "connection_id": id, "retry_after": 1 }));
    fixture.queue.until_published(1).await;
}

#[tokio::test]
async fn a_service_has_to_name_the_version_unless_it_does_what_operators_do() {
    let fixture = Fixture::new();
    fixture.run();
    fixture.run_workers();
    let (ada, bob) = (fixture.user("ada@x.org").await, fixture.user("bob@x.org").await);
    let path = format!("/api/connections/{}/force-refresh", fixture.connection(&ada).await);
    let key = fixture.key(FORCE).await;
    for body in [json!({}), json!({ "observed_version": 0 }), json!({ "observed_version": "1" }), Value::Null] {
        let reply = fixture.call_json(by(post(&path), &key), &body).await;
        assert_problem(&reply, 422, "invalid-parameter");
    }
    assert_problem(&fixture.call(by(post(&path), &key)).await, 422, "invalid-parameter");
    let operators = fixture.key(&[Scope::TokensRefresh, Scope::Ops]).await;
    assert_eq!(fixture.call(by(post(&path), &operators)).await.json["version"], 2);
    assert_problem(&fixture.call(by(post(&path), &fixture.key(READ).await)).await, 403, "insufficient-scope");
    let others = fixture.bearer(&bob).await;
    assert_problem(&fixture.call(post(&path).header(AUTHORIZATION, others)).await, 404, "not-found");
    let disconnect = path.replace("force-refresh", "disconnect");
    assert_problem(&fixture.call(by(post(&disconnect), &key)).await, 403, "insufficient-scope");
    assert_eq!(fixture.call(by(post(&disconnect), &operators)).await.status, StatusCode::OK);
}
