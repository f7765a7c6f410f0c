//! The main job: many connections are kept alive for several lifetimes of their tokens, each refresh made once.
//!
//! `cargo xtask soak` runs the same with other numbers, and with blows if it is told to.

use std::time::{Duration, Instant};

use serde_json::json;

use super::crashes::every_second_spend_is_accounted_for;
use crate::support::process::{lines, text_of};
use crate::support::rows::now;
use crate::support::{Blow, Blows, Pace, Plan, Shape, World};

/// How often the store is asked whether a token has ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a soak says how it goes.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// The numbers of a run.
struct Numbers {
    connections: usize,
    run_for: Duration,
    token_lifetime: Duration,
    /// Something is killed this often.
    kill_every: Option<Duration>,
}

impl Numbers {
    fn of_environment() -> Self {
        Self {
            connections: number("EVERGRANT_SOAK_CONNECTIONS").map_or(300, |count| usize::try_from(count).unwrap()),
            run_for: Duration::from_secs(number("EVERGRANT_SOAK_SECS").unwrap_or(50)),
            token_lifetime: Duration::from_secs(number("EVERGRANT_SOAK_TOKEN_SECS").unwrap_or(24)),
            kill_every: number("EVERGRANT_SOAK_KILL_SECS").map(Duration::from_secs),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration but their environment")]
fn number(variable: &str) -> Option<u64> {
    let number = |text: String| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number"));
    std::env::var(variable).ok().map(number)
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
        own_servers: numbers.kill_every.is_some(),
        log_level: if numbers.connections > 1000 { "info" } else { "debug" },
        ..Plan::new(shape, name)
    };
    let Some(mut world) = World::new(&plan) else { return };
    world.start();
    world.import(numbers.connections);
    let most_expired = watch(&mut world, &numbers);
    if numbers.kill_every.is_some() {
        world.until_refreshed_again(numbers.connections);
        every_second_spend_is_accounted_for(&mut world);
    } else {
        assert_eq!(most_expired, 0, "tokens ended unrefreshed");
    }
    let stats = world.stats(now()).expect("the store is there");
    let wanted = numbers.connections as u64;
    assert_eq!((stats.total, stats.in_state("active"), stats.failed_jobs), (wanted, wanted, 0), "{stats:?}");
    world.stop();
    if numbers.kill_every.is_none() {
        each_refresh_was_made_once(&mut world, &numbers);
    }
    summarize(&world, &numbers, most_expired);
    world.end();
}

/// Looks on until the time is over: the most tokens that were seen to have ended at one time.
fn watch(world: &mut World, numbers: &Numbers) -> u64 {
    let (begin, since) = (Instant::now(), now());
    let blows = if world.shape == Shape::Embedded { vec![Blow::Serve] } else { Blow::CLUSTER.to_vec() };
    let mut blows = numbers.kill_every.map(|every| Blows::new(blows, every));
    let (mut said, mut most_expired) = (Instant::now(), 0);
    while begin.elapsed() < numbers.run_for {
        if let Some(blow) = blows.as_mut().and_then(|blows| blows.due(begin.elapsed())) {
            eprintln!("{:?} {:>4} s: kill -9: {blow:?}", world.shape, begin.elapsed().as_secs());
            world.strike(blow);
        }
        let Some(stats) = world.stats(since) else { continue };
        most_expired = most_expired.max(stats.expired);
        if said.elapsed() > SAY_EVERY {
            said = Instant::now();
            let (seconds, refreshes) = (begin.elapsed().as_secs(), world.sim.stats().refreshes);
            eprintln!(
                "{:?} {seconds:>4} s: {refreshes} refreshes, {} due, {} expired",
                world.shape, stats.due, stats.expired
            );
        }
        std::thread::sleep(LOOK_EVERY);
    }
    most_expired
}

/// What the simulated Amazon saw is what the store has: as many refreshes as new versions, no refresh token spent twice.
fn each_refresh_was_made_once(world: &mut World, numbers: &Numbers) {
    let rows = world.rows();
    let ledger = world.ledger();
    assert_eq!(rows.len(), numbers.connections);
    let rounds = numbers.run_for.as_secs() / numbers.token_lifetime.as_secs();
    for (user, row) in &rows {
        let account = &ledger[user];
        let counts = account.counts;
        assert_eq!(account.state, "live", "{account:?}");
        assert!(account.repeats.is_empty() && !account.is_suspicious(), "{account:?}");
        assert_eq!((counts.refreshes, counts.token_calls), (row.version - 1, row.version - 1), "{account:?}");
        assert!(row.version > rounds, "{row:?} was refreshed less than once a lifetime");
    }
    assert!(least_seconds_left(world) > 0, "a token had ended when its refresh began");
}

/// How many seconds the token had left whose refresh began the latest.
fn least_seconds_left(world: &World) -> i64 {
    let logs = world.all_logs();
    let begun = lines(&logs, "seconds, refreshing...");
    let left = begun.iter().map(|line| {
        let seconds = text_of(line).split("expires in ").nth(1).and_then(|rest| rest.split(' ').next());
        seconds.expect("the seconds that are left").parse::<i64>().unwrap()
    });
    left.min().expect("refreshes were logged")
}

fn summarize(world: &World, numbers: &Numbers, most_expired: u64) {
    let seen = world.sim.stats();
    let summary = json!({
        "shape": format!("{:?}", world.shape),
        "connections": numbers.connections,
        "seconds": numbers.run_for.as_secs(),
        "refreshes": seen.refreshes,
        "most_expired": most_expired,
        "least_seconds_left": least_seconds_left(world),
        "spent_twice": seen.spent_twice,
        "after_lost_reply": seen.after_lost_reply,
        "at_once": seen.max_concurrent_refreshes,
    });
    eprintln!("{summary}");
    world.summarize(&summary);
}
