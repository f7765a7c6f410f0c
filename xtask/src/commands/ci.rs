//! `cargo xtask ci`: everything that must pass before a merge.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{browser, deploy_check, prepare, schemathesis, test};
use crate::{npm, screen, workspace};

/// A step: its name and what it does.
type Step = (&'static str, fn() -> Result<()>);

/// In this order: the quick ones first.
const STEPS: [Step; 11] = [
    ("toolchain", toolchain),
    ("format", || workspace::run(workspace::cargo().args(["fmt", "--all", "--check"]))),
    // Before anything is compiled: the program takes the page that is there then.
    ("front end", npm::check),
    ("dependencies", dependencies),
    ("deployment", || deploy_check::run(&deploy_check::Args::default())),
    ("lints", || {
        workspace::run(workspace::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    }),
    ("generated files", || prepare::run(&prepare::Args::check())),
    ("documentation", documentation),
    ("tests", || test::run(&test::Args::default())),
    ("API", || schemathesis::run(&schemathesis::Args::default())),
    ("browser", || browser::run(&browser::Args::default())),
];

/// Runs every step, also after one has failed: one run names everything that is wrong.
pub fn run() -> Result<()> {
    let mut results = Vec::new();
    for (name, step) in STEPS {
        screen::step(&format!("ci: {name}"));
        let begin = Instant::now();
        let result = step();
        if let Err(error) = &result {
            screen::problem(error);
        }
        results.push((name, result.is_ok(), begin.elapsed()));
    }
    screen::say(&format!("\n{}", summary(&results)));
    let failed: Vec<_> = results.iter().filter(|(_, passed, _)| !passed).map(|(name, ..)| *name).collect();
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn summary(results: &[(&str, bool, Duration)]) -> String {
    let line = |(name, passed, took): &(&str, bool, Duration)| {
        format!("{:4}  {:6.1} s  {name}", if *passed { "ok" } else { "FAIL" }, took.as_secs_f64())
    };
    results.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Some installations of Rust come without the formatter and the linter.
fn toolchain() -> Result<()> {
    if workspace::has_cargo_command("fmt") && workspace::has_cargo_command("clippy") {
        return Ok(());
    }
    workspace::run(workspace::command("rustup").args(["component", "add", "rustfmt", "clippy"]))
}

fn documentation() -> Result<()> {
    let mut doc = workspace::cargo();
    workspace::run(doc.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Licences, advisories, sources: deny.toml. It needs a tool that most machines lack, so its absence fails nothing.
fn dependencies() -> Result<()> {
    if !workspace::has_cargo_command("deny") {
        screen::say("NOT CHECKED: cargo-deny is not installed (`cargo install --locked cargo-deny`)");
        return Ok(());
    }
    workspace::run(workspace::cargo().args(["deny", "--workspace", "check"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_every_step_and_its_duration() {
        let results = [("format", true, Duration::from_millis(1500)), ("tests", false, Duration::from_secs(61))];
        assert_eq!(summary(&results), "ok       1.5 s  format\nFAIL    61.0 s  tests");
    }
}
