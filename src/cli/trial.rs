//! `evergrant demo` and `evergrant sim`: trying it out without Amazon.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use evergrant_sim::Rotation;

use super::JsonArg;

/// What `demo` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  evergrant demo --for 60s\n  evergrant demo --connections 200 --seed 7 --json --for 2m"
)]
pub struct DemoArgs {
    /// End after this long with a summary; without it, run until interrupted.
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub run_for: Option<Duration>,
    /// Connections to keep alive.
    #[arg(long, value_name = "NUMBER", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// Makes faults and lifetimes the same in every run with this number.
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// What `sim` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  evergrant sim --listen 127.0.0.1:9100 --token-lifetime 2m --rotation strict\n  \
    AMAZON_TOKEN_URL=http://127.0.0.1:9100/auth/o2/token evergrant serve")]
pub struct SimArgs {
    /// Where it listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9100")]
    pub listen: SocketAddr,
    /// How long access tokens live.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub token_lifetime: Duration,
    /// What becomes of a refresh token that was spent: `off` (it stays good, as at Amazon), `on` (a new one comes and the
    /// former stays good), `strict` (spending a former one ends the grant), `strict-retry` (the last one may be spent again
    /// until its successor is).
    #[arg(long, value_name = "MODE", default_value_t = Rotation::Off)]
    pub rotation: Rotation,
    /// How long each answer of the token endpoint takes.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    pub latency: Duration,
    /// Makes tokens and faults the same in every run with this number.
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}
