//! Forced refreshes and those who wait for them (design.md section 4, "Force").

mod ask;
mod decide;
mod flight;
mod flights;
mod problem;
mod tokens;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::event::Event;
use evergrant_contract::job::ForceReason;
use evergrant_contract::ports::{Clock, EventBus, Heard, JobQueue, Store};
use futures::StreamExt as _;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use self::decide::Wanted;
use self::flight::{Flight, Ports};
use self::flights::{Flights, Key, Place};
use crate::settings::ForceSettings;

pub use ask::{Ask, Waited};
pub use tokens::LocalTokens;

/// Before the events are subscribed to again, should the stream end.
const RESUBSCRIBE: Duration = Duration::from_secs(1);

/// Forced refreshes and those who wait for them: the only place that publishes `ForceRefresh`.
///
/// Of all who ask in this process for the same version of a connection, the first starts a flight and all wait for its
/// outcome; across processes the lease and the row's fence see to it that one call answers all. A flight is a task of its
/// own: whoever goes away cancels nothing.
pub struct Waits {
    ports: Arc<Ports>,
    events: Arc<dyn EventBus>,
    flights: Arc<Flights>,
    tasks: TaskTracker,
    waiters: Semaphore,
}

impl Waits {
    /// Waits that hear nothing until [`Waits::run`] does; without it they look at the rows now and then.
    pub fn new(
        store: Arc<dyn Store>,
        queue: Arc<dyn JobQueue>,
        events: Arc<dyn EventBus>,
        clock: Arc<dyn Clock>,
        settings: ForceSettings,
    ) -> Arc<Self> {
        let waiters = Semaphore::new(settings.waiters_max.min(Semaphore::MAX_PERMITS));
        let ports = Arc::new(Ports { store, queue, clock, settings });
        Arc::new(Self { ports, events, flights: Arc::default(), tasks: TaskTracker::new(), waiters })
    }

    /// Listens to the events until `stop`, which is better cancelled after [`Waits::drain`].
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        stop.run_until_cancelled(self.listen()).await;
    }

    /// Waits for a version newer than the observed one, and sees to it that somebody makes it.
    pub async fn refresh(&self, ask: Ask) -> Waited {
        let Ok(_place) = self.waiters.try_acquire() else {
            return counted(Waited::Overloaded);
        };
        let _waiting = Waiting::begin();
        let began = self.ports.clock.monotonic();
        let waited = self.wait(&ask, began).await;
        metrics::histogram!("evergrant_force_seconds").record(self.ports.clock.monotonic().saturating_sub(began));
        counted(waited)
    }

    /// Returns when no refresh is waited for any more. The longest takes as long as the deadline.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn listen(&self) {
        loop {
            let mut heard = self.events.subscribe().await;
            // What happened before was not heard.
            self.flights.wake_all();
            while let Some(heard) = heard.next().await {
                self.hear(heard);
            }
            warn!("The stream of events ended; it is subscribed to again. Until then outcomes are told a moment later");
            self.ports.clock.sleep(RESUBSCRIBE).await;
        }
    }

    /// An event is a hint that a row is worth a look, and nothing more.
    fn hear(&self, heard: Heard) {
        match heard {
            Heard::Event(Event::Connection { connection, outcome, traceparent, .. }) => {
                let flights = self.flights.wake(connection);
                if flights > 0 {
                    debug!(%connection, %outcome, traceparent, flights, "An outcome was heard that is waited for");
                }
            }
            Heard::Event(Event::App { .. }) | Heard::Gap => self.flights.wake_all(),
        }
    }

    /// What comes of the flight, and of the next one if it runs out of time before this caller does.
    async fn wait(&self, ask: &Ask, began: Duration) -> Waited {
        let longest = self.ports.settings.deadline;
        let patience = ask.patience.map_or(longest, |patience| patience.min(longest));
        let mut time_is_up = self.ports.clock.sleep(patience);
        loop {
            let Place { mut outcome, shared } = self.join(ask);
            let landed = tokio::select! {
                biased;
                landed = outcome.wait_for(Option::is_some) => landed.ok().and_then(|waited| waited.clone()),
                () = &mut time_is_up => return shared.too_late(),
            };
            // Without an outcome the flight has crashed, which its own hook has reported: no next one is started.
            let Some(waited) = landed else { return shared.too_late() };
            let ran_out = matches!(waited, Waited::Pending { .. } | Waited::Away { .. });
            if !ran_out || self.ports.clock.monotonic() >= began + patience {
                return waited;
            }
        }
    }

    fn join(&self, ask: &Ask) -> Place {
        let insists = ask.reason == ForceReason::Operator;
        let key = Key { connection: ask.connection, observed: ask.observed, insists };
        let (place, landing) = self.flights.join(key);
        let Some(landing) = landing else {
            metrics::counter!("evergrant_force_coalesced_total").increment(1);
            return place;
        };
        metrics::counter!("evergrant_force_flights_total", "reason" => ask.reason.as_str()).increment(1);
        let flight = Flight {
            ports: Arc::clone(&self.ports),
            connection: ask.connection,
            wanted: Wanted { than: ask.observed, reason: ask.reason },
            traceparent: ask.traceparent.clone(),
            shared: Arc::clone(&landing.shared),
        };
        self.tasks.spawn(async move { landing.land(flight.run().await) });
        place
    }
}

fn counted(waited: Waited) -> Waited {
    metrics::counter!("evergrant_force_outcomes_total", "outcome" => waited.as_str()).increment(1);
    waited
}

/// A caller that waits, as the gauge counts it, however its wait ends.
struct Waiting;

impl Waiting {
    fn begin() -> Self {
        metrics::gauge!("evergrant_force_waiting").increment(1.0);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!("evergrant_force_waiting").decrement(1.0);
    }
}
