//! Both job kinds, the gate's watch and the spool, until told to stop.

use std::sync::Arc;

use evergrant_contract::ids::ProcessId;
use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{Chance, Clock, EventBus, FailedJobs, JobQueue, Provider, QueueError, Spool, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::gate::Gate;
use crate::handler::{Context, RefreshHandler};
use crate::right_of_way::RightOfWay;
use crate::settings::{SettingsError, WorkerSettings};
use crate::writer::Writer;

/// Everything that workers are given.
pub struct Workers {
    /// This process, as the holder of leases.
    pub process: ProcessId,
    /// The numbers.
    pub settings: WorkerSettings,
    /// The rows.
    pub store: Arc<dyn Store>,
    /// Where jobs come from.
    pub queue: Arc<dyn JobQueue>,
    /// Where outcomes go.
    pub events: Arc<dyn EventBus>,
    /// Where results wait that could not be stored.
    pub spool: Arc<dyn Spool>,
    /// Every configured provider app.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub chance: Arc<dyn Chance>,
    /// No new work from here on; what is in hand is finished.
    pub stop: CancellationToken,
    /// No more waiting either: what cannot be stored now goes to the spool.
    pub abort: CancellationToken,
}

impl Workers {
    /// The handler of jobs, for tests that drive it without a queue.
    pub fn handler(&self) -> Result<RefreshHandler, SettingsError> {
        for provider in &self.providers {
            self.settings.check(provider.policy())?;
        }
        let apps = Arc::clone(&self.store);
        let gate = Gate::new(apps, Arc::clone(&self.events), Arc::clone(&self.clock), self.settings);
        let leases = Arc::clone(&self.store);
        let writer = Writer {
            leases,
            spool: Arc::clone(&self.spool),
            clock: Arc::clone(&self.clock),
            abort: self.abort.clone(),
        };
        let providers = self.providers.iter().map(|provider| (provider.policy().name.clone(), Arc::clone(provider)));
        Ok(RefreshHandler(Arc::new(Context {
            process: self.process,
            settings: self.settings,
            store: Arc::clone(&self.store),
            events: Arc::clone(&self.events),
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            providers: providers.collect(),
            gate,
            writer,
            right_of_way: RightOfWay::default(),
            tasks: TaskTracker::new(),
            stop: self.stop.clone(),
        })))
    }

    /// Works until `stop`, then finishes what is in hand. An error means that the queue cannot go on.
    pub async fn run(self, handler: RefreshHandler) -> Result<(), QueueError> {
        let Self { settings, store, queue, stop, .. } = self;
        info!(process = %self.process, due = settings.concurrency_due, force = settings.concurrency_force, "Workers started");
        let failed_jobs: Arc<dyn FailedJobs> = store;
        let context = Arc::clone(&handler.0);
        let jobs = Arc::new(handler);
        let watched = async {
            tokio::join!(context.gate.watch(stop.clone()), context.writer.adopt_spooled(&stop));
            Ok(())
        };
        let worked = tokio::try_join!(
            queue.work(JobKind::RefreshDue, settings.concurrency_due, Arc::clone(&jobs) as _, stop.clone()),
            queue.work(JobKind::ForceRefresh, settings.concurrency_force, jobs as _, stop.clone()),
            queue.drain_dead_letters(failed_jobs, stop.clone()),
            watched,
        );
        context.tasks.close();
        context.tasks.wait().await;
        info!("Workers stopped: nothing is in hand");
        worked.map(|_| ())
    }
}
