//! What operators hold back by hand stays held through every restart, and all of it goes on afterwards.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::rows::{Row, now};
use crate::support::wait::eventually;
use crate::support::{Plan, Shape, World};

const CONNECTIONS: usize = 40;
/// Whoever is told at once is not kept waiting for a refresh.
const AT_ONCE: Duration = Duration::from_secs(5);
/// As many connections with such short tokens are not left alone for so long unless they are paused.
const QUIET: Duration = Duration::from_secs(2);

fn world(shape: Shape, name: &'static str) -> Option<World> {
    let plan = Plan { token_lifetime: Duration::from_secs(8), ..Plan::new(shape, name) };
    let mut world = World::new(&plan)?;
    world.start();
    world.import(CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);
    Some(world)
}

#[test]
fn a_paused_app_stays_paused_through_restarts_and_all_of_it_goes_on_embedded() {
    app(Shape::Embedded, "paused_app_embedded");
}

#[test]
fn a_paused_app_stays_paused_through_restarts_and_all_of_it_goes_on_cluster() {
    app(Shape::Cluster, "paused_app_cluster");
}

fn app(shape: Shape, name: &'static str) {
    let Some(mut world) = world(shape, name) else { return };
    let paused = world.ask(&["pause", "app", "amazon-na", "--why", "a release", "--json"]).success().json();
    assert_eq!((&paused["kind"], &paused["was_paused"]), (&Value::from("app"), &Value::from(false)));
    // Processes know within a second; what was in hand then is finished.
    until_quiet(&mut world);
    let (rows, calls) = (world.rows(), calls_made(&world));
    for index in 0..world.processes.len() {
        world.restart(index);
    }
    eventually("every token to end unrefreshed", || {
        world.stats(now()).is_some_and(|stats| stats.expired == CONNECTIONS as u64).then_some(())
    });
    assert_eq!(calls_made(&world), calls, "the provider was not asked once");
    assert_eq!(standings(world.rows().into_values()), standings(rows.into_values()), "and nobody was judged");
    let stats = world.stats(now()).unwrap();
    assert_eq!((stats.in_state("active"), stats.failed_jobs), (CONNECTIONS as u64, 0), "{stats:?}");
    let id = world.rows().into_values().next().unwrap().id;
    told_at_once(&mut world, &id, "Refreshes of amazon-na are paused by an operator: a release");
    let listed = world.ask(&["pauses"]).success().stdout;
    assert!(listed.contains("amazon-na") && listed.contains("a release"), "{listed}");

    world.ask(&["resume", "app", "amazon-na"]).success();
    let stats = world.until_refreshed_again(CONNECTIONS);
    assert_eq!((stats.in_state("active"), stats.failed_jobs), (CONNECTIONS as u64, 0), "{stats:?}");
    assert_eq!(world.sim.stats().live, CONNECTIONS as u64, "no grant was lost");
    world.end();
}

#[test]
fn one_paused_connection_is_told_at_once_and_the_others_go_on_embedded() {
    one(Shape::Embedded, "paused_connection_embedded");
}

#[test]
fn one_paused_connection_is_told_at_once_and_the_others_go_on_cluster() {
    one(Shape::Cluster, "paused_connection_cluster");
}

fn one(shape: Shape, name: &'static str) {
    let Some(mut world) = world(shape, name) else { return };
    let (user, row) = world.rows().into_iter().next().unwrap();
    world.ask(&["pause", "connection", &row.id, "--why", "its owner asked for it"]).success();
    eventually("a refresh in hand to end", || world.rows()[&user].leased_until.is_none().then_some(()));
    let before = world.rows()[&user].clone();
    for _ in 0..2 {
        world.until_refreshed_again(CONNECTIONS - 1);
    }
    assert_eq!(world.rows()[&user], before, "the others were refreshed twice, and this one not at all");
    told_at_once(&mut world, &row.id, "Refreshes of this connection are paused by an operator: its owner asked for it");
    let shown = world.ask(&["connections", "show", &row.id, "--json"]).success().json();
    assert_eq!(shown["paused"]["why"], "its owner asked for it");

    world.ask(&["resume", "connection", &row.id]).success();
    eventually("it to be refreshed", || (world.rows()[&user].version > before.version).then_some(()));
    assert_eq!(world.sim.stats().live, CONNECTIONS as u64, "no grant was lost");
    world.end();
}

#[test]
fn a_drained_worker_takes_nothing_and_the_others_do_its_work() {
    let Some(mut world) = world(Shape::Cluster, "drained_worker") else { return };
    let (id, address) = {
        let worker = world.processes.iter().find(|process| process.role() == "worker").unwrap();
        (worker.id(), worker.address().unwrap())
    };
    let is_ready = |world: &mut World| world.ask(&["healthcheck", "--address", &address]).code;
    assert_eq!(is_ready(&mut world), 0);
    world.ask(&["workers", "drain", &id, "--why", "a new host"]).success();
    let drain = eventually("the worker to have nothing in hand", || {
        let workers = world.ask(&["workers", "list", "--json"]).success().json();
        let drain = workers.as_array()?.iter().find(|worker| worker["process"] == *id)?["drain"].clone();
        (!drain["done_at"].is_null()).then_some(drain)
    });
    assert_eq!(drain["why"], "a new host");
    assert_eq!(is_ready(&mut world), 1, "it is up and not ready");
    let refreshed = |world: &World| {
        world
            .processes
            .iter()
            .find(|worker| worker.id() == id)
            .unwrap()
            .lines("Successfully refreshed token for user")
            .len()
    };
    let before = refreshed(&world);
    world.until_refreshed_again(CONNECTIONS);
    assert_eq!(refreshed(&world), before, "the others did it all");
    world.ask(&["workers", "resume", &id]).success();
    eventually("it to work again", || (refreshed(&world) > before).then_some(()));
    assert_eq!(is_ready(&mut world), 0);
    world.end();
}

/// Until nothing has been in hand for a while and no call was made.
fn until_quiet(world: &mut World) {
    let mut before = (0, Instant::now());
    eventually("refreshes to stop", || {
        let is_free = world.rows().values().all(|row| row.leased_until.is_none());
        let calls = calls_made(world);
        if !is_free || calls != before.0 {
            before = (calls, Instant::now());
        }
        (before.1.elapsed() >= QUIET).then_some(())
    });
}

/// Calls of the token endpoint, whatever came of them.
fn calls_made(world: &World) -> u64 {
    world.sim.stats().token_outcomes.values().sum()
}

#[track_caller]
fn told_at_once(world: &mut World, id: &str, told: &str) {
    let began = Instant::now();
    let answer = world.ask(&["connections", "refresh", id]);
    assert!(answer.code != 0 && answer.stderr.contains(told), "{}: {} {}", answer.code, answer.stdout, answer.stderr);
    assert!(began.elapsed() < AT_ONCE, "it took {:?}", began.elapsed());
}

/// What no pause changes.
fn standings(rows: impl Iterator<Item = Row>) -> Vec<(String, String, u64, u32, Option<String>)> {
    rows.map(|Row { user, state, version, failures, last_error, .. }| (user, state, version, failures, last_error))
        .collect()
}
