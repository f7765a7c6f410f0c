//! One refresh that is waited for: asked of the workers until the row shows what came of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::app::{App, AppState};
use evergrant_contract::connection::Connection;
use evergrant_contract::controls::Pause;
use evergrant_contract::ids::{ConnectionId, JobId, Version};
use evergrant_contract::job::{Job, JobKind, Payload};
use evergrant_contract::ports::{Clock, JobQueue, Store, StoreError};
use evergrant_contract::timing::after;
use tokio::sync::watch;
use tracing::{debug, error, warn};

use super::Waited;
use super::decide::{Look, RETRY_MIN, Seen, Wanted, decide, is_leased};
use super::flights::Shared;
use crate::settings::ForceSettings;

/// Between two looks at the row when nothing is heard: the first, and the longest.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(1));
/// Before a job that seems to be lost is published again: the first time, and the longest.
const PUBLISH_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));
/// Before a publication that failed is tried again: the first time, and the longest.
const PUBLISH_RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// What every flight needs.
pub(super) struct Ports {
    pub(super) store: Arc<dyn Store>,
    pub(super) queue: Arc<dyn JobQueue>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: ForceSettings,
}

/// One refresh that is waited for.
pub(super) struct Flight {
    pub(super) ports: Arc<Ports>,
    pub(super) connection: ConnectionId,
    pub(super) wanted: Wanted,
    pub(super) traceparent: Option<String>,
    pub(super) shared: Arc<Shared>,
}

/// What there is to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    version: Version,
    refresh_at: Timestamp,
    /// A worker has the row in hand: a job would find it busy.
    is_leased: bool,
}

/// What the half that looks tells the half that publishes.
type Orders = watch::Sender<Option<Order>>;

impl Flight {
    /// Returns when it is known what came of it, or at the deadline.
    pub(super) async fn run(self) -> Waited {
        let orders = Orders::new(None);
        tokio::select! {
            waited = self.watch(&orders) => waited,
            never = self.publish(orders.subscribe()) => match never {},
            () = self.ports.clock.sleep(self.ports.settings.deadline) => self.too_late(),
        }
    }

    fn too_late(&self) -> Waited {
        let waited = self.shared.too_late();
        if let Waited::Away { .. } = waited {
            warn!(
                connection = %self.connection,
                "A forced refresh could not be asked for: the store or the queue was away until the deadline"
            );
        }
        waited
    }

    /// Looks at the row whenever something is heard, and now and then all the same.
    async fn watch(&self, orders: &Orders) -> Waited {
        let mut watcher = Watcher { flight: self, wanted: self.wanted, seen: None };
        let mut pauses = doubling(LOOK_EVERY);
        loop {
            match watcher.look(orders).await {
                Ok(Some(waited)) => return waited,
                Ok(None) => {}
                Err(error) if error.is_transient() => {
                    self.shared.is_stuck();
                    debug!(connection = %self.connection, %error, "The store is away; the flight waits for it");
                }
                Err(error) => {
                    error!(connection = %self.connection, %error, "A connection that is waited for cannot be read");
                    return Waited::Away { retry_after: RETRY_MIN };
                }
            }
            tokio::select! {
                () = self.shared.wake.notified() => {}
                () = self.ports.clock.sleep(pauses()) => {}
            }
        }
    }

    /// Publishes the job, and again while it seems to be lost. The fence in the row makes every repetition harmless.
    async fn publish(&self, mut orders: watch::Receiver<Option<Order>>) -> Infallible {
        let id = JobId::generate();
        let ends = after(self.ports.clock.now(), self.ports.settings.deadline);
        let (mut again, mut retry) = (doubling(PUBLISH_AGAIN), doubling(PUBLISH_RETRY));
        let mut which = "first";
        loop {
            let order = next_order(&mut orders, |order| !order.is_leased).await;
            let pause = match self.ports.queue.publish(vec![self.job(id, order, ends)]).await {
                Ok(()) => {
                    self.shared.is_asked_for();
                    metrics::counter!("evergrant_force_jobs_total", "which" => which).increment(1);
                    which = "again";
                    again()
                }
                Err(error) => {
                    self.shared.is_stuck();
                    metrics::counter!("evergrant_force_jobs_total", "which" => "not_taken").increment(1);
                    debug!(connection = %self.connection, %error, "A forced refresh could not be published; it is tried again");
                    retry()
                }
            };
            tokio::select! {
                () = self.ports.clock.sleep(pause) => {}
                // The row was made due meanwhile: the job in the queue is for a row that looked otherwise.
                _ = next_order(&mut orders, |next| next.refresh_at != order.refresh_at) => {}
            }
        }
    }

    fn job(&self, id: JobId, order: Order, deadline: Timestamp) -> Job {
        let payload = Payload::ForceRefresh {
            connection: self.connection,
            observed_version: order.version,
            refresh_at: order.refresh_at,
            reason: self.wanted.reason,
            deadline,
        };
        Job { id, payload, traceparent: self.traceparent.clone() }
    }

