//! What processes counted is what `evergrant stats` tells, after all of them have ended.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Caller, Plan, Shape, World};

/// How often each user's token is asked for.
const CALLS: u64 = 4;

#[test]
fn what_one_process_did_is_told_by_its_stats() {
    counted(Shape::Embedded, "usage_embedded", "serve");
}

#[test]
fn what_a_cluster_did_is_told_by_its_stats() {
    counted(Shape::Cluster, "usage_cluster", "api");
}

fn counted(shape: Shape, name: &'static str, role: &str) {
    let plan = Plan { token_lifetime: Duration::from_hours(1), ..Plan::new(shape, name) };
    let Some(mut world) = World::new(&plan) else { return };
    world.start();
    let users = world.import(3);
    let key = world.api_key("reports", &["tokens:read", "tokens:refresh", "ops"], None);
    let caller = Caller::new(&world.addresses(role)[0]).with_bearer(&key);
    let rows = world.rows();
    for row in rows.values() {
        let path = format!("/api/connections/{}", row.id);
        let refused = json!({ "observed_version": 1 });
        world.runtime.block_on(caller.ask(Method::POST, &format!("{path}/force-refresh"), Some(&refused))).expect(200);
        for _ in 0..CALLS {
            world.runtime.block_on(caller.ask(Method::GET, &format!("{path}/token"), None)).expect(200);
        }
    }
    world.runtime.block_on(caller.ask(Method::GET, "/api/ops/usage?days=1", None)).expect(200);
    // What a process counted is stored when it ends, at the latest.
    world.stop();

    let stats = world.ask(&["stats", "--days", "2", "--json"]).success().json();
    let sum = |of: &str| total(&stats, of);
    let made: u64 = world.ledger().values().map(|account| account.counts.refreshes).sum();
    assert_eq!((sum("refreshes"), sum("failures")), (made, 0), "{stats}");
    assert!(made >= 3, "each was refreshed");
    assert_eq!(sum("calls"), 3 * CALLS, "{stats}");
    assert_eq!(stats["users"].as_array().unwrap().len(), 3, "{stats}");
    assert_eq!(stats["unused"], json!({ "days": 30, "connections": 0, "of": 3, "rest": false }));

    let one = world.ask(&["stats", "--user", &users[0], "--json"]).success().json();
    assert_eq!(total(&one, "calls"), CALLS, "{one}");
    let text = world.ask(&["stats", "--days", "2"]).success().stdout;
    assert!(text.contains("Those with the most calls:") && text.contains(&users[0]), "{text}");
    world.end();
}

/// Over all days: the test may run at midnight.
fn total(stats: &Value, of: &str) -> u64 {
    stats["days"].as_array().unwrap().iter().map(|day| day[of].as_u64().unwrap()).sum()
}
