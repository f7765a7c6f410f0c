//! Webhooks, put together out of the ports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evergrant_api::ProviderApp;
use evergrant_contract::ids::{ProcessId, ProviderName};
use evergrant_contract::ports::{Clock, Store};
use evergrant_contract::webhook::ConsentLifetime;
use evergrant_webhooks::{Deliverer, Expiring, Hooks, Sender, SenderError, SystemLookup};

use crate::clock::SystemChance;
use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::settings;

fn sender(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<Sender>, SenderError> {
    let rules = settings::webhook_rules(config);
    Sender::new(rules, config.webhooks.timeout, Arc::new(SystemLookup), Arc::clone(clock)).map(Arc::new)
}

/// What operators do with receivers.
pub fn hooks(config: &Config, store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Result<Arc<Hooks>, SenderError> {
    Ok(Arc::new(Hooks::new(Arc::clone(store), sender(config, clock)?, Arc::clone(clock))))
}

/// Starts delivering what is due.
pub fn start_deliverer(
    lifecycle: &mut Lifecycle,
    config: &Config,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
) -> Result<(), SenderError> {
    let (sender, deliveries) = (sender(config, clock)?, settings::deliveries(config));
    let deliverer = Deliverer::new(Arc::clone(store), sender, Arc::clone(clock), Arc::new(SystemChance), deliveries);
    let stop = lifecycle.stop.clone();
    lifecycle.start("webhooks", async move {
        deliverer.run(stop).await;
        Ok(())
    });
    Ok(())
}

/// Starts telling of consents that end.
pub fn start_expiring(
    lifecycle: &mut Lifecycle,
    process: ProcessId,
    providers: &BTreeMap<ProviderName, ProviderApp>,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
) {
    let now = clock.now();
    let lifetime = |(name, app): (&ProviderName, &ProviderApp)| {
        let ends = app.consents.consent_ends(now)?;
        let lifetime: Duration = (ends - now).to_std().ok()?;
        Some(ConsentLifetime { provider: name.clone(), lifetime })
    };
    let lifetimes = providers.iter().filter_map(lifetime).collect();
    let expiring = Expiring::new(Arc::clone(store), Arc::clone(clock), process, lifetimes);
    let stop = lifecycle.stop.clone();
    lifecycle.start("expiring consents", async move {
        expiring.run(stop).await;
        Ok(())
    });
}
