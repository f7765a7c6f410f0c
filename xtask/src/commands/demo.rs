//! `cargo xtask demo`: the whole system in one process.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::{npm, screen, workspace};

/// Where cargo leaves the program.
const PROGRAM: &str = "debug/evergrant";

/// What the demo takes; `cargo xtask demo --help` is the demo's own help.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Passed on to `evergrant demo`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Builds the web page and the program, and becomes it, so that Ctrl-C and the exit code are the demo's own.
pub fn run(args: &Args) -> Result<()> {
    npm::build_where_possible()?;
    if !workspace::target().join(PROGRAM).exists() {
        screen::step("building evergrant for the first time: two to four minutes on two cores, seconds from then on");
    }
    let mut cargo = workspace::cargo();
    cargo.args(["run", "--package", "evergrant", "--bin", "evergrant", "--", "demo"]).args(&args.args);
    Err(cargo.exec()).context("cannot start cargo")
}
