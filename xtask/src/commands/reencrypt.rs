//! `cargo xtask reencrypt`: rows encrypted again under a new key beside live refreshes, in a release build.

use anyhow::Result;

use crate::services::{self, Need};
use crate::{screen, workspace};

const TEST: &str = "e2e::turnover::many_rows_are_encrypted_again_beside_live_refreshes";

/// How much there is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rows under the old key
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    rows: u32,
}

/// Encrypts them all again and opens every one with the new key alone; an error if one is lost or a live refresh suffers.
pub fn run(args: &Args) -> Result<()> {
    services::install_what_is_missing(&[Need::Postgres, Need::Rabbit])?;
    screen::step("building in release mode");
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--release", "--package", "evergrant", "--test", "main", "--", "--exact", "--nocapture", TEST]);
    workspace::run(cargo.env("EVERGRANT_REENCRYPT_ROWS", args.rows.to_string()))
}
