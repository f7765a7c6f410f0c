//! `evergrant top`.

use std::time::Duration;

use clap::Args;

/// What `top` takes.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Print one look as text and end: for scripts, and where there is no terminal.
    #[arg(long)]
    pub once: bool,
    /// How often to look.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    pub every: Duration,
}
