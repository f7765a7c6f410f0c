//! `serve`, `scheduler`, `worker`, `api`: processes that run until they are told to stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use evergrant_api::{Check, Probes, ProviderApp, Server, SessionSecret};
use evergrant_contract::controls::Drain;
use evergrant_contract::ids::{ProcessId, ProviderName};
use evergrant_contract::ports::{Clock, Store};
use evergrant_contract::usage::Meter;
use evergrant_scheduler::Scheduler;
use evergrant_vault::Keyring;
use evergrant_workers::Workers;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{keyring, refused, unreachable};
use crate::activity::Activity;
use crate::api::Ingredients;
use crate::client_secrets::{self, ClientSecretWatch};
use crate::clock::{SystemChance, SystemClock};
use crate::config::Config;
use crate::exit::Failed;
use crate::keys::reencryption::Reencryption;
use crate::keys::watch::KeyFileWatch;
use crate::lifecycle::{Lifecycle, told_to_stop};
use crate::peers::{announce, refuse_foreign_keys, this_process};
use crate::session_secret::session_secret;
use crate::shape::Shape;
use crate::spool::FileSpool;
use crate::usage::UsageKeeper;
use crate::{keys, providers, settings, telemetry, webhooks};

const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// What a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Finds what is due.
    pub scheduler: bool,
    /// Does the jobs.
    pub worker: bool,
    /// Serves the API; without it, only liveness, readiness and metrics.
    pub api: bool,
    /// The word for this combination, as peers see it.
    pub name: &'static str,
}

impl Roles {
    /// Everything in one process.
    pub const SERVE: Self = Self { scheduler: true, worker: true, api: true, name: "serve" };
    /// Finds what is due.
    pub const SCHEDULER: Self = Self { scheduler: true, worker: false, api: false, name: "scheduler" };
    /// Does the jobs.
    pub const WORKER: Self = Self { scheduler: false, worker: true, api: false, name: "worker" };
    /// Serves the API.
    pub const API: Self = Self { scheduler: false, worker: false, api: true, name: "api" };
}

/// A process that is ready to run.
pub struct Process {
    /// The ports, for whoever wants to look while it runs.
    pub shape: Shape,
    /// Where the API listens.
    pub address: std::net::SocketAddr,
    lifecycle: Lifecycle,
    /// Its keys have changed: it ends to start anew with them.
    keys_changed: CancellationToken,
}

/// Starts the roles and runs them until a signal; anew, within the same process and at the same address, whenever the
/// generated key file has changed.
pub async fn run(config: &Config, roles: Roles) -> Result<(), Failed> {
    // A signal that comes between two runs is not lost.
    let mut told = std::pin::pin!(told_to_stop());
    if futures::poll!(&mut told).is_ready() {
        return Ok(());
    }
    let mut address = config.listen;
    loop {
        let process = tokio::select! {
            started = start_at(config, roles, address) => started?,
            _ = &mut told => return Ok(()),
        };
        address = process.address;
        let keys_changed = process.keys_changed.clone();
        // From its start on the process hears signals itself; this one came before.
        let is_told = futures::poll!(&mut told).is_ready();
        if is_told {
            process.lifecycle.stop.cancel();
        }
        process.run().await?;
        if is_told || !keys_changed.is_cancelled() || futures::poll!(&mut told).is_ready() {
            return Ok(());
        }
    }
}

/// Opens everything that the roles need and starts them. Nothing runs yet if this fails.
pub async fn start(config: &Config, roles: Roles) -> Result<Process, Failed> {
    start_at(config, roles, config.listen).await
}

