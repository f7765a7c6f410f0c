//! Many failed jobs are replayed by filter: stopped in the middle, gone on with, and nothing done twice.

use std::time::{Duration, Instant};

use super::number;
use crate::support::rows::now;
use crate::support::wait::{PATIENCE, eventually, within};
use crate::support::{Plan, Shape, World};

/// One connection of so many has a second failed job, and one of so many was refreshed since.
const SECOND_JOB: usize = 10;
const MOVED_ON: usize = 50;

/// Connections that failed while the provider was down: nothing but a replay refreshes them before tomorrow.
const FAIL: &str = "UPDATE schedules SET state = 'failing', reason = 'attempts_exhausted', failures = 8, \
                    refresh_at = now() + interval '1 day'";
const MOVE_ON: &str = "UPDATE schedules SET state = 'active', reason = NULL, failures = 0, version = 2 \
                       WHERE connection_id IN (SELECT id FROM connections WHERE split_part(user_id, '-', 2)::int % 50 = 0)";
/// Their failed jobs, as a worker would have left them.
const GIVE_UP: &str = "INSERT INTO failed_jobs (id, kind, connection_id, provider, payload, attempts, error, failed_at, state) \
    SELECT job.id, 'refresh_due', row.connection_id, row.provider, \
        json_build_object('v', 1, 'id', job.id, 'kind', 'refresh_due', 'connection', row.connection_id, 'version', 1, \
            'refresh_at', '2026-11-01T00:00:00Z')::text, \
        '[{\"at\": \"2026-11-01T00:00:00Z\", \"verdict\": \"transient\", \"status\": 503, \"code\": \"server_error\", \
           \"message\": \"the provider is down\", \"request_id\": null, \"duration_ms\": 12, \"ambiguous\": false}]'::jsonb, \
        'Gave up: the provider is down', date_trunc('milliseconds', now()) - row.n * interval '1 ms', 'open' \
    FROM (SELECT connection_id, provider, row_number() OVER () AS n FROM schedules) row, \
        LATERAL (SELECT gen_random_uuid() AS id FROM generate_series(1, CASE WHEN row.n % 10 = 0 THEN 2 ELSE 1 END)) job";

/// 100,000 of them in a release build: `cargo xtask replay`.
#[test]
fn a_replay_of_many_is_stopped_and_gone_on_with_and_does_nothing_twice() {
    let full = number("EVERGRANT_REPLAY_JOBS");
    let connections = full.map_or(500, |jobs| jobs * SECOND_JOB / (SECOND_JOB + 1));
    let Some(mut world) = world(full.is_some()) else { return };
    let jobs = give_up(&mut world, connections);
    world.start();

    let dry = world.ask(&["jobs", "replay", "--verdict", "transient", "--dry-run", "--json"]).success().json();
    let moved_on = dry["outcomes"]["moved_on"].as_u64().expect("some that were refreshed since");
    assert_eq!(
        (&dry["dry_run"], dry["handled"].as_u64(), dry["closed"].as_u64()),
        (&true.into(), Some(jobs), Some(jobs))
    );
    assert_eq!(dry["outcomes"]["published"], jobs - moved_on, "{dry}");
    assert_eq!((closed(&world), audit_lines(&world)), (0, 0), "a dry run does nothing");
    assert_eq!(world.sim.stats().token_calls, 0);

    let rate = (jobs / 10).to_string();
    stop_in_the_middle(&world, jobs, &rate);
    let begun = Instant::now();
    let stopped_at = closed(&world);
    go_on(&world);
    let took = begun.elapsed();
    assert_eq!(closed(&world), jobs);
    eprintln!("replayed {} failed jobs in {took:?} ({stopped_at} had been, when it was stopped)", jobs - stopped_at);

    all_are_well(&mut world, connections, moved_on);
    eprintln!("all were refreshed {:?} after the replay began to go on", begun.elapsed());
    assert_eq!(audit_lines(&world), jobs, "one line for each");
    let again = world.ask(&["jobs", "replay", "--verdict", "transient", "--json"]).success().json();
    assert_eq!(again["handled"], 0, "{again}");
    world.end();
}