    /// The pause of the connection's provider app or of forced refreshes, if one stands.
    async fn pause(&self, row: &Connection) -> Result<Option<Pause>, StoreError> {
        Ok(self.ports.store.pauses().await?.of_job(JobKind::ForceRefresh, &row.provider).cloned())
    }

    /// The connection's provider app, if it is held.
    async fn held(&self, row: &Connection) -> Result<Option<App>, StoreError> {
        let apps = self.ports.store.apps().await?;
        Ok(apps.into_iter().find(|app| app.provider == row.provider && app.state != AppState::Open))
    }
}

/// What stands in the way of a refresh beyond the row.
enum Obstacle<'a> {
    /// The provider app is held.
    Hold(&'a App),
    /// An operator has paused the provider app, or forced refreshes.
    Pause(&'a Pause),
}

/// The half of a flight that looks.
struct Watcher<'a> {
    flight: &'a Flight,
    wanted: Wanted,
    seen: Option<Seen>,
}

impl Watcher<'_> {
    /// One look. `None`: nothing is known yet.
    async fn look(&mut self, orders: &Orders) -> Result<Option<Waited>, StoreError> {
        let Some(row) = self.row().await? else { return Ok(Some(Waited::NotFound)) };
        let failed_at = self.failed_at(&row).await?;
        if self.seen.is_none() {
            // Nobody can have seen a version fail that is not stored yet: one that claims to is asked for what there is.
            self.wanted.than = self.wanted.than.min(row.version);
        }
        if let Some(waited) = self.decide(&row, None, failed_at) {
            return Ok(Some(waited));
        }
        let is_free = !is_leased(&row, self.now());
        if is_free
            && let Some(pause) = self.flight.pause(&row).await?
            && let Some(waited) = self.decide(&row, Some(&Obstacle::Pause(&pause)), failed_at)
        {
            return Ok(Some(waited));
        }
        if is_free && let Some(app) = self.flight.held(&row).await? {
            // Read again, behind the app: a probe takes the lease before it takes the turn, so one that is under way shows.
            let Some(row) = self.row().await? else { return Ok(Some(Waited::NotFound)) };
            if let Some(waited) = self.decide(&row, Some(&Obstacle::Hold(&app)), failed_at) {
                return Ok(Some(waited));
            }
        }
        self.order(&row, orders);
        Ok(None)
    }

    /// What is known of the row so far decides nothing: it is to be refreshed as it stands.
    fn order(&mut self, row: &Connection, orders: &Orders) {
        self.seen = Some(Seen(row.refresh_at));
        let now = self.now();
        let is_leased = is_leased(row, now);
        if is_leased {
            self.flight.shared.is_asked_for();
        }
        let order = Order { version: row.version, refresh_at: row.refresh_at.unwrap_or(now), is_leased };
        orders.send_if_modified(|present| present.replace(order) != Some(order));
    }

    fn decide(
        &self,
        row: &Connection,
        obstacle: Option<&Obstacle<'_>>,
        failed_at: Option<Timestamp>,
    ) -> Option<Waited> {
        let (held, pause) = match obstacle {
            None => (None, None),
            Some(Obstacle::Hold(app)) => (Some(*app), None),
            Some(Obstacle::Pause(pause)) => (None, Some(*pause)),
        };
        let look = Look { row, held, pause, failed_at, now: self.now() };
        decide(self.wanted, self.seen, &look, &self.flight.ports.settings)
    }

    /// When the newest attempt that did not succeed was made, if that matters: before anything is asked for.
    async fn failed_at(&self, row: &Connection) -> Result<Option<Timestamp>, StoreError> {
        if self.seen.is_some() || row.last_error.is_none() {
            return Ok(None);
        }
        let attempts = self.flight.ports.store.attempts(row.id, 1).await?;
        Ok(attempts.first().map(|attempt| attempt.at))
    }

    async fn row(&self) -> Result<Option<Connection>, StoreError> {
        self.flight.ports.store.find(self.flight.connection).await
    }

    fn now(&self) -> Timestamp {
        self.flight.ports.clock.now()
    }
}

/// The present or the next order that is wanted.
async fn next_order(orders: &mut watch::Receiver<Option<Order>>, is_wanted: impl Fn(&Order) -> bool) -> Order {
    let found = orders.wait_for(|order| order.as_ref().is_some_and(&is_wanted)).await.ok().and_then(|order| *order);
    match found {
        Some(order) => order,
        // Nobody orders any more: the flight has ended.
        None => std::future::pending().await,
    }
}

fn doubling((first, longest): (Duration, Duration)) -> impl FnMut() -> Duration {
    let mut next = first;
    move || {
        let pause = next;
        next = (pause * 2).min(longest);
        pause
    }
}
