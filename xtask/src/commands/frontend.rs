//! `cargo xtask frontend`: the web page alone.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};

use crate::{npm, screen};

/// What to do with it.
#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Build it into frontend/dist, from where the next build of the program takes it
    Build,
    /// Format, lints, types, unit tests, the build and its size
    Check,
    /// Serve it while it is being written, in front of an `evergrant serve` on 127.0.0.1:8001
    Dev,
}

/// Does it. `Dev` becomes vite, so that Ctrl-C is its own.
pub fn run(action: &Action) -> Result<()> {
    match action {
        Action::Build => {
            npm::build()?;
            screen::say(&format!("the web page is in {}", npm::folder().join("dist").display()));
            Ok(())
        }
        Action::Check => npm::check(),
        Action::Dev => {
            npm::install()?;
            Err(npm::npm(&["run", "dev"]).exec()).context("cannot start npm")
        }
    }
}
