//! `cargo xtask replay`: a replay of many failed jobs, stopped in the middle and gone on with, in a release build.

use anyhow::Result;

use crate::services::{self, Need};
use crate::{screen, workspace};

const TEST: &str = "e2e::replay::a_replay_of_many_is_stopped_and_gone_on_with_and_does_nothing_twice";

/// How much has failed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Failed jobs, some of them of the same connections
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    jobs: u32,
}

/// Replays them all; an error if anything is done twice, or a connection is not refreshed by exactly one call.
pub fn run(args: &Args) -> Result<()> {
    services::install_what_is_missing(&[Need::Postgres, Need::Rabbit])?;
    screen::step("building in release mode");
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--release", "--package", "evergrant", "--test", "main", "--", "--exact", "--nocapture", TEST]);
    workspace::run(cargo.env("EVERGRANT_REPLAY_JOBS", args.jobs.to_string()))
}