fn world(is_full: bool) -> Option<World> {
    let plan = Plan {
        token_lifetime: Duration::from_hours(1),
        log_level: "warn,evergrant=info",
        ..Plan::new(Shape::Cluster, "replay")
    };
    let mut world = World::new(&plan)?;
    if is_full {
        world.set("EVERGRANT_PROVIDERS_AMAZON_NA_REQUESTS_PER_SECOND", "2000");
        world.set("EVERGRANT_DATABASE_POOL_SIZE", "8");
    }
    Some(world)
}

/// Connections that nothing refreshes today, and their failed jobs: how many.
fn give_up(world: &mut World, connections: usize) -> u64 {
    world.import_crowd("failing", "amazon-na", connections);
    let cluster = world.cluster.as_ref().unwrap();
    let database = &cluster.database;
    world.runtime.block_on(async {
        database.execute(FAIL).await;
        assert_eq!(database.execute(MOVE_ON).await, connections.div_ceil(MOVED_ON) as u64);
        database.execute(GIVE_UP).await
    })
}

/// Runs it at a rate at which it cannot end soon, and presses Ctrl-C once it has told of its progress.
fn stop_in_the_middle(world: &World, jobs: u64, rate: &str) {
    let args = [
        "jobs",
        "replay",
        "--verdict",
        "transient",
        "--rate",
        rate,
        "--reason",
        "the provider is well again",
        "--json",
    ];
    let mut first = world.begin("stopped", &args);
    eventually("the replay to tell of its progress", || {
        assert!(!first.has_ended(), "it was not held to its rate");
        first.says("The command goes on").then_some(())
    });
    first.interrupt();
    let answer = first.until_ended();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert!(answer.stderr.contains("repeat the command to go on"), "{}", answer.stderr);
    let told = answer.json();
    let done = closed(world);
    assert_eq!(
        (&told["stopped"], told["closed"].as_u64()),
        (&true.into(), Some(done)),
        "what is told is what was done"
    );
    assert!(done > 0 && done < jobs, "{done} of {jobs}");
}

/// Says the same again. Where two failed jobs are of one connection, the second may meet the first one's refresh: it is left
/// as it is, is told, and is for the next time.
fn go_on(world: &World) {
    let args = ["jobs", "replay", "--verdict", "transient", "--json", "--reason", "the same again"];
    within(Duration::from_mins(15), "nothing to be left open", || {
        let mut running = world.begin("go-on", &args);
        within(Duration::from_mins(15), "the replay to end", || running.has_ended().then_some(()));
        let answer = running.until_ended();
        let told = answer.json();
        let left = told["handled"].as_u64().unwrap() - told["closed"].as_u64().unwrap();
        assert_eq!(told["outcomes"]["under_way"].as_u64().unwrap_or(0), left, "{told}");
        assert_eq!(answer.code, i32::from(left > 0), "{}", answer.stderr);
        (left == 0).then_some(())
    });
}

/// Each was refreshed once, by one call, and those that needed nothing by none.
fn all_are_well(world: &mut World, connections: usize, moved_on: u64) {
    let limit = PATIENCE + Duration::from_millis(10) * u32::try_from(connections).unwrap();
    let stats = within(limit, "every connection to be active", || {
        world.stats(now()).filter(|stats| stats.in_state("active") == connections as u64)
    });
    assert_eq!(stats.failed_jobs, 0, "{stats:?}");
    let account = world.sim.stats();
    let expected = (connections - connections.div_ceil(MOVED_ON)) as u64;
    assert!(moved_on >= connections.div_ceil(MOVED_ON) as u64);
    assert_eq!((account.token_calls, account.spent_twice), (expected, 0), "{account:?}");
    let ledger = world.ledger();
    assert!(ledger.values().all(|entry| entry.counts.refreshes <= 1 && !entry.is_suspicious()));
}

fn closed(world: &World) -> u64 {
    count(world, "SELECT count(*)::text FROM failed_jobs WHERE state = 'replayed'")
}

fn audit_lines(world: &World) -> u64 {
    count(world, "SELECT count(DISTINCT subject)::text FROM audit_log WHERE action = 'replay_job'")
}

fn count(world: &World, sql: &'static str) -> u64 {
    let cluster = world.cluster.as_ref().unwrap();
    world.runtime.block_on(cluster.database.texts(sql))[0].parse().unwrap()
}
