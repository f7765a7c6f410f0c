//! `evergrant stats`.

use clap::Args;
use evergrant_contract::ids::UserId;
use evergrant_contract::usage::Rank;

use super::JsonArg;

/// What `stats` takes.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// How many days, today included.
    #[arg(long, value_name = "NUMBER", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: u32,
    /// What users are ranked by: calls, refreshes, failures or forced.
    #[arg(long, value_name = "WHAT", default_value = "calls")]
    pub by: Rank,
    /// How many users are ranked.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub top: u32,
    /// One user's days only.
    #[arg(long, value_name = "ID")]
    pub user: Option<UserId>,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}
