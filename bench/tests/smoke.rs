//! The instrument itself: every measurement that is quick enough, in so little that it takes seconds, in whatever build
//! there is. What it measures means nothing here; that it measures, and finds every refresh made once, does.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "this crate is test code: a broken expectation must end the test"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use evergrant_testkit::services::{amqp_url, database_url};
use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_evergrant-bench");

/// The program beside the bench: tests of the whole workspace have built it.
fn is_there_a_program() -> bool {
    if Path::new(BENCH).with_file_name("evergrant").exists() {
        return true;
    }
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration but their environment")]
    let required = std::env::var("EVERGRANT_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
    assert!(!required, "this test needs `evergrant`: cargo build --package evergrant");
    // Straight to the stream: the test harness would swallow a print of a test that passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: `evergrant` is not built");
    false
}

/// Runs it in a folder of its own: the figures, by what they say.
fn measured(only: &[&str], servers: &[(&str, String)]) -> Vec<(String, f64)> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(BENCH);
    command.arg("--smoke").args(only.iter().flat_map(|name| ["--only", name])).arg("--output").arg(folder.path());
    command.args(servers.iter().flat_map(|(flag, url)| [*flag, url.as_str()]));
    let output = command.stdin(Stdio::null()).output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    let report: Value = serde_json::from_slice(&std::fs::read(folder.path().join("latest.json")).unwrap()).unwrap();
    let figures = report["figures"].as_array().unwrap();
    // A run that is too small to mean anything meets no target and misses none.
    assert!(
        figures.iter().all(|figure| ["told", "indicative"].contains(&figure["verdict"].as_str().unwrap())),
        "{told}"
    );
    let figure = |figure: &Value| {
        (figure["what"].as_str().unwrap().to_owned(), figure["value"].as_f64().unwrap_or_else(|| panic!("{figure}")))
    };
    figures.iter().map(figure).collect()
}

fn value(figures: &[(String, f64)], what: &str) -> f64 {
    figures.iter().find(|figure| figure.0 == what).unwrap_or_else(|| panic!("{what} in {figures:?}")).1
}

#[test]
fn one_process_is_measured() {
    if !is_there_a_program() {
        return;
    }
    let figures = measured(&["throughput-embedded", "footprint", "binary"], &[]);
    for what in ["refreshes", "floor on SQLite", "times floor", "memory, idle", "size", "start to ready"] {
        assert!(value(&figures, what) > 0.0, "{what}");
    }
}

#[test]
fn a_cluster_is_measured() {
    let (Some(postgres), Some(rabbit)) = (database_url(), amqp_url()) else { return };
    if !is_there_a_program() {
        return;
    }
    let servers = [("--postgres", postgres), ("--rabbit", rabbit)];
    let figures = measured(&["throughput-cluster", "forced-under-backlog", "coalescing", "herd"], &servers);
    for what in ["refreshes", "naive", "floor", "times naive", "CPU for 1,000 refreshes, ours", "last of 1,000 answers"]
    {
        assert!(value(&figures, what) > 0.0, "{what}");
    }
    assert!((value(&figures, "calls of the provider, each time") - 1.0).abs() < f64::EPSILON);
}
