//! `cargo xtask test`: every test, with everything that tests need.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{fs, thread};

use anyhow::{Context, Result, anyhow};

use super::{leaks, metrics};
use crate::output::{self, Tally};
use crate::services::{self, Need, Servers};
use crate::{npm, playwright, screen, workspace};

/// Which tests, and how.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Start no servers: tests that need them print SKIPPED. Leave out the examples in the documentation too
    #[arg(long)]
    quick: bool,
    /// Passed on to `cargo nextest run`, or to `cargo test` where nextest is not installed
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Builds, starts the servers meanwhile, tests, stops the servers.
pub fn run(args: &Args) -> Result<()> {
    let begin = Instant::now();
    let runner = Runner::find();
    let servers = prepare(runner, args)?;
    let logs = empty_log_folder()?;
    let tally = test(runner, &servers, args, &logs);
    servers.keep_logs(&logs)?;
    let tally = tally?;
    screen::say(&format!("\nall output is in {}; {} s", logs.display(), begin.elapsed().as_secs()));
    leaks::refuse(&logs)?;
    tally.verdict()?;
    // The quick form starts no cluster, and a part of the tests shows a part of the metrics.
    metrics::compare(&logs, !args.quick && args.args.is_empty())?;
    screen::step(&tally.to_string());
    Ok(())
}

/// The build and the start of the servers, side by side.
fn prepare(runner: Runner, args: &Args) -> Result<Servers> {
    let wanted = if args.quick { Vec::new() } else { Servers::wanted() };
    services::install_what_is_missing(&wanted)?;
    if !args.quick {
        npm::build_where_possible()?;
        // Tests run the commands of docs/API.md.
        services::install_what_is_missing(&[Need::Curl, Need::Jq])?;
        // One of them is an operator at the web page.
        if npm::is_here() {
            playwright::install()?;
        }
    }
    let meanwhile = if wanted.is_empty() { "" } else { "; private PostgreSQL and RabbitMQ start meanwhile" };
    screen::step(&format!("building the tests for {}{meanwhile}", runner.name()));
    thread::scope(|scope| {
        let servers = scope.spawn(|| Servers::start(&wanted));
        let built = workspace::run(&mut runner.build(args));
        let servers = servers.join().unwrap_or_else(|_| Err(anyhow!("the start of the servers panicked")));
        built.and(servers)
    })
}

fn test(runner: Runner, servers: &Servers, args: &Args, logs: &Path) -> Result<Tally> {
    screen::step("testing");
    let mut tally = output::tee(servers.tell(&mut runner.test(args)), &logs.join("tests.log"))?;
    if runner == Runner::Nextest {
        keep_report(logs)?;
        if !args.quick && args.args.is_empty() {
            screen::step("testing the examples in the documentation, which nextest leaves out");
            let mut examples = workspace::cargo();
            examples.args(["test", "--doc", "--no-fail-fast", "--workspace"]);
            tally += output::tee(servers.tell(&mut examples), &logs.join("examples.log"))?;
        }
    }
    Ok(tally)
}

/// What runs the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runner {
    Nextest,
    Cargo,
}

impl Runner {
    fn find() -> Self {
        if workspace::has_cargo_command("nextest") { Self::Nextest } else { Self::Cargo }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Nextest => "cargo nextest",
            Self::Cargo => "cargo test",
        }
    }

    fn build(self, args: &Args) -> Command {
        let mut command = self.command(args);
        command.arg("--no-run").args(&args.args);
        command
    }

    fn test(self, args: &Args) -> Command {
        let mut command = self.command(args);
        command.args(&args.args);
        if self == Self::Cargo {
            // The log shall hold what passing tests print as well; the screen leaves it out.
            let separator = if args.args.iter().any(|arg| arg == "--") { None } else { Some("--") };
            command.args(separator).arg("--show-output");
        }
        if args.quick {
            command.env(services::PRIVATE_SERVERS, "off").env(playwright::BROWSER, "off");
        } else {
            command.env("EVERGRANT_REQUIRE_SERVICES", "1");
            command.envs(npm::is_here().then_some((playwright::BROWSER, "required")));
        }
        command
    }

    fn command(self, args: &Args) -> Command {
        let mut command = workspace::cargo();
        match self {
            Self::Nextest => command.args(["nextest", "run"]),
            Self::Cargo if args.quick => command.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]),
            Self::Cargo => command.args(["test", "--no-fail-fast"]),
        };
        let chosen = |arg: &String| arg.starts_with("-p") || arg.starts_with("--package");
        if !args.args.iter().any(chosen) {
            command.arg("--workspace");
        }
        command
    }
}

/// `target/test-logs`, with nothing of earlier runs in it.
fn empty_log_folder() -> Result<PathBuf> {
    let folder = workspace::target().join("test-logs");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Nextest's report holds what passing tests print (.config/nextest.toml), which its output leaves out.
fn keep_report(logs: &Path) -> Result<()> {
    let report = workspace::target().join("nextest/default/junit.xml");
    if report.exists() {
        fs::rename(&report, logs.join("tests.xml")).with_context(|| format!("cannot move {}", report.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(runner: Runner, args: &[&str]) -> String {
        let args = Args { quick: false, args: args.iter().map(|arg| (*arg).to_owned()).collect() };
        workspace::shown(&runner.test(&args))
    }

    #[test]
    fn arguments_reach_the_runner() {
        assert_eq!(shown(Runner::Nextest, &[]), "cargo nextest run --workspace");
        assert_eq!(shown(Runner::Nextest, &["-p", "x", "name"]), "cargo nextest run -p x name");
        assert_eq!(shown(Runner::Cargo, &["name"]), "cargo test --no-fail-fast --workspace name -- --show-output");
        assert_eq!(
            shown(Runner::Cargo, &["-px", "--", "--ignored"]),
            "cargo test --no-fail-fast -px -- --ignored --show-output"
        );
    }
}