async fn start_at(config: &Config, roles: Roles, address: std::net::SocketAddr) -> Result<Process, Failed> {
    let metrics = telemetry::record_metrics()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let keyring = keyring(config)?;
    let providers = providers::apps(config, &clock).map_err(refused)?;
    let secret = roles.api.then(|| session_secret(config)).transpose().map_err(refused)?;
    let server = Server::bind(address).await?;
    let shape = Shape::open(config, Arc::clone(&keyring), Arc::clone(&clock)).await.map_err(unreachable)?;
    let process = ProcessId::generate();
    let me = this_process(process, roles.name, &keyring);
    refuse_foreign_keys(shape.store.as_ref(), &me).await?;
    take_back_what_the_keys_open(&shape, &keyring, clock.as_ref()).await?;

    if providers.is_empty() && (roles.scheduler || roles.worker) {
        warn!("No provider app is configured: nothing is refreshed. Set AMAZON_CLIENT_ID and AMAZON_CLIENT_SECRET");
    }

    let mut lifecycle = Lifecycle::new(config.shutdown_deadline)?;
    let parts = Parts {
        config,
        process,
        keyring: &keyring,
        clock: &clock,
        providers: &providers,
        shape: &shape,
        metrics: &metrics,
        meter: &Arc::default(),
    };
    parts.start_upkeep(&mut lifecycle);
    parts.start_activity(&mut lifecycle, roles);
    parts.start_usage(&mut lifecycle);
    let address = server.address();
    match secret {
        Some(secret) => parts.start_api(&mut lifecycle, server, secret).map_err(refused)?,
        None => parts.start_probes(&mut lifecycle, server),
    }
    if roles.worker {
        parts.start_workers(&mut lifecycle).map_err(refused)?;
        webhooks::start_deliverer(&mut lifecycle, config, &shape.store, &clock).map_err(refused)?;
    }
    if roles.scheduler {
        parts.start_scheduler(&mut lifecycle);
        webhooks::start_expiring(&mut lifecycle, process, &providers, &shape.store, &clock);
        parts.start_reencryption(&mut lifecycle);
        parts.start_client_secret_watch(&mut lifecycle);
    }
    let keys_changed = parts.start_key_watch(&mut lifecycle);
    let offices = Arc::clone(&shape.store) as _;
    let announced = announce(offices, me, Arc::clone(&clock), lifecycle.stop.clone());
    lifecycle.start("peers", async {
        announced.await;
        Ok(())
    });
    let (version, role, mode) = (env!("CARGO_PKG_VERSION"), roles.name, config.mode.to_string());
    metrics::gauge!("evergrant_build_info", "version" => version, "role" => role, "mode" => mode).set(1.0);
    info!(%process, role = roles.name, mode = %config.mode, version = env!("CARGO_PKG_VERSION"), "Evergrant started");
    Ok(Process { shape, address, lifecycle, keys_changed })
}

/// Connections that were put out of use for want of a key that is there again.
async fn take_back_what_the_keys_open(shape: &Shape, keyring: &Keyring, clock: &dyn Clock) -> anyhow::Result<()> {
    let restored = shape.store.restore_decryptable(clock.now()).await?;
    if restored > 0 {
        info!(connections = restored, "The keys open connections that were undecryptable: they are in use again");
    }
    for (key, rows) in shape.store.keys_in_use().await? {
        if !keyring.fingerprints().any(|known| known.as_str() == key) {
            warn!(%key, rows, "Rows are encrypted with a key that FERNET_KEY lacks: they cannot be refreshed until it is given back");
        }
    }
    Ok(())
}

struct Parts<'a> {
    config: &'a Config,
    process: ProcessId,
    keyring: &'a Arc<Keyring>,
    clock: &'a Arc<dyn Clock>,
    providers: &'a BTreeMap<ProviderName, ProviderApp>,
    shape: &'a Shape,
    metrics: &'a PrometheusHandle,
    /// Counts what this process does for whom.
    meter: &'a Arc<Meter>,
}

