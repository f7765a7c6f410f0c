//! `cargo xtask disaster`: everything is red at once, and an operator gets it back, at full size.

use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use crate::services::{self, Need};
use crate::{npm, playwright, screen, workspace};

const BY_COMMAND_LINE: &str = "e2e::disaster::an_operator_gets_everything_back_with_the_command_line";
const BY_PAGE: &str = "e2e::disaster::an_operator_gets_everything_back_with_the_web_page";

/// How large, and what the operator has in hand.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Connections, at two provider apps
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    connections: u32,
    /// What the operator has in hand
    #[arg(long, value_enum, default_value_t = By::Both)]
    by: By,
    /// Build in release mode
    #[arg(long)]
    release: bool,
}

/// What an operator has in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Cli,
    Page,
    Both,
}

impl By {
    fn tests(self) -> &'static [&'static str] {
        match self {
            Self::Cli => &[BY_COMMAND_LINE],
            Self::Page => &[BY_PAGE],
            Self::Both => &[BY_COMMAND_LINE, BY_PAGE],
        }
    }
}

/// Plays it, one hand after the other; an error if anything does not come back.
pub fn run(args: &Args) -> Result<()> {
    services::install_what_is_missing(&[Need::Postgres, Need::Rabbit])?;
    if args.by != By::Cli {
        npm::build()?;
        playwright::install()?;
    }
    screen::step(&format!("{} connections", args.connections));
    workspace::run(&mut tests(args))
}

fn tests(args: &Args) -> Command {
    let mut cargo = workspace::cargo();
    cargo.arg("test").args(args.release.then_some("--release")).args(["--package", "evergrant", "--test", "main"]);
    cargo.args(["--", "--exact", "--nocapture", "--test-threads", "1"]).args(args.by.tests());
    cargo.env("EVERGRANT_DISASTER_CONNECTIONS", args.connections.to_string());
    cargo.env(playwright::BROWSER, "required");
    cargo
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_hand_is_a_test_of_the_root_package() {
        let source = fs::read_to_string(workspace::root().join("tests/e2e/disaster.rs")).unwrap();
        for test in By::Both.tests() {
            assert!(source.contains(&format!("fn {}()", test.rsplit("::").next().unwrap())), "{test}");
        }
        let args = Args { connections: 5, by: By::Page, release: true };
        assert_eq!(
            workspace::shown(&super::tests(&args)),
            format!(
                "cargo test --release --package evergrant --test main -- --exact --nocapture --test-threads 1 {BY_PAGE}"
            )
        );
    }
}
