//! Real processes under load, a seeded schedule of faults, and the provider's ledger held against the store.
//!
//! The same seed is the same schedule. `cargo xtask chaos` runs many; here a few run, always the same.

mod disk;
mod eyes;
mod faults;
mod invariants;
mod links;
mod load;
mod points;
mod postgres;
mod record;
mod schedule;
mod skew;
mod system;
mod watch;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::schedule::{Fault, Schedule};
use self::system::System;
use crate::support::Shape;

/// The seeds of every run of all tests: chosen for meeting the worst in a minute.
const FEW: [u64; 1] = [1];
/// Faults of a schedule.
const FAULTS: usize = 5;
/// How often processes that have ended are looked for.
const TICK: Duration = Duration::from_millis(100);

#[test]
fn nothing_is_lost_in_one_process_whatever_befalls_it() {
    run(Shape::Embedded, "embedded");
}

#[test]
fn nothing_is_lost_in_a_cluster_whatever_befalls_it() {
    run(Shape::Cluster, "cluster");
}

/// Runs the seeds that were asked for, and fails naming those that failed.
fn run(shape: Shape, name: &str) {
    let seeds = seeds();
    let until = number("EVERGRANT_CHAOS_SECS").map(|secs| Instant::now() + Duration::from_secs(secs));
    let faults = number("EVERGRANT_CHAOS_FAULTS").map_or(FAULTS, |count| usize::try_from(count).unwrap());
    let mut failed = Vec::new();
    let mut run = 0;
    // With a time to fill, seeds go on behind the last one.
    let more = (1_u64..).map(|next| seeds.last().copied().unwrap_or(0) + next);
    for seed in seeds.iter().copied().chain(more.take_while(|_| until.is_some())) {
        if until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let folder: &'static str = Box::leak(format!("chaos_{name}_{seed}").into_boxed_str());
        let ran = catch_unwind(AssertUnwindSafe(|| one(shape, folder, seed, faults)));
        match ran {
            Ok(None) => return,
            Ok(Some(broken)) if broken.is_empty() => {}
            Ok(Some(_)) | Err(_) => {
                eprintln!("seed {seed} FAILED; again: cargo xtask chaos --shape {name} --seed {seed}");
                failed.push(seed);
            }
        }
        run += 1;
    }
    assert!(failed.is_empty(), "{} of {run} seeds failed on the {name} shape: {failed:?}", failed.len());
}

/// One seed: what was broken. `None`: its services cannot be had here, which was said loudly.
fn one(shape: Shape, folder: &'static str, seed: u64, faults: usize) -> Option<Vec<String>> {
    let schedule = Schedule::of(seed, shape, faults);
    let rotation = if schedule.is_merciless { "a merciless provider" } else { "a strict provider" };
    eprintln!("{shape:?}, seed {seed}, {rotation}:");
    for fault in &schedule.faults {
        eprintln!("    {fault}");
    }
    let begin = Instant::now();
    let mut system = System::start(shape, folder, seed, &schedule)?;
    play(&mut system, &schedule);
    let recovered = system.recover();
    system.let_go();
    system.world.stop();
    system.hold_to_account(schedule.is_merciless);
    let broken = system.record.breaches();
    let provider = system.world.sim.stats();
    let summary = json!({
        "shape": format!("{shape:?}"),
        "seed": seed,
        "faults": schedule.faults.len(),
        "refreshes": provider.refreshes,
        "spent_twice": provider.spent_twice,
        "lost_on_record": system.record.counted("calls without an answer, on record"),
        "ended_by_provider": system.record.counted("grants ended by the provider"),
        "longest_expired_ms": u64::try_from(system.record.most_expired().as_millis()).unwrap(),
        "recovered_ms": u64::try_from(recovered.as_millis()).unwrap(),
        "seconds": begin.elapsed().as_secs(),
        "counts": system.record.counts(),
        "broken": broken,
    });
    eprintln!("{summary}");
    keep(&summary);
    let System { world, disk, .. } = system;
    world.end();
    drop(disk);
    Some(broken)
}

/// Makes every fault at its time.
fn play(system: &mut System, schedule: &Schedule) {
    let mut events: Vec<(Duration, bool, Fault)> =
        schedule.faults.iter().flat_map(|fault| [(fault.begin, true, *fault), (fault.end, false, *fault)]).collect();
    events.sort_by_key(|(at, begins, _)| (*at, *begins));
    let started = Instant::now();
    let mut begin = started;
    for (at, begins, fault) in events {
        while begin.elapsed() < at {
            system.supervise();
            std::thread::sleep(TICK.min(at.saturating_sub(begin.elapsed())));
        }
        let what = if begins { "begins" } else { "ends" };
        eprintln!("    {:>6.1} s: {:?} {what}", started.elapsed().as_secs_f64(), fault.kind);
        if begins {
            system.begin(fault);
        } else {
            system.end(fault);
        }
        // What takes its time, such as the start of a broker, moves everything behind it.
        begin += begin.elapsed().saturating_sub(at);
    }
}

/// Leaves the summary where `cargo xtask chaos` looks for it.
fn keep(summary: &Value) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let folder = target.join("test-logs/chaos");
    fs::create_dir_all(&folder).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join("seeds.ndjson")).unwrap();
    writeln!(file, "{summary}").unwrap();
}

/// The seeds that were asked for: `7`, or `1-20`.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but their environment")]
fn seeds() -> Vec<u64> {
    let Ok(text) = std::env::var("EVERGRANT_CHAOS_SEEDS") else { return FEW.to_vec() };
    let (first, last) = text.split_once('-').unwrap_or((&text, &text));
    let seed = |text: &str| text.parse().unwrap_or_else(|_| panic!("EVERGRANT_CHAOS_SEEDS: {text:?} is no seed"));
    (seed(first)..=seed(last)).collect()
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration but their environment")]
fn number(variable: &str) -> Option<u64> {
    let number = |text: String| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number"));
    std::env::var(variable).ok().map(number)
}
