//! `cargo xtask backlog`: forced refreshes beside a backlog of scheduled ones, in a release build.

use anyhow::Result;

use crate::services::{self, Need};
use crate::{screen, workspace};

const TEST: &str = "e2e::forced::forced_refreshes_are_answered_beside_a_backlog";

/// How much is queued.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Connections that are due at once, each with its job in the queue
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    jobs: u32,
}

/// Times forced refreshes on an idle system and beside the backlog; an error if the 99th percentile more than doubles.
pub fn run(args: &Args) -> Result<()> {
    services::install_what_is_missing(&[Need::Postgres, Need::Rabbit])?;
    screen::step("building in release mode");
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--release", "--package", "evergrant", "--test", "main", "--", "--exact", "--nocapture", TEST]);
    workspace::run(cargo.env("EVERGRANT_BACKLOG_JOBS", args.jobs.to_string()))
}
