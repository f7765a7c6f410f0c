//! The Ads and AMC API, and the token endpoint's manners.

use evergrant_sim::{Rotation, SimOptions};
use serde_json::{Value, json};
use url::Url;

use crate::client::Bench;

fn with_token(bench: &Bench, path: &str, token: &str) -> Url {
    Url::parse_with_params(&bench.url(path), [("access_token", token)]).unwrap()
}

#[tokio::test]
async fn token_info_says_whose_token_it_is_and_how_long_it_lasts() {
    let bench = Bench::with(Rotation::Off).await;
    let grant = bench.sim.grant("ann");
    let ask = |token: &str| bench.http.get(with_token(&bench, "/auth/o2/tokeninfo", token));
    let info = bench.send(ask(&grant.access_token)).await.unwrap().json();
    assert_eq!(info["aud"], SimOptions::default().client_id);
    assert_eq!(info["user_id"], "ann");
    assert!((3500..=3600).contains(&info["exp"].as_i64().unwrap()), "seconds left, not a time: {info}");
    let reply = bench.send(ask("Atza|made-up")).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.error().as_str()), (400, "invalid_token"));
}

#[tokio::test]
async fn a_profile_is_shown_to_a_bearer_a_header_or_a_query() {
    let bench = Bench::with(Rotation::Off).await;
    let token = bench.sim.grant("amzn1.account.ANN").access_token;
    let url = bench.url("/user/profile");
    for request in [
        bench.http.get(&url).bearer_auth(&token),
        bench.http.get(&url).header("x-amz-access-token", &token),
        bench.http.get(with_token(&bench, "/user/profile", &token)),
    ] {
        assert_eq!(bench.send(request).await.unwrap().json()["email"], "ANN@example.com");
    }
    assert_eq!(bench.send(bench.http.get(&url)).await.unwrap().error(), "invalid_token");
}

#[tokio::test]
async fn the_ads_api_wants_a_good_token_and_the_client_id() {
    let bench = Bench::with(Rotation::Off).await;
    let grant = bench.sim.grant("ann");
    assert_eq!(bench.profiles(&grant.access_token).await.status, 200);
    for token in ["", "Atza|made-up", &grant.refresh_token] {
        let reply = bench.profiles(token).await;
        assert_eq!((reply.status.as_u16(), reply.text("code").as_str()), (401, "401"));
        assert!(reply.json()["requestId"].is_string());
    }
    let no_client_id = bench.http.get(bench.url("/v2/profiles")).bearer_auth(&grant.access_token);
    assert_eq!(bench.send(no_client_id).await.unwrap().status, 401);
    assert_eq!(bench.sim.stats().api_outcomes["401"], 4);
}

#[tokio::test]
async fn instances_come_in_pages_and_to_their_advertiser_only() {
    let bench = Bench::with(Rotation::Off).await;
    let token = bench.sim.grant("ann").access_token;
    let accounts = bench.get("/amc/accounts", &token, &[]).await.json();
    let entity = accounts["amcAccounts"][0]["accountId"].as_str().unwrap().to_owned();
    let marketplace = ("Amazon-Advertising-API-MarketplaceId", "ATVPDKIKX0DER");
    let headers = [("Amazon-Advertising-API-AdvertiserId", entity.as_str()), marketplace];

    let first = bench.get("/amc/instances", &token, &headers).await.json();
    let next = first["nextToken"].as_str().unwrap();
    let second = bench.get(&format!("/amc/instances?nextToken={next}"), &token, &headers).await.json();
    assert_eq!((first["instances"].as_array().unwrap().len(), second["instances"].as_array().unwrap().len()), (2, 1));
    assert_eq!(second["nextToken"], Value::Null);
    assert_eq!(bench.get("/amc/instances?nextToken=x", &token, &headers).await.status, 400);

    let reply = bench.get("/amc/instances", &token, &[marketplace]).await;
    assert_eq!((reply.status.as_u16(), reply.text("details").as_str()), (400, "entityId provided is null"));
    let foreign = [("Amazon-Advertising-API-AdvertiserId", "ENTITY1"), marketplace];
    assert_eq!(bench.get("/amc/instances", &token, &foreign).await.status, 403);
}

