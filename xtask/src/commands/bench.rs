//! `cargo xtask bench`: how fast everything is, against baselines of the same run.

use anyhow::Result;

use crate::services::{self, Need};
use crate::{screen, workspace};

/// What follows goes to `evergrant-bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// For example `--quick`, `--only throughput-cluster` or `--list`; `--help` tells all
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    bench: Vec<String>,
}

/// Builds both programs in release mode and lets the one measure the other.
pub fn run(args: &Args) -> Result<()> {
    let only_tells = ["--list", "--help", "-h"].iter().any(|word| args.bench.iter().any(|arg| arg == word));
    if !only_tells {
        services::install_what_is_missing(&[Need::Postgres, Need::Rabbit])?;
    }
    screen::step("building in release mode");
    // One by one: together they would be built with the features of both, and another program would be measured than is
    // shipped.
    for package in ["evergrant", "evergrant-bench"] {
        workspace::run(workspace::cargo().args(["build", "--release", "--package", package]))?;
    }
    workspace::run(workspace::command(workspace::target().join("release/evergrant-bench")).args(&args.bench))
}
