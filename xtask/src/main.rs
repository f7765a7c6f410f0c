//! `cargo xtask`: see the README beside this crate's Cargo.toml.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::commands::{
    backlog, bench, browser, chaos, ci, demo, deploy_check, disaster, frontend, fuzz, prepare, reencrypt, replay,
    scale, schemathesis, services, soak, test,
};
use xtask::screen;

/// Tasks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build and run the demo: everything in one process, against a simulated Amazon
    #[command(disable_help_flag = true)]
    Demo(demo::Args),
    /// Run every test, with private `PostgreSQL` and `RabbitMQ` servers
    Test(test::Args),
    /// Keep thousands of connections alive for minutes, in both shapes, and count every refresh
    Soak(soak::Args),
    /// Let a seeded schedule of faults loose on both shapes under load, and hold the provider's ledger against the store
    Chaos(chaos::Args),
    /// Time forced refreshes on an idle system and beside a hundred thousand that are due
    Backlog(backlog::Args),
    /// Measure how fast everything is, against baselines of the same run; a table and JSON
    #[command(disable_help_flag = true)]
    Bench(bench::Args),
    /// Replay a hundred thousand failed jobs, stopped in the middle and gone on with
    Replay(replay::Args),
    /// Encrypt a million rows again under a new key, beside live refreshes
    Reencrypt(reencrypt::Args),
    /// Bring ten thousand connections back from a mixed disaster, by command line and by web page
    Disaster(disaster::Args),
    /// Simulate a day of 1, 10 and 100 million connections, with an outage of the provider in it
    Scale(scale::Args),
    /// Hold the API of a real process to docs/openapi.json, with requests that are made up
    Schemathesis(schemathesis::Args),
    /// Hold the web page to what people do with it, in a real browser and in both shapes
    Browser(browser::Args),
    /// The web page alone: build it, check it, or serve it while it is being written
    #[command(subcommand)]
    Frontend(frontend::Action),
    /// Feed what nobody wrote to whatever reads what others wrote, and look for a crash
    Fuzz(fuzz::Args),
    /// Hold the files that deploy Evergrant to the tools that read them: alerts, Compose, Kubernetes
    DeployCheck(deploy_check::Args),
    /// Run everything that must pass before a merge
    Ci,
    /// Write the data by which SQL is checked at compile time without a database
    Prepare(prepare::Args),
    /// Private `PostgreSQL` and `RabbitMQ` servers for developing
    #[command(subcommand)]
    Services(services::Action),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Soak(args) => soak::run(&args),
        Task::Chaos(args) => chaos::run(&args),
        Task::Backlog(args) => backlog::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Replay(args) => replay::run(&args),
        Task::Reencrypt(args) => reencrypt::run(&args),
        Task::Disaster(args) => disaster::run(&args),
        Task::Scale(args) => scale::run(&args),
        Task::Schemathesis(args) => schemathesis::run(&args),
        Task::Browser(args) => browser::run(&args),
        Task::Frontend(action) => frontend::run(&action),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::DeployCheck(args) => deploy_check::run(&args),
        Task::Ci => ci::run(),
        Task::Prepare(args) => prepare::run(&args),
        Task::Services(action) => services::run(&action),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::problem(&error);
            ExitCode::FAILURE
        }
    }
}

#[test]
fn the_command_line_is_sound() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}
