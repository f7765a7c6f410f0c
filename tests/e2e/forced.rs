//! Forced refreshes: a thousand refusals, three API processes, one call.

use reqwest::Method;
use serde_json::json;

use crate::support::{Caller, Plan, Shape, World};
use std::time::Duration;

/// Callers that meet the same refusal at once.
const CALLERS: usize = 1000;

#[test]
fn a_thousand_refusals_in_three_processes_cost_one_call() {
    let Some(mut world) = world("forced_refusals", false) else { return };
    let (connection, callers) = three_processes(&mut world);
    all_get_the_new_token(&world, &connection, &callers, || ());
    world.end();
}

#[test]
fn a_thousand_refusals_cost_one_call_when_no_event_arrives() {
    let Some(mut world) = world("forced_without_events", false) else { return };
    let (connection, callers) = three_processes(&mut world);
    let exchange = format!("{}.v1.events", world.cluster().namespace);
    let cluster = world.cluster.as_ref().unwrap();
    world.runtime.block_on(cluster.tap.as_ref().unwrap().delete_exchange(&exchange));
    all_get_the_new_token(&world, &connection, &callers, || ());
    world.end();
}

#[test]
fn a_thousand_refusals_cost_one_call_when_the_broker_is_killed_in_the_middle() {
    let Some(mut world) = world("forced_broker_killed", true) else { return };
    let (connection, callers) = three_processes(&mut world);
    // Taken out of the world, so that the broker can be killed while the world looks on.
    let mut cluster = world.cluster.take().unwrap();
    all_get_the_new_token(&world, &connection, &callers, || {
        let rabbit = cluster.servers.rabbit();
        rabbit.kill().unwrap();
        rabbit.restart().unwrap();
    });
    world.cluster = Some(cluster);
    world.listen();
    // The broker carries jobs again, and the tap hears one.
    world.ask(&["connections", "refresh", &connection]).success();
    world.end();
}

fn world(name: &'static str, own_servers: bool) -> Option<World> {
    let plan = Plan {
        token_lifetime: Duration::from_hours(1),
        latency: Duration::from_millis(300),
        own_servers,
        // A thousand callers at debug say more than a test can read.
        log_level: "info",
        ..Plan::new(Shape::Cluster, name)
    };
    let mut world = World::new(&plan)?;
    // A broker that starts again on a busy machine takes a while.
    world.set("EVERGRANT_FORCE_WAIT_MS", "60000");
    world.set("EVERGRANT_API_REQUEST_TIMEOUT_MS", "70000");
    Some(world)
}

/// The id of a connection whose token was refused, and a service's caller at each of three API processes.
fn three_processes(world: &mut World) -> (String, Vec<Caller>) {
    world.start();
    for name in ["api-6", "api-7"] {
        let index = world.spawn(name, "api");
        world.processes[index].until_ready();
    }
    world.import(1);
    let key = world.api_key("reports", &["tokens:read", "tokens:refresh"], None);
    let callers = world.addresses("api").iter().map(|address| Caller::new(address).with_bearer(&key)).collect();
    let connection = world.rows().into_values().next().expect("the connection").id;
    (connection, callers)
}

/// Everybody saw version 1 refused, at the same time; `meanwhile` something happens.
fn all_get_the_new_token(world: &World, connection: &str, callers: &[Caller], meanwhile: impl FnOnce()) {
    assert_eq!(callers.len(), 3);
    let path = format!("/api/connections/{connection}");
    let asked: Vec<_> = (0..CALLERS)
        .map(|number| {
            let (caller, path) = (callers[number % callers.len()].clone(), path.clone());
            world.runtime.spawn(async move {
                let refused = json!({ "observed_version": 1 });
                let outcome = caller.ask(Method::POST, &format!("{path}/force-refresh"), Some(&refused)).await;
                let token = caller.ask(Method::GET, &format!("{path}/token"), None).await;
                (outcome.expect(200).json(), token.expect(200).json())
            })
        })
        .collect();
    meanwhile();
    let answers: Vec<_> = asked.into_iter().map(|task| world.runtime.block_on(task).unwrap()).collect();
    for (outcome, token) in &answers {
        assert_eq!((&outcome["outcome"], &outcome["version"]), (&json!("refreshed"), &json!(2)));
        assert_eq!(token["version"], 2);
        assert!(token["access_token"] == answers[0].1["access_token"], "somebody was given another token");
    }
    let account = world.ledger().into_values().next().expect("the grant's account");
    assert_eq!((account.counts.refreshes, account.counts.spent_twice), (1, 0), "{account:?}");
}
