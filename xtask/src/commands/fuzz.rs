//! `cargo xtask fuzz`: whatever reads what others wrote, under libFuzzer, on the stable compiler.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{screen, workspace};

/// The targets of fuzz/src/lib.rs, in its order.
const TARGETS: [&str; 8] = ["jobs", "events", "replies", "lifetimes", "imports", "fernet", "config", "signatures"];

/// What counts the branches that an input takes. Stable has these passes; the sanitizers beside them it has not, and code without
/// `unsafe` does without.
const COVERAGE: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// How.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask fuzz --for 10m\n  cargo xtask fuzz imports config --for 1h")]
pub struct Args {
    /// How long each target runs
    #[arg(long = "for", value_parser = humantime::parse_duration, default_value = "1m", value_name = "TIME")]
    length: Duration,
    /// Some targets only
    #[arg(value_name = "TARGET", value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    targets: Vec<String>,
}

/// Builds them once, with coverage, and runs one after the other.
pub fn run(args: &Args) -> Result<()> {
    let program = build()?;
    let chosen: Vec<&str> =
        if args.targets.is_empty() { TARGETS.to_vec() } else { args.targets.iter().map(String::as_str).collect() };
    let mut failed = Vec::new();
    for target in chosen {
        screen::step(&format!("fuzz: {target}, {}", humantime::format_duration(args.length)));
        if let Err(error) = fuzz(&program, target, args.length) {
            screen::problem(&error);
            failed.push(target);
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("found something: {}", failed.join(", ")) }
}

fn build() -> Result<PathBuf> {
    let host = host()?;
    let folder = workspace::target().join("fuzz");
    let mut build = workspace::cargo();
    build
        .args(["build", "--package", "evergrant-fuzz", "--features", "libfuzzer", "--bin", "fuzz", "--target", &host])
        // A folder of its own: these flags are part of every crate's identity.
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", COVERAGE.join(" "))
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .env("CARGO_INCREMENTAL", "0");
    workspace::run(&mut build)?;
    Ok(folder.join(host).join("debug/fuzz"))
}

/// Flags go to what is built for a named target only, so that build scripts stay as they are.
fn host() -> Result<String> {
    let output = Command::new(workspace::environment("RUSTC").unwrap_or_else(|| "rustc".to_owned()))
        .arg("-vV")
        .output()
        .context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    Ok(host.to_owned())
}

/// New inputs go to `target/fuzz/corpus`; those of the repository are read and left alone.
fn fuzz(program: &PathBuf, target: &str, length: Duration) -> Result<()> {
    let found = workspace::target().join("fuzz/corpus").join(target);
    let broken = workspace::target().join("fuzz/broken");
    for folder in [&found, &broken] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut run = workspace::command(program);
    run.env("FUZZ_TARGET", target)
        .arg(format!("-max_total_time={}", length.as_secs().max(1)))
        .arg(format!("-artifact_prefix={}/{target}-", broken.display()))
        .args(["-timeout=10", "-rss_limit_mb=1024", "-max_len=8192", "-print_final_stats=1", "-verbosity=1"])
        .arg(&found)
        .arg(workspace::root().join("fuzz/corpus").join(target));
    workspace::run(&mut run).with_context(|| format!("{target}: the input is in {}", broken.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_are_those_of_the_crate() {
        let source = fs::read_to_string(workspace::root().join("fuzz/src/lib.rs")).unwrap();
        let names: Vec<_> =
            source.split("Target { name: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(names, TARGETS);
    }

    #[test]
    fn the_host_is_a_triple() {
        assert!(host().unwrap().split('-').count() >= 3);
    }
}
