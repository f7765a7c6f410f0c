//! What happens rarely is measured too: with the other walkthroughs, this one makes a test run show every metric.

use std::time::Duration;

use chrono::TimeDelta;
use evergrant_sim::{ErrorBody, Fault, FaultKind};
use reqwest::Method;
use serde_json::json;

use crate::support::rows::now;
use crate::support::wait::eventually;
use crate::support::{Caller, Pace, Plan, Shape, World};

/// Requests at once, of which the API takes three in hand and lets two wait.
const CROWD: usize = 8;

#[test]
fn what_happens_rarely_is_measured() {
    let plan = Plan {
        pace: Pace::Calm,
        token_lifetime: Duration::from_hours(1),
        latency: Duration::from_millis(2_500),
        ..Plan::new(Shape::Embedded, "metrics")
    };
    let Some(mut world) = World::new(&plan) else { return };
    world.set("EVERGRANT_FORCE_WAITERS_MAX", "2");
    world.set("EVERGRANT_API_IN_FLIGHT_MAX", "3");
    world.set("EVERGRANT_WORKER_MAX_ATTEMPTS", "1");
    world.set("EVERGRANT_PROVIDERS_AMAZON_NA_CLIENT_SECRET_EXPIRES_AT", "2099-12-31");
    world.set("EVERGRANT_PROVIDERS_AMAZON_NA_REQUESTS_PER_SECOND", "1");
    world.start();
    let users = world.import(5);
    let rows = world.rows();
    let ids: Vec<String> = users.iter().map(|user| rows[user].id.clone()).collect();
    let key = world.api_key("rare", &["tokens:refresh"], None);
    let caller = Caller::new(&world.addresses("serve")[0]).with_bearer(&key);

    a_crowd_is_turned_away(&world, &caller, &ids[0]);
    a_disconnect_wins(&mut world, &caller, &ids[1]);
    a_rate_limit_refuses(&world, &caller, &ids[2..4]);
    // Another one: one of those two has a new token.
    a_job_is_given_up(&world, &caller, &ids[4]);
    an_expired_token_is_replaced(&mut world);
    the_leader_counts(&world);
    world.end();
}

/// Many ask the same at once: two wait, one of them having joined the other, and the rest come again later.
fn a_crowd_is_turned_away(world: &World, caller: &Caller, connection: &str) {
    let asked: Vec<_> = (0..CROWD).map(|_| world.runtime.spawn(force(caller, connection))).collect();
    let statuses: Vec<u16> = asked.into_iter().map(|task| world.runtime.block_on(task).unwrap()).collect();
    assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
    until_shown(world, "evergrant_http_turned_away_total ");
    until_shown(world, "evergrant_force_coalesced_total ");
}

/// A user disconnects while the provider answers: the answer judges nobody.
fn a_disconnect_wins(world: &mut World, caller: &Caller, connection: &str) {
    let asked = world.runtime.spawn(force(caller, connection));
    eventually("the call", || {
        let calls = world.processes[0].lines("refreshing...");
        calls.iter().any(|line| line["connection"] == connection).then_some(())
    });
    world.ask(&["connections", "disconnect", connection]).success();
    world.runtime.block_on(asked).unwrap();
    until_shown(world, "evergrant_races_lost_total ");
}

/// Of several calls at once, the provider app's rate lets one through in time.
fn a_rate_limit_refuses(world: &World, caller: &Caller, connections: &[String]) {
    let asked: Vec<_> = connections.iter().map(|id| world.runtime.spawn(force(caller, id))).collect();
    for task in asked {
        world.runtime.block_on(task).unwrap();
    }
    until_shown(world, "evergrant_rate_limit_refused_total{provider=\"amazon-na\",kind=\"force_refresh\"}");
}

/// The first failure is the last, as these settings have it.
fn a_job_is_given_up(world: &World, caller: &Caller, connection: &str) {
    world.sim.set_faults([Fault::new(FaultKind::Status { status: 503, body: ErrorBody::Json })]);
    eventually("the job to be given up", || {
        world.runtime.block_on(force(caller, connection));
        shows(world, "evergrant_failed_jobs_total{provider=\"amazon-na\"}").then_some(())
    });
    world.sim.clear_faults();
}

/// A token that had ended when it was imported: for a while its connection had none.
fn an_expired_token_is_replaced(world: &mut World) {
    let file = world.folder.path().join("expired.ndjson");
    let tokens = world.sim.grant("late");
    let ended = (now() - TimeDelta::hours(1)).to_rfc3339();
    let row = json!({
        "user_id": "late", "provider": "amazon-na", "expires_at": ended,
        "access_token": tokens.access_token, "refresh_token": tokens.refresh_token,
    });
    std::fs::write(&file, row.to_string()).unwrap();
    world.ask(&["connections", "import", file.to_str().unwrap(), "--json"]).success();
    std::fs::remove_file(file).unwrap();
    until_shown(world, "evergrant_tokens_expired_total{provider=\"amazon-na\"} 1");
}

/// Everybody is counted where they stand, and how old the count is.
fn the_leader_counts(world: &World) {
    for shown in [
        "evergrant_client_secret_seconds_left{provider=\"amazon-na\"}",
        "evergrant_connections{provider=\"amazon-na\",state=\"active\"}",
        "evergrant_counted_timestamp_seconds{what=\"connections\"}",
        "evergrant_due_connections{provider=\"amazon-na\"}",
        "evergrant_due_oldest_seconds{provider=\"amazon-na\"}",
        "evergrant_expired_connections{provider=\"amazon-na\"}",
        "evergrant_failed_jobs_open ",
        "evergrant_queue_consumers{queue=\"force_refresh\"} 1",
        "evergrant_queue_depth{queue=\"refresh_due\"}",
    ] {
        until_shown(world, shown);
    }
}

fn force(caller: &Caller, connection: &str) -> impl Future<Output = u16> + Send + 'static {
    let (caller, path) = (caller.clone(), format!("/api/connections/{connection}/force-refresh"));
    async move { caller.ask(Method::POST, &path, Some(&json!({ "observed_version": 1 }))).await.status.as_u16() }
}

fn shows(world: &World, text: &str) -> bool {
    world.processes[0].metrics().is_some_and(|metrics| metrics.lines().any(|line| line.starts_with(text)))
}

fn until_shown(world: &World, text: &str) {
    eventually(&format!("the metrics to show {text}"), || shows(world, text).then_some(()));
}
