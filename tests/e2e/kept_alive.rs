//! The main job: many connections are kept alive for several lifetimes of their tokens, each refresh made once.
//!
//! `cargo xtask soak` runs the same with other numbers.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::support::process::lines;
use crate::support::rows::{Stats, now};
use crate::support::{Pace, Plan, Shape, World};

/// How often the store is asked whether a token has ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a soak says how it goes.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// The numbers of a run.
struct Numbers {
    connections: usize,
    run_for: Duration,
    token_lifetime: Duration,
}

impl Numbers {
    fn of_environment() -> Self {
        Self {
            connections: number("EVERGRANT_SOAK_CONNECTIONS").map_or(300, |count| usize::try_from(count).unwrap()),
            run_for: Duration::from_secs(number("EVERGRANT_SOAK_SECS").unwrap_or(60)),
            token_lifetime: Duration::from_secs(number("EVERGRANT_SOAK_TOKEN_SECS").unwrap_or(24)),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration but their environment")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number")))
}

#[test]
fn kept_alive_in_one_process() {
    keep_alive(Shape::Embedded, "kept_alive_embedded");
}

#[test]
fn kept_alive_by_two_schedulers_and_three_workers() {
    keep_alive(Shape::Cluster, "kept_alive_cluster");
}

fn keep_alive(shape: Shape, name: &'static str) {
    let numbers = Numbers::of_environment();
    let plan = Plan {
        pace: Pace::Calm,
        token_lifetime: numbers.token_lifetime,
        log_level: if numbers.connections > 1000 { "info" } else { "debug" },
        ..Plan::new(shape, name)
    };
    let Some(mut world) = World::new(&plan) else { return };
    world.start();
    world.import(numbers.connections);
    let stats = watch(&mut world, &numbers);
    assert_eq!((stats.total, stats.in_state("active")), (numbers.connections as u64, numbers.connections as u64));
    assert_eq!(stats.failed_jobs, 0);
    world.stop();
    let refreshes = each_refresh_was_made_once(&mut world, &numbers);
    eprintln!("{name}: {} connections, {refreshes} refreshes, each once; {stats:?}", numbers.connections);
    world.end();
}

/// Looks on until the time is over: at no moment may a token have ended.
fn watch(world: &mut World, numbers: &Numbers) -> Stats {
    let (begin, since) = (Instant::now(), now());
    let mut said = Instant::now();
    loop {
        let stats = world.stats(since).expect("the store is there");
        assert_eq!(
            stats.expired,
            0,
            "tokens ended unrefreshed {} s into the run: {stats:?}",
            begin.elapsed().as_secs()
        );
        if begin.elapsed() > numbers.run_for {
            return stats;
        }
        if said.elapsed() > SAY_EVERY {
            said = Instant::now();
            let so_far = world.sim.stats();
            eprintln!(
                "{:?} {:>4} s: {} refreshes, {} due",
                world.shape,
                begin.elapsed().as_secs(),
                so_far.refreshes,
                stats.due
            );
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// What the simulated Amazon saw is what the store has: as many refreshes as new versions, no refresh token spent twice.
fn each_refresh_was_made_once(world: &mut World, numbers: &Numbers) -> u64 {
    let rows = world.rows();
    let ledger = world.ledger();
    assert_eq!(rows.len(), numbers.connections);
    let rounds = numbers.run_for.as_secs() / numbers.token_lifetime.as_secs();
    let mut refreshes = 0;
    for (user, row) in &rows {
        let account = &ledger[user];
        assert_eq!(account.state, "live", "{account:?}");
        assert!(account.repeats.is_empty() && !account.is_suspicious(), "{account:?}");
        assert_eq!(
            (account.counts.refreshes, account.counts.token_calls),
            (row.version - 1, row.version - 1),
            "{account:?}"
        );
        assert!(row.version > rounds, "{row:?} was refreshed less than once a lifetime");
        refreshes += account.counts.refreshes;
    }
    assert!(latest_refresh(world) > 0, "a token had ended when its refresh began");
    refreshes
}

/// How many seconds were left when the latest of all refreshes began.
fn latest_refresh(world: &World) -> i64 {
    let logs = world.all_logs();
    let begun = lines(&logs, "seconds, refreshing...");
    let left = begun.iter().map(|line| {
        let text = line["message"].as_str().unwrap();
        let seconds = text.split("expires in ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        seconds.parse::<i64>().unwrap()
    });
    left.min().expect("refreshes were logged")
}
