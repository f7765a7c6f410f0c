//! Both job kinds, the gate's watch and the spool, until told to stop.

use std::sync::Arc;

use evergrant_contract::ids::ProcessId;
use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{
    Chance, Clock, EventBus, FailedJobs, JobHandler, JobQueue, Provider, QueueError, Spool, Store,
};
use evergrant_contract::usage::Meter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::gate::Gate;
use crate::handler::{Context, RefreshHandler};
use crate::orders::Orders;
use crate::right_of_way::RightOfWay;
use crate::settings::{SettingsError, WorkerSettings};
use crate::window::Window;
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
    /// Counts what is done for whom.
    pub meter: Arc<Meter>,
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
            orders: Orders::new(Arc::clone(&self.store) as _, Arc::clone(&self.clock), self.process),
            writer,
            right_of_way: RightOfWay::default(),
            window: Window::new(self.settings.concurrency_due),
            meter: Arc::clone(&self.meter),
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
            tokio::join!(
                context.gate.watch(stop.clone()),
                context.orders.watch(&context.tasks, &stop),
                context.writer.adopt_spooled(&stop)
            );
            Ok(())
        };
        let line = |kind, concurrency| Line { queue: queue.as_ref(), orders: &context.orders, kind, concurrency };
        let due = line(JobKind::RefreshDue, settings.concurrency_due);
        let forced = line(JobKind::ForceRefresh, settings.concurrency_force);
        let worked = tokio::try_join!(
            due.work(Arc::clone(&jobs) as _, &stop),
            forced.work(jobs as _, &stop),
            queue.drain_dead_letters(failed_jobs, stop.clone()),
            watched,
        );
        context.tasks.close();
        context.tasks.wait().await;
        info!("Workers stopped: nothing is in hand");
        worked.map(|_| ())
    }
}

/// Jobs of one kind, taken in shifts: a pause or a drain ends one, and their end begins the next.
struct Line<'a> {
    queue: &'a dyn JobQueue,
    orders: &'a Orders,
    kind: JobKind,
    concurrency: u32,
}

impl Line<'_> {
    async fn work(&self, jobs: Arc<dyn JobHandler>, stop: &CancellationToken) -> Result<(), QueueError> {
        loop {
            let Some(_shift) = stop.run_until_cancelled(self.orders.begin_shift(self.kind)).await else {
                return Ok(());
            };
            let ends = stop.child_token();
            let shift = self.queue.work(self.kind, self.concurrency, Arc::clone(&jobs), ends.clone());
            tokio::pin!(shift);
            tokio::select! {
                ended = &mut shift => return ended,
                () = self.orders.end_of_shift(self.kind) => ends.cancel(),
            }
            // Finishes what is in hand, and gives back what was not begun.
            shift.await?;
        }
    }
}
