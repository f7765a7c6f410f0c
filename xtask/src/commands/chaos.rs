//! `cargo xtask chaos`: real processes under load, a seeded schedule of faults, and the provider's ledger held against the
//! store.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::shape::Shape;
use crate::services::{self, Need};
use crate::{screen, workspace};

/// Which seeds, and on what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shape; both run at the same time
    #[arg(long, value_enum, default_value_t)]
    shape: Shape,
    /// How many seeds, from 1 on
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// This seed alone: what a failing run names, again
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["seeds", "hours"])]
    seed: Option<u64>,
    /// Go on with further seeds for so long
    #[arg(long, value_name = "NUMBER")]
    hours: Option<f64>,
    /// Faults of one schedule
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    faults: u64,
}

/// The tests of the two shapes.
const TESTS: [&str; 2] = [
    "chaos::nothing_is_lost_in_one_process_whatever_befalls_it",
    "chaos::nothing_is_lost_in_a_cluster_whatever_befalls_it",
];

/// What one seed leaves behind.
#[derive(Debug, Deserialize)]
struct Summary {
    shape: String,
    seed: u64,
    refreshes: u64,
    spent_twice: u64,
    lost_on_record: u64,
    ended_by_provider: u64,
    longest_expired_ms: u64,
    recovered_ms: u64,
    seconds: u64,
    broken: Vec<String>,
}

/// Builds, runs the seeds, and prints a table. An error if anything was broken under any of them.
pub fn run(args: &Args) -> Result<()> {
    let needs: &[Need] =
        if args.shape == Shape::Embedded { &[Need::Faketime] } else { &[Need::Postgres, Need::Rabbit, Need::Faketime] };
    services::install_what_is_missing(needs)?;
    let begin = Instant::now();
    screen::step("building");
    workspace::run(workspace::cargo().args(CARGO).arg("--no-run"))?;
    let file = workspace::target().join("test-logs/chaos/seeds.ndjson");
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    screen::step(&format!("seeds {}", seeds(args)));
    let ran = workspace::run(&mut tests(args));
    let summaries = read(&file)?;
    screen::say(&format!(
        "\n{}\n{} s; what each count means stands in docs/RELIABILITY.md",
        table(&summaries),
        begin.elapsed().as_secs()
    ));
    ran?;
    let least = if args.hours.is_some() { 1 } else { wanted(args) } * args.shape.of(&TESTS).len();
    if summaries.len() < least {
        bail!("{} of {least} seeds were run: see SKIPPED above", summaries.len());
    }
    Ok(())
}

const CARGO: [&str; 5] = ["test", "--package", "evergrant", "--test", "main"];

fn wanted(args: &Args) -> usize {
    if args.seed.is_some() { 1 } else { usize::try_from(args.seeds).unwrap_or(usize::MAX) }
}

/// As the tests read them.
fn seeds(args: &Args) -> String {
    args.seed.map_or_else(|| format!("1-{}", args.seeds), |seed| seed.to_string())
}

fn tests(args: &Args) -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(CARGO).args(["--", "--exact", "--nocapture", "--test-threads", "2"]).args(args.shape.of(&TESTS));
    cargo.env("EVERGRANT_CHAOS_SEEDS", seeds(args)).env("EVERGRANT_CHAOS_FAULTS", args.faults.to_string());
    cargo.env_remove("EVERGRANT_CHAOS_SECS");
    let secs = args.hours.map(|hours| Duration::from_secs_f64(hours * 3600.0).as_secs());
    cargo.envs(secs.map(|secs| ("EVERGRANT_CHAOS_SECS", secs.to_string())));
    cargo
}

fn read(file: &Path) -> Result<Vec<Summary>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut summaries = text.lines().map(serde_json::from_str::<Summary>).collect::<Result<Vec<_>, _>>()?;
    summaries.sort_by(|one, other| (&one.shape, one.seed).cmp(&(&other.shape, other.seed)));
    Ok(summaries)
}

fn table(summaries: &[Summary]) -> String {
    let head =
        ["shape", "seed", "refreshes", "twice", "lost", "ended", "expired s", "well after s", "seconds", "broken"];
    let row = |cells: [String; 10]| {
        let widths = [9, 6, 11, 7, 6, 7, 11, 14, 9, 8];
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}")).collect::<Vec<_>>().concat()
    };
    let seconds = |ms: u64| format!("{:.1}", Duration::from_millis(ms).as_secs_f64());
    let rows = summaries.iter().map(|one| {
        row([
            one.shape.clone(),
            one.seed.to_string(),
            one.refreshes.to_string(),
            one.spent_twice.to_string(),
            one.lost_on_record.to_string(),
            one.ended_by_provider.to_string(),
            seconds(one.longest_expired_ms),
            seconds(one.recovered_ms),
            one.seconds.to_string(),
            one.broken.len().to_string(),
        ])
    });
    std::iter::once(row(head.map(str::to_owned))).chain(rows).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(seed: Option<u64>, hours: Option<f64>) -> Args {
        Args { shape: Shape::Embedded, seeds: 20, seed, hours, faults: 5 }
    }

    #[test]
    fn a_shape_is_a_test_of_the_root_package() {
        let source = fs::read_to_string(workspace::root().join("tests/chaos/mod.rs")).unwrap();
        for test in Shape::Both.of(&TESTS) {
            let function = test.rsplit("::").next().unwrap();
            assert!(source.contains(&format!("fn {function}()")), "{test}");
        }
        let shown = workspace::shown(&super::tests(&args(None, None)));
        assert!(
            shown.ends_with("--test-threads 2 chaos::nothing_is_lost_in_one_process_whatever_befalls_it"),
            "{shown}"
        );
    }

    #[test]
    fn a_failing_seed_is_run_alone_and_time_is_given_in_hours() {
        assert_eq!((seeds(&args(None, None)), seeds(&args(Some(7), None))), ("1-20".to_owned(), "7".to_owned()));
        let timed = super::tests(&args(None, Some(0.5)));
        let secs = timed.get_envs().find(|(name, _)| *name == "EVERGRANT_CHAOS_SECS").and_then(|(_, value)| value);
        assert_eq!(secs.and_then(|secs| secs.to_str()), Some("1800"));
    }

    #[test]
    fn the_table_has_a_row_for_each_seed() {
        let summary = r#"{"shape":"Cluster","seed":3,"refreshes":1079,"spent_twice":26,"lost_on_record":30,"ended_by_provider":0,
            "longest_expired_ms":4200,"recovered_ms":11170,"seconds":73,"broken":[]}"#;
        let table = table(&[serde_json::from_str(summary).unwrap()]);
        assert_eq!(table.lines().count(), 2, "{table}");
        assert!(
            table.ends_with("  Cluster     3       1079     26    30      0        4.2          11.2       73       0"),
            "{table}"
        );
    }
}
