//! Looks, naps and sweeps, until told to stop.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::app::App;
use evergrant_contract::ids::{ProcessId, ProviderName};
use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{Clock, JobQueue, Store, StoreError};
use evergrant_contract::timing::{before, until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info, info_span, warn};

use crate::counting::Counting;
use crate::leader::Leader;
use crate::look::{LookError, Looked, Outlook, Ports};
use crate::settings::SchedulerSettings;

/// The shortest nap otherwise: where tokens fall due all the time, they are gathered for so long.
const SHORTEST_NAP: Duration = Duration::from_millis(200);
/// The nap while more is due than may be published at once.
const BUSY_NAP: Duration = Duration::from_millis(100);
/// The nap after a look that failed.
const TROUBLED_NAP: Duration = Duration::from_secs(1);
/// Between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// Finds what is due and publishes it. Several may run; one leads.
pub struct Scheduler {
    store: Arc<dyn Store>,
    queue: Arc<dyn JobQueue>,
    clock: Arc<dyn Clock>,
    settings: SchedulerSettings,
    leader: Leader,
    outlooks: Vec<Outlook>,
    swept_at: Option<Duration>,
}

impl Scheduler {
    /// A scheduler for these provider apps.
    pub fn new(
        process: ProcessId,
        settings: SchedulerSettings,
        providers: impl IntoIterator<Item = ProviderName>,
        store: Arc<dyn Store>,
        queue: Arc<dyn JobQueue>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let leader = Leader::new(Arc::clone(&store) as _, Arc::clone(&clock), process, settings.lead_ttl);
        let now = clock.monotonic();
        let outlooks = providers.into_iter().map(|provider| Outlook::new(provider, &settings, now)).collect();
        Self { store, queue, clock, settings, leader, outlooks, swept_at: None }
    }

    /// Runs until `stop`, then gives the office back.
    pub async fn run(mut self, stop: CancellationToken) {
        info!(interval_secs = self.settings.refresh_interval.as_secs(), "Token refresh service started");
        let counting = self.counting();
        tokio::select! {
            () = self.look_until(&stop) => {}
            () = counting.run() => {}
        }
        if let Err(error) = self.leader.resign().await {
            warn!(%error, "The office could not be given back; it lapses by itself");
        }
        info!("Token refresh service stopped");
    }

    async fn look_until(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let nap = self.tick().instrument(info_span!("scheduler.tick")).await;
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.clock.sleep(nap) => {}
            }
        }
    }

    fn counting(&self) -> Counting {
        Counting {
            store: Arc::clone(&self.store),
            queue: Arc::clone(&self.queue),
            clock: Arc::clone(&self.clock),
            providers: self.outlooks.iter().map(|outlook| outlook.provider().clone()).collect(),
            leads: self.leader.watch(),
        }
    }

    /// One round: leads if it can, publishes what is due, and says how long to sleep.
    pub async fn tick(&mut self) -> Duration {
        match self.leader.stand().await {
            Ok(true) => {}
            Ok(false) => return self.settings.lead_ttl / 6,
            Err(error) => {
                warn!(%error, "The store cannot be asked who leads");
                return TROUBLED_NAP;
            }
        }
        match self.look_at_all().await {
            Ok(Looked { published, more }) => {
                if published > 0 {
                    info!(published, more, "Refreshing tokens for {published} users");
                    metrics::counter!("evergrant_jobs_published_total").increment(published.into());
                }
                self.sweep_if_time().await;
                if more { BUSY_NAP } else { self.nap().await }
            }
            Err(LookError::Queue(error)) => {
                warn!(%error, "What is due cannot be published yet; it stays due");
                // Whatever the queue took may be gone with it.
                for outlook in &mut self.outlooks {
                    outlook.forget();
                }
                TROUBLED_NAP
            }
            Err(LookError::Store(error)) => {
                warn!(%error, "What is due cannot be read");
                TROUBLED_NAP
            }
        }
    }

    async fn look_at_all(&mut self) -> Result<Looked, LookError> {
        let apps: HashMap<ProviderName, App> =
            self.store.apps().await?.into_iter().map(|app| (app.provider.clone(), app)).collect();
        let pauses = self.store.pauses().await?;
        let mut total = Looked::default();
        for outlook in &mut self.outlooks {
            if !self.leader.is_leading() {
                debug!("No longer sure to lead: the look ends here");
                break;
            }
            let ports = Ports {
                schedule: self.store.as_ref(),
                queue: self.queue.as_ref(),
                clock: self.clock.as_ref(),
                settings: &self.settings,
            };
            if pauses.of_job(JobKind::RefreshDue, outlook.provider()).is_some() {
                // Workers give back what they meet of it: nothing is on its way any more, and nobody probes.
                outlook.forget();
                continue;
            }
            let looked = outlook.look(&ports, apps.get(outlook.provider())).await?;
            total.published += looked.published;
            total.more |= looked.more;
        }
        Ok(total)
    }

    /// Until the earliest `refresh_at` to come, `wake_check` or `refresh_interval`, whichever is first.
    async fn nap(&self) -> Duration {
        let longest = self.settings.wake_check.min(self.settings.refresh_interval);
        match self.next_refresh_at().await {
            // Something due is on its way already: nothing to hurry for.
            Ok(Some(at)) if at > self.clock.now() => until(self.clock.now(), at).max(SHORTEST_NAP).min(longest),
            Ok(_) => longest,
            Err(error) => {
                warn!(%error, "The next due time cannot be read");
                longest
            }
        }
    }

    async fn next_refresh_at(&self) -> Result<Option<evergrant_contract::Timestamp>, StoreError> {
        let mut earliest = None;
        for outlook in &self.outlooks {
            let next = self.store.next_refresh_at(outlook.provider()).await?;
            earliest = [earliest, next].into_iter().flatten().min();
        }
        Ok(earliest)
    }

    async fn sweep_if_time(&mut self) {
        let now = self.clock.monotonic();
        if self.swept_at.is_some_and(|at| now < at + SWEEP_EVERY) {
            return;
        }
        self.swept_at = Some(now);
        match self.store.forget_before(before(self.clock.now(), self.settings.retention)).await {
            Ok(0) => {}
            Ok(rows) => info!(rows, "Old attempts, dealt-with failed jobs and ended sessions were removed"),
            Err(error) => warn!(%error, "The sweep failed; the next one comes in an hour"),
        }
    }
}