#[tokio::test]
async fn an_execution_is_created_listed_and_not_ready_at_once() {
    let bench = Bench::with(Rotation::Off).await;
    let token = bench.sim.grant("ann").access_token;
    let accounts = bench.get("/amc/accounts", &token, &[]).await.json();
    let entity = accounts["amcAccounts"][0]["accountId"].as_str().unwrap().to_owned();
    let headers = [
        ("Amazon-Advertising-API-AdvertiserId", entity.as_str()),
        ("Amazon-Advertising-API-MarketplaceId", "ATVPDKIKX0DER"),
    ];
    let instances = bench.get("/amc/instances", &token, &headers).await.json();
    let instance = instances["instances"][0]["instanceId"].as_str().unwrap().to_owned();
    let path = format!("/amc/reporting/{instance}/workflowExecutions");
    let create = |path: &str, body: Value| {
        let request = bench.authorize(bench.http.post(bench.url(path)), &token, &headers);
        bench.send(request.body(body.to_string()))
    };

    let created = create(&path, json!({"workflowId": "w1", "timeWindowType": "EXPLICIT"})).await.unwrap();
    assert_eq!((created.status.as_u16(), created.text("status").as_str()), (200, "PENDING"));
    let id = created.text("workflowExecutionId");
    let listed = bench.get(&format!("{path}?workflowId=w1"), &token, &headers).await.json();
    assert_eq!(listed["executions"][0]["workflowExecutionId"], id);
    assert_eq!(bench.get(&path, &token, &headers).await.status, 400, "a filter is required");
    assert_eq!(bench.get(&format!("{path}/{id}"), &token, &headers).await.status, 200);
    assert_eq!(bench.get(&format!("{path}/{id}/downloadUrls"), &token, &headers).await.status, 404);
    let unknown = bench.get(&format!("{path}/nothing"), &token, &headers).await;
    assert_eq!(unknown.text("details"), "Workflow execution with ID nothing does not exist.");
    assert_eq!(create(&path, json!({})).await.unwrap().status, 400);
    let foreign = create("/amc/reporting/amcother/workflowExecutions", json!({"workflowId": "w1"})).await.unwrap();
    assert_eq!((foreign.status.as_u16(), foreign.text("details").as_str()), (403, "Unauthorized request."));
}

#[tokio::test]
async fn the_token_endpoint_names_what_is_wrong() {
    let bench = Bench::with(Rotation::Off).await;
    let token = bench.sim.grant("ann").refresh_token;
    let SimOptions { client_id, client_secrets, .. } = SimOptions::default();
    let full = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &token),
        ("client_id", &client_id),
        ("client_secret", &client_secrets[0]),
    ];
    for (name, value, status, error) in [
        ("grant_type", Some("password"), 400, "unsupported_grant_type"),
        ("grant_type", None, 400, "unsupported_grant_type"),
        ("client_id", None, 400, "invalid_request"),
        ("client_id", Some("other"), 401, "invalid_client"),
        ("client_secret", Some("wrong"), 401, "invalid_client"),
        ("client_secret", None, 401, "invalid_client"),
        ("refresh_token", None, 400, "invalid_request"),
        ("refresh_token", Some("Atzr|made-up"), 400, "invalid_grant"),
    ] {
        let mut form: Vec<(&str, &str)> = full.into_iter().filter(|(known, _)| *known != name).collect();
        form.extend(value.map(|value| (name, value)));
        let reply = bench.send(bench.http.post(bench.sim.token_url()).form(&form)).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.error().as_str()), (status, error), "{name}={value:?}");
    }
    assert_eq!(bench.sim.stats().refreshes, 0);
}

#[tokio::test]
async fn json_bodies_are_taken_and_others_are_not_read() {
    let bench = Bench::with(Rotation::Off).await;
    let token = bench.sim.grant("ann").refresh_token;
    let SimOptions { client_id, client_secrets, .. } = SimOptions::default();
    let body = json!({"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id,
                      "client_secret": client_secrets[0]});
    let post = |content_type: &str| {
        let request = bench.http.post(bench.sim.token_url()).header("content-type", content_type);
        bench.send(request.body(body.to_string()))
    };
    assert_eq!(post("application/json").await.unwrap().status, 200);
    assert_eq!(post("text/plain").await.unwrap().error(), "unsupported_grant_type");
}
