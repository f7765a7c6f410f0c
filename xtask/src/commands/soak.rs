//! `cargo xtask soak`: the end-to-end test of the main job, with production's numbers and in a release build.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::shape::Shape;
use crate::services::{self, Need};
use crate::{screen, workspace};

/// Between two `kill -9`.
const KILL_EVERY: Duration = Duration::from_secs(45);

/// How many, how long, and what befalls them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shape; both run at the same time
    #[arg(long, value_enum, default_value_t)]
    shape: Shape,
    /// Connections to keep alive, in each shape
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    connections: u32,
    /// How long
    #[arg(long = "for", value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    run_for: Duration,
    /// How long access tokens live
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = humantime::parse_duration)]
    token_lifetime: Duration,
    /// Kill a worker, the leader, `RabbitMQ` and `PostgreSQL` (embedded: the one process) in turn, every 45 seconds
    #[arg(long)]
    kill: bool,
}

/// The tests, and the folders in which they leave their summaries.
const TESTS: [(&str, &str); 2] = [
    ("e2e::kept_alive::kept_alive_in_one_process", "kept_alive_embedded"),
    ("e2e::kept_alive::kept_alive_by_two_schedulers_and_three_workers", "kept_alive_cluster"),
];

/// What a test leaves behind.
#[derive(Debug, Deserialize)]
struct Summary {
    shape: String,
    connections: u64,
    seconds: u64,
    refreshes: u64,
    most_expired: u64,
    least_seconds_left: i64,
    spent_twice: u64,
    after_lost_reply: u64,
    at_once: u64,
}

/// Builds, soaks, and prints a table. An error if anything was not as it must be.
pub fn run(args: &Args) -> Result<()> {
    if args.shape != Shape::Embedded {
        services::install_what_is_missing(&[Need::Postgres, Need::Rabbit])?;
    }
    let begin = Instant::now();
    screen::step("building in release mode");
    workspace::run(workspace::cargo().args(CARGO).arg("--no-run"))?;
    let logs = workspace::target().join("test-logs/e2e");
    for (_, folder) in args.shape.of(&TESTS) {
        let old = logs.join(folder).join("summary.json");
        if old.exists() {
            fs::remove_file(&old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
    }
    screen::step(&format!(
        "{} connections with tokens of {} for {}",
        args.connections,
        humantime::format_duration(args.token_lifetime),
        humantime::format_duration(args.run_for)
    ));
    let soaked = workspace::run(&mut tests(args));
    let summaries = args.shape.of(&TESTS).iter().filter_map(|(_, folder)| read(&logs.join(folder)).transpose());
    let summaries = summaries.collect::<Result<Vec<_>>>()?;
    screen::say(&format!("\n{}\nlogs are in {}; {} s", table(&summaries), logs.display(), begin.elapsed().as_secs()));
    soaked?;
    if summaries.len() < args.shape.of(&TESTS).len() {
        bail!("a shape was not soaked: see SKIPPED above");
    }
    Ok(())
}

const CARGO: [&str; 6] = ["test", "--release", "--package", "evergrant", "--test", "main"];

fn tests(args: &Args) -> std::process::Command {
    let mut cargo = workspace::cargo();
    cargo.args(CARGO).args(["--", "--exact", "--nocapture", "--test-threads", "2"]);
    cargo.args(args.shape.of(&TESTS).iter().map(|(test, _)| test));
    cargo.env("EVERGRANT_SOAK_CONNECTIONS", args.connections.to_string());
    cargo.env("EVERGRANT_SOAK_SECS", args.run_for.as_secs().to_string());
    cargo.env("EVERGRANT_SOAK_TOKEN_SECS", args.token_lifetime.as_secs().to_string());
    cargo.env_remove("EVERGRANT_SOAK_KILL_SECS");
    cargo.envs(args.kill.then(|| ("EVERGRANT_SOAK_KILL_SECS", KILL_EVERY.as_secs().to_string())));
    cargo
}

/// `None`: the test did not come that far.
fn read(folder: &Path) -> Result<Option<Summary>> {
    let file = folder.join("summary.json");
    if !file.exists() {
        return Ok(None);
    }
    let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Some(serde_json::from_slice(&text).with_context(|| format!("cannot read {}", file.display()))?))
}

fn table(summaries: &[Summary]) -> String {
    let head =
        ["shape", "connections", "seconds", "refreshes", "expired", "least s left", "twice", "lost reply", "at once"];
    let row = |cells: [String; 9]| {
        let widths = [9, 12, 8, 10, 8, 13, 6, 11, 8];
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}")).collect::<Vec<_>>().concat()
    };
    let rows = summaries.iter().map(|one| {
        row([
            one.shape.clone(),
            one.connections.to_string(),
            one.seconds.to_string(),
            one.refreshes.to_string(),
            one.most_expired.to_string(),
            one.least_seconds_left.to_string(),
            one.spent_twice.to_string(),
            one.after_lost_reply.to_string(),
            one.at_once.to_string(),
        ])
    });
    std::iter::once(row(head.map(str::to_owned))).chain(rows).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_a_test_of_the_root_package() {
        let args = |shape| Args {
            shape,
            connections: 5,
            run_for: Duration::from_mins(1),
            token_lifetime: Duration::from_secs(30),
            kill: false,
        };
        let source = fs::read_to_string(workspace::root().join("tests/e2e/kept_alive.rs")).unwrap();
        for (test, folder) in Shape::Both.of(&TESTS) {
            let function = test.rsplit("::").next().unwrap();
            assert!(
                source.contains(&format!("fn {function}()")) && source.contains(&format!("\"{folder}\"")),
                "{test}"
            );
        }
        let shown = workspace::shown(&super::tests(&args(Shape::Embedded)));
        assert!(shown.ends_with("--test-threads 2 e2e::kept_alive::kept_alive_in_one_process"), "{shown}");
    }

    #[test]
    fn the_table_has_a_row_for_each_shape() {
        let summary = r#"{"shape":"Embedded","connections":10000,"seconds":600,"refreshes":60000,"most_expired":0,
            "least_seconds_left":29,"spent_twice":0,"after_lost_reply":0,"at_once":1}"#;
        let table = table(&[serde_json::from_str(summary).unwrap()]);
        assert_eq!(table.lines().count(), 2, "{table}");
        assert!(
            table.ends_with("Embedded       10000     600     60000       0           29     0          0       1"),
            "{table}"
        );
    }
}
