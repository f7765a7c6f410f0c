//! `evergrant sim`: the simulated Amazon alone.

use evergrant_sim::{Sim, SimOptions};
use tracing::info;

use super::unreachable;
use crate::cli::SimArgs;
use crate::config::Config;
use crate::exit::Failed;

pub(super) async fn run(config: &Config, args: &SimArgs) -> Result<(), Failed> {
    let defaults = SimOptions::default();
    let app = config.providers.values().find(|app| app.client_id.is_some());
    let client_id = app.and_then(|app| app.client_id.clone()).unwrap_or(defaults.client_id);
    let secrets = app.into_iter().flat_map(|app| [&app.client_secret, &app.client_secret_next]).flatten();
    let mut client_secrets: Vec<_> = secrets.map(|secret| secret.expose().to_owned()).collect();
    if client_secrets.is_empty() {
        client_secrets = defaults.client_secrets;
    }
    let options = SimOptions {
        listen: args.listen,
        token_lifetime: args.token_lifetime,
        rotation: args.rotation,
        latency: args.latency,
        client_id,
        client_secrets,
        seed: args.seed.unwrap_or(defaults.seed),
        ..SimOptions::default()
    };
    let sim = Sim::start(options).await.map_err(unreachable)?;
    info!(url = %sim.url(), token_url = %sim.token_url(), rotation = %args.rotation, "Simulated Amazon listening");
    crate::lifecycle::told_to_stop().await?;
    sim.stop().await;
    Ok(())
}
