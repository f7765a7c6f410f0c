//! Evergrant keeps OAuth grants alive.

use std::process::ExitCode;

use clap::Parser;
use evergrant::{cli, cmd, startup};

fn main() -> ExitCode {
    startup::end(cmd::run(cli::Cli::parse()))
}
