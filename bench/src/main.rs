//! `cargo xtask bench`: see the README beside this crate's Cargo.toml.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use evergrant_bench::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
