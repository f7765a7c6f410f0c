//! Forced refreshes: a thousand refusals, three API processes, one call.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::number;
use crate::support::process::Process;
use crate::support::wait::within;
use crate::support::{Caller, Plan, Shape, World};

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

// ------------------------------------------------------------------------------------------------------ beside a backlog

/// Forced refreshes that are timed on an idle system, and as many beside a backlog.
const TIMED: usize = 100;
/// Of those, how many must be answered while the backlog is there, for the comparison to mean anything.
const TIMED_AT_LEAST: usize = 20;

/// Somebody waits for a forced refresh; nobody waits for those that are due, which go as fast as the provider's rate limit
/// lets them. `cargo xtask backlog` runs this in a release
/// build with a hundred thousand, and holds it to its times; here only the order counts: forced ones are answered while
/// the backlog is still there.
#[test]
fn forced_refreshes_are_answered_beside_a_backlog() {
    let full = number("EVERGRANT_BACKLOG_JOBS");
    let jobs = full.unwrap_or(3_000);
    let Some(mut world) = backlog_world(full.is_none()) else { return };
    world.start();
    let probes = world.import(2 * TIMED);
    let rows = world.rows();
    let connections: Vec<_> = probes.iter().map(|user| rows[user].id.clone()).collect();
    let key = world.api_key("impatient", &["tokens:refresh"], None);
    let caller = Caller::new(&world.addresses("api")[0]).with_bearer(&key);
    let (first, second) = connections.split_at(TIMED);

    let idle = time_all(&world, &caller, first, || true);
    queue_up(&mut world, jobs);
    let queue = format!("{}.v1.refresh_due", world.cluster().namespace);
    let waiting = |world: &World| {
        let tap = world.cluster.as_ref().unwrap().tap.as_ref().unwrap();
        world.runtime.block_on(tap.waiting(&queue))
    };
    let loaded = time_all(&world, &caller, second, || waiting(&world) > 0);
    let left = waiting(&world);
    eprintln!(
        "forced refreshes: idle p50 {:?} p99 {:?}; beside {jobs} due p50 {:?} p99 {:?} ({} timed, {left} still queued)",
        quantile(&idle, 50),
        quantile(&idle, 99),
        quantile(&loaded, 50),
        quantile(&loaded, 99),
        loaded.len()
    );
    assert!(loaded.len() >= TIMED_AT_LEAST, "the backlog was gone after {} forced refreshes", loaded.len());
    if full.is_some() {
        assert!(quantile(&loaded, 99) <= 2 * quantile(&idle, 99), "a backlog delays forced refreshes");
    }
    world.end();
}

fn backlog_world(small: bool) -> Option<World> {
    let plan = Plan {
        token_lifetime: Duration::from_hours(1),
        latency: Duration::from_millis(if small { 150 } else { 20 }),
        log_level: "warn,evergrant=info,evergrant_api=info",
        ..Plan::new(Shape::Cluster, "forced_backlog")
    };
    let mut world = World::new(&plan)?;
    world.set("EVERGRANT_SCHEDULER_QUEUE_HIGH_WATER", "1000000");
    world.set("EVERGRANT_SCHEDULER_PUBLISH_PER_SECOND", "100000");
    // Each of them once.
    world.set("EVERGRANT_SCHEDULER_REPUBLISH_AFTER_SECS", "600");
    world.set("EVERGRANT_DATABASE_POOL_SIZE", "8");
    world.set("EVERGRANT_FORCE_WAIT_MS", "25000");
    if small {
        // A small backlog has to last, and to wait in the queue: workers would be sent all of it ahead.
        world.set("EVERGRANT_PROVIDERS_AMAZON_NA_REQUESTS_PER_SECOND", "20");
        world.set("EVERGRANT_WORKER_CONCURRENCY_DUE", "64");
    }
    Some(world)
}

/// How long each forced refresh took, for as long as it counts.
fn time_all(world: &World, caller: &Caller, connections: &[String], counts: impl Fn() -> bool) -> Vec<Duration> {
    let mut times = Vec::new();
    for connection in connections {
        let path = format!("/api/connections/{connection}/force-refresh");
        let refused = json!({ "observed_version": 1 });
        let begun = Instant::now();
        let answer = world.runtime.block_on(caller.ask(Method::POST, &path, Some(&refused)));
        let took = begun.elapsed();
        assert_eq!(answer.expect(200).json()["version"], 2);
        if !counts() {
            break;
        }
        times.push(took);
    }
    times.sort_unstable();
    times
}

/// So many due connections, each with its job in the queue, and workers that begin with them now.
fn queue_up(world: &mut World, jobs: usize) {
    let workers: Vec<_> = (0..world.processes.len()).filter(|at| world.processes[*at].role() == "worker").collect();
    for at in &workers {
        world.processes[*at].terminate();
        world.processes[*at].until_ended();
    }
    let file = world.folder.path().join("due.ndjson");
    let mut lines = String::new();
    for number in 0..jobs {
        let user = format!("due-{number}");
        let refresh_token = world.sim.grant(&user).refresh_token;
        let row = json!({ "user_id": user, "provider": "amazon-na", "refresh_token": refresh_token });
        writeln!(lines, "{row}").unwrap();
    }
    std::fs::write(&file, lines).unwrap();
    world.ask(&["connections", "import", file.to_str().unwrap(), "--json"]).success();
    std::fs::remove_file(file).unwrap();
    let queue = format!("{}.v1.refresh_due", world.cluster().namespace);
    within(Duration::from_mins(3), "every job to be queued", || {
        let tap = world.cluster.as_ref().unwrap().tap.as_ref().unwrap();
        // In a flood, eight jobs are one message.
        (world.runtime.block_on(tap.waiting(&queue)) as usize >= jobs.div_ceil(8)).then_some(())
    });
    for (number, at) in workers.into_iter().enumerate() {
        world.processes[at] = world.spawn_apart(&format!("worker-again-{number}"), "worker");
    }
    world.processes.iter_mut().for_each(Process::until_ready);
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
