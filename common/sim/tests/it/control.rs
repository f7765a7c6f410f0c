//! The simulator's own interface, and its life.

use std::collections::HashSet;

use evergrant_sim::{Fault, FaultKind, Rotation, Sim, SimOptions, StartError};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Bench;

#[tokio::test]
async fn grants_in_bulk_are_distinct_and_work() {
    let bench = Bench::with(Rotation::On).await;
    let reply = bench.control(Method::POST, "/sim/grants", json!({"count": 1201, "prefix": "u-", "start": 5})).await;
    assert_eq!(reply.status, 200);
    let grants: Vec<Value> = reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let distinct = |name: &str| grants.iter().map(|grant| grant[name].to_string()).collect::<HashSet<_>>().len();
    for name in ["user_id", "access_token", "refresh_token"] {
        assert_eq!(distinct(name), 1201, "{name}");
    }
    let last = grants.last().unwrap();
    assert_eq!(last["user_id"], "u-1205");
    assert!(chrono::DateTime::parse_from_rfc3339(last["expires_at"].as_str().unwrap()).is_ok());
    bench.rotate(last["refresh_token"].as_str().unwrap()).await;
    assert_eq!(bench.profiles(last["access_token"].as_str().unwrap()).await.status, 200);
    assert_eq!(bench.sim.stats().grants, 1201);
    let too_many = bench.control(Method::POST, "/sim/grants", json!({"count": 1_000_001})).await;
    assert!(too_many.status == 400 && too_many.error().contains("1000000"), "{too_many:?}");
}

#[tokio::test]
async fn secrets_are_rotated_while_both_work() {
    let bench = Bench::with(Rotation::Off).await;
    let token = bench.sim.grant("ann").refresh_token;
    let old = SimOptions::default().client_secrets.remove(0);
    let set = |secrets: Value| bench.control(Method::PUT, "/sim/app", json!({"client_secret": secrets}));
    assert_eq!(set(json!(["new", old])).await.status, 204);
    bench.rotate(&token).await;
    assert_eq!(set(json!("new")).await.status, 204);
    assert_eq!(bench.refresh(&token).await.error(), "invalid_client");
    bench.sim.set_client_secrets([old]);
    bench.rotate(&token).await;
}

#[tokio::test]
async fn faults_are_shown_with_what_is_left_of_them() {
    let bench = Bench::with(Rotation::Off).await;
    let token = bench.sim.grant("ann").refresh_token;
    bench.sim.set_faults_for("ann", [Fault::new(FaultKind::HtmlOk {}).times(2)]);
    bench.refresh(&token).await;
    let shown = bench.control(Method::GET, "/sim/faults/ann", json!(null)).await.json();
    assert_eq!(shown, json!([{"kind": "html_ok", "on": "refresh", "count": 1, "from_ms": 0}]));
    assert_eq!(bench.control(Method::GET, "/sim/faults", json!(null)).await.json(), json!([]));
    let reply = bench.control(Method::PUT, "/sim/faults", json!({"kind": "reset", "probability": 7})).await;
    assert!(reply.status == 400 && reply.error().contains("between 0 and 1"), "{reply:?}");
}

#[tokio::test]
async fn a_revocation_ends_all_grants_of_the_user() {
    let bench = Bench::with(Rotation::Off).await;
    let (first, second) = (bench.sim.grant("ann"), bench.sim.grant("ann"));
    bench.rotate(&first.refresh_token).await;
    let reply = bench.control(Method::POST, "/sim/revoke/ann", json!(null)).await;
    assert_eq!(reply.json(), json!({"grants": 2}));
    bench.refuse(&first.refresh_token).await;
    bench.refuse(&second.refresh_token).await;
    assert_eq!(bench.profiles(&second.access_token).await.status, 401);
    assert_eq!(bench.control(Method::POST, "/sim/revoke/eve", json!(null)).await.status, 404);
}

#[tokio::test]
async fn a_second_simulator_cannot_have_the_same_address() {
    let bench = Bench::with(Rotation::Off).await;
    let listen = bench.sim.url().socket_addrs(|| None).unwrap()[0];
    let error = Sim::start(SimOptions { listen, ..SimOptions::default() }).await.err().unwrap();
    assert!(matches!(error, StartError::Listen(address, _) if address == listen), "{error}");
}

#[tokio::test]
async fn stopping_does_not_wait_for_what_hangs() {
    let bench = Bench::with(Rotation::Off).await;
    let token = bench.sim.grant("ann").refresh_token;
    bench.sim.set_faults([Fault::new(FaultKind::Hang { ms: 3_600_000 })]);
    let url = bench.url("/sim/stats");
    let hanging = tokio::spawn(bench.refresh_request(&token).send());
    bench.until(|sim| sim.stats().faults.contains_key("hang")).await;
    bench.sim.stop().await;
    hanging.await.unwrap().unwrap_err();
    assert!(bench.http.get(url).send().await.unwrap_err().is_connect());
}
