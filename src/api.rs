//! The API of a process, put together out of the ports.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use evergrant_amc::{Client, ClientSettings};
use evergrant_api::{
    Api, Callers, Hub, LocalTokens, Probes, ProviderApp, Reads, Server, ServerLimits, SessionSecret, Waits, routes,
};
use evergrant_contract::ids::{ProcessId, ProviderName};
use evergrant_contract::ports::Clock;
use evergrant_contract::usage::Meter;
use tokio_util::sync::CancellationToken;

use crate::clock::SystemChance;
use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::settings;
use crate::shape::Shape;
use crate::webhooks;

/// What an API is made of, besides the ports.
pub struct Ingredients<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Which process this is.
    pub process: ProcessId,
    /// What sessions are signed with.
    pub secret: SessionSecret,
    /// Liveness, readiness, metrics.
    pub probes: Probes,
    /// The provider apps that are configured.
    pub providers: &'a BTreeMap<ProviderName, ProviderApp>,
    /// Counts what is done for whom.
    pub meter: &'a Arc<Meter>,
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
}

impl Ingredients<'_> {
    /// Puts the API together and starts it: the hub of events, the waits and the listener.
    pub fn start(self, lifecycle: &mut Lifecycle, shape: &Shape, server: Server) -> anyhow::Result<()> {
        let api = Arc::new(self.api(shape, &server, lifecycle.stop.clone())?);
        let stop = lifecycle.stop.clone();
        let hub = Arc::clone(&api.hub);
        lifecycle.start("event hub", async move {
            hub.run(stop).await;
            Ok(())
        });
        // Outcomes are heard for as long as anybody waits for one.
        let waited = CancellationToken::new();
        let (waits, drained) = (Arc::clone(&api.waits), waited.clone());
        lifecycle.start("waits", async move {
            waits.run(drained).await;
            Ok(())
        });
        let (server, stop) = (server.limited(ServerLimits::of(&api.settings)), lifecycle.stop.clone());
        lifecycle.start("api", async move {
            let ended = server.run(routes(Arc::clone(&api)), stop).await;
            api.waits.drain().await;
            api.callers.drain().await;
            waited.cancel();
            ended.context("the API ended")
        });
        Ok(())
    }

    fn api(self, shape: &Shape, server: &Server, stop: CancellationToken) -> anyhow::Result<Api> {
        let Self { config, process, secret, probes, providers, meter, clock } = self;
        let settings = settings::api(config, server.address())?;
        let (store, events) = (Arc::clone(&shape.store), Arc::clone(&shape.events));
        let waits = Waits::new(
            Arc::clone(&store),
            Arc::clone(&shape.queue),
            Arc::clone(&events),
            Arc::clone(clock),
            settings.force,
        );
        let targets = providers.iter().filter_map(|(name, app)| Some((name.clone(), app.target.clone()?))).collect();
        let reads = Arc::new(Reads::new(&store));
        let tokens = Arc::new(LocalTokens::new(
            Arc::clone(&reads),
            Arc::clone(&waits),
            targets,
            Arc::clone(clock),
            Arc::clone(meter),
        ));
        let amc = Client::new(Arc::clone(&tokens) as _, amc_settings(config, clock)).context("the AMC client")?;
        let hub = Hub::new(process, Arc::clone(&store), Arc::clone(&events), Arc::clone(clock), settings.streams_max);
        Ok(Api {
            process,
            callers: Callers::new(Arc::clone(&store), Arc::clone(clock), secret),
            settings,
            store,
            reads,
            queue: Arc::clone(&shape.queue),
            events,
            hub,
            providers: providers.clone(),
            waits,
            tokens,
            amc,
            hooks: webhooks::hooks(config, &shape.store, clock)?,
            probes: Arc::new(probes),
            clock: Arc::clone(clock),
            chance: Arc::new(SystemChance),
            stop,
        })
    }
}

fn amc_settings(config: &Config, clock: &Arc<dyn Clock>) -> ClientSettings {
    ClientSettings {
        max_retries: config.force.max_retries,
        call_timeout: config.api.amc_timeout,
        throttle_budget: config.api.amc_throttle_budget,
        ..ClientSettings::new(Arc::clone(clock))
    }
}