impl Parts<'_> {
    /// Histograms are folded every few seconds, whether or not anybody reads them.
    fn start_upkeep(&self, lifecycle: &mut Lifecycle) {
        let (metrics, clock, stop) = (self.metrics.clone(), Arc::clone(self.clock), lifecycle.stop.clone());
        lifecycle.start("metrics", async move {
            while stop.run_until_cancelled(clock.sleep(UPKEEP_EVERY)).await.is_some() {
                metrics.run_upkeep();
            }
            Ok(())
        });
    }

    /// The charts of operators.
    fn start_activity(&self, lifecycle: &mut Lifecycle, roles: Roles) {
        let metrics = self.metrics.clone();
        let activity = Activity {
            store: Arc::clone(&self.shape.store),
            queue: roles.scheduler.then(|| Arc::clone(&self.shape.queue)),
            providers: self.providers.keys().cloned().collect(),
            metrics: Box::new(move || metrics.render()),
            clock: Arc::clone(self.clock),
        };
        let stop = lifecycle.stop.clone();
        lifecycle.start("activity", async move {
            activity.run(stop).await;
            Ok(())
        });
    }

    /// What is done for whom.
    fn start_usage(&self, lifecycle: &mut Lifecycle) {
        let keeper = UsageKeeper {
            meter: Arc::clone(self.meter),
            store: Arc::clone(&self.shape.store),
            keep_days: self.config.usage.keep_days,
            clock: Arc::clone(self.clock),
        };
        let stop = lifecycle.stop.clone();
        lifecycle.start("usage", async move {
            keeper.run(stop).await;
            Ok(())
        });
    }

    fn probes(&self) -> Probes {
        let metrics = self.metrics.clone();
        Probes {
            checks: self.shape.checks.clone(),
            metrics: Box::new(move || metrics.render()),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// Liveness, readiness and metrics, for roles that have no API.
    ///
    /// A drained worker is not ready, so that whoever watches it sees that it is out. A process that serves the API as well
    /// stays ready: people and services still need that.
    fn start_probes(&self, lifecycle: &mut Lifecycle, server: Server) {
        let mut probes = self.probes();
        let controls = Arc::clone(&self.shape.store);
        probes.checks.push(Arc::new(DrainCheck { controls, process: self.process }));
        let (probes, stop) = (Arc::new(probes), lifecycle.stop.clone());
        lifecycle.start("api", async move { server.run(probes.routes(), stop).await.context("the listener ended") });
    }

    fn start_api(&self, lifecycle: &mut Lifecycle, server: Server, secret: SessionSecret) -> anyhow::Result<()> {
        let ingredients = Ingredients {
            config: self.config,
            process: self.process,
            secret,
            probes: self.probes(),
            providers: self.providers,
            meter: self.meter,
            clock: self.clock,
        };
        ingredients.start(lifecycle, self.shape, server)
    }

    fn start_workers(&self, lifecycle: &mut Lifecycle) -> anyhow::Result<()> {
        let workers = Workers {
            process: self.process,
            settings: settings::worker(self.config),
            store: Arc::clone(&self.shape.store),
            queue: Arc::clone(&self.shape.queue),
            events: Arc::clone(&self.shape.events),
            spool: Arc::new(FileSpool::new(self.config.spool_path(), Arc::clone(self.keyring))),
            providers: self.providers.values().map(|app| Arc::clone(&app.provider)).collect(),
            clock: Arc::clone(self.clock),
            chance: Arc::new(SystemChance),
            meter: Arc::clone(self.meter),
            stop: lifecycle.stop.clone(),
            abort: lifecycle.abort.clone(),
        };
        let handler = workers.handler()?;
        lifecycle.start("workers", async move { workers.run(handler).await.context("the queue ended") });
        Ok(())
    }

    /// Rows that are not under the present key.
    fn start_reencryption(&self, lifecycle: &mut Lifecycle) {
        if self.config.keys.reencrypt_per_second == 0 {
            return;
        }
        let reencryption = Reencryption {
            store: Arc::clone(&self.shape.store),
            keyring: Arc::clone(self.keyring),
            clock: Arc::clone(self.clock),
            per_second: self.config.keys.reencrypt_per_second,
        };
        let (process, stop) = (self.process, lifecycle.stop.clone());
        lifecycle.start("re-encryption", async move {
            reencryption.run(process, stop).await;
            Ok(())
        });
    }

    /// Client secrets that end on a known day.
    fn start_client_secret_watch(&self, lifecycle: &mut Lifecycle) {
        let watch = ClientSecretWatch { ends: client_secrets::ends(self.config), clock: Arc::clone(self.clock) };
        let stop = lifecycle.stop.clone();
        lifecycle.start("client secrets", async move {
            watch.run(stop).await;
            Ok(())
        });
    }

    /// A generated key file may change while the process runs.
    fn start_key_watch(&self, lifecycle: &mut Lifecycle) -> CancellationToken {
        let keys_changed = CancellationToken::new();
        let Some(path) = keys::file::generated(self.config) else { return keys_changed };
        let watch = KeyFileWatch {
            path,
            keyring: Arc::clone(self.keyring),
            rotate_every_days: self.config.keys.rotate_every_days,
            store: Arc::clone(&self.shape.store),
            process: self.process,
            clock: Arc::clone(self.clock),
        };
        let (stop, changed) = (lifecycle.stop.clone(), keys_changed.clone());
        lifecycle.start("key file", async move {
            if watch.run(stop.clone()).await {
                changed.cancel();
                stop.cancel();
            }
            Ok(())
        });
        keys_changed
    }

    fn start_scheduler(&self, lifecycle: &mut Lifecycle) {
        let scheduler = Scheduler::new(
            self.process,
            settings::scheduler(self.config),
            self.providers.keys().cloned(),
            Arc::clone(&self.shape.store),
            Arc::clone(&self.shape.queue),
            Arc::clone(self.clock),
        );
        let stop = lifecycle.stop.clone();
        lifecycle.start("scheduler", async move {
            scheduler.run(stop).await;
            Ok(())
        });
    }
}

/// Whether an operator has taken this process out.
struct DrainCheck {
    controls: Arc<dyn Store>,
    process: ProcessId,
}

#[async_trait]
impl Check for DrainCheck {
    fn name(&self) -> &'static str {
        "drain"
    }

    async fn check(&self) -> Result<(), String> {
        match self.controls.drain_of(self.process).await {
            Ok(Some(Drain { order, done_at: None })) => {
                Err(format!("drained by {} and finishing what is in hand: {}", order.by, order.why))
            }
            Ok(Some(Drain { order, .. })) => Err(format!("drained by {}, nothing is in hand: {}", order.by, order.why)),
            // A store that is away is told by its own check.
            Ok(None) | Err(_) => Ok(()),
        }
    }
}

impl Process {
    /// Tells it to stop; [`Process::run`] then returns.
    pub fn stopper(&self) -> tokio_util::sync::CancellationToken {
        self.lifecycle.stop.clone()
    }

    /// Runs until a signal, or until a component crashes.
    pub async fn run(self) -> anyhow::Result<()> {
        let ended = self.lifecycle.run().await;
        self.shape.close().await;
        ended
    }
}
