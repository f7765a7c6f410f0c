//! Which provider apps are held; probes, trips, announcements.
//!
//! The store's row is the truth. This process keeps a copy, a second old at most: a stale copy costs a call, never a grant.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::app::{App, AppState, Hold};
use evergrant_contract::event::Event;
use evergrant_contract::ids::{ConnectionId, ProviderName};
use evergrant_contract::ports::{Apps, Clock, EventBus, StoreError};
use evergrant_contract::timing::after;
use evergrant_contract::verdict::{Answer, VerdictKind};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::breaker::Breaker;
use crate::settings::WorkerSettings;

/// How old this process's copy of the states may be.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Whether a job may call its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// The app is open.
    Open,
    /// The app is held, and this job has the turn to probe it.
    Probe,
    /// The app is held until somebody's probe succeeds; the next turn comes then.
    Held(Timestamp),
}

/// The gate of every provider app.
pub struct Gate {
    apps: Arc<dyn Apps>,
    events: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    settings: WorkerSettings,
    held: Mutex<HashMap<ProviderName, App>>,
    breakers: Mutex<HashMap<ProviderName, Breaker>>,
}

impl Gate {
    /// A gate that believes every app open until [`Gate::watch`] or a trip tells otherwise.
    pub fn new(
        apps: Arc<dyn Apps>,
        events: Arc<dyn EventBus>,
        clock: Arc<dyn Clock>,
        settings: WorkerSettings,
    ) -> Self {
        Self { apps, events, clock, settings, held: Mutex::default(), breakers: Mutex::default() }
    }

    /// Keeps the copy fresh until `stop`.
    pub async fn watch(&self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.look().await {
                warn!(%error, "The states of the provider apps cannot be read; the last known ones stand");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(WATCH_EVERY) => {}
            }
        }
    }

    pub(crate) async fn look(&self) -> Result<(), StoreError> {
        let apps = self.apps.apps().await?;
        for app in &apps {
            for state in [AppState::Outage, AppState::Fault] {
                let (provider, is_held) = (app.provider.to_string(), app.state == state);
                metrics::gauge!("evergrant_provider_app_held", "provider" => provider, "state" => state.as_str())
                    .set(f64::from(u8::from(is_held)));
            }
        }
        let held = apps.into_iter().filter(|app| app.state != AppState::Open);
        *self.held.lock() = held.map(|app| (app.provider.clone(), app)).collect();
        Ok(())
    }

    /// Whether a job of this app may call. Taking the turn to probe is the only thing that costs a write.
    pub(crate) async fn pass(&self, provider: &ProviderName) -> Result<Passage, StoreError> {
        let Some(app) = self.held.lock().get(provider).cloned() else { return Ok(Passage::Open) };
        let now = self.clock.now();
        let probe_at = app.probe_at.unwrap_or(now);
        if probe_at > now {
            return Ok(Passage::Held(probe_at));
        }
        let next = after(now, self.probe_every(app.state));
        if self.apps.claim_probe(provider, now, next).await? {
            return Ok(Passage::Probe);
        }
        self.look().await?;
        let still_held = self.held.lock().get(provider).map(|app| app.probe_at.unwrap_or(next));
        Ok(still_held.map_or(Passage::Open, Passage::Held))
    }

    /// When the next probe of an app may go through; `None` while it is open.
    pub(crate) fn held_until(&self, provider: &ProviderName) -> Option<Timestamp> {
        self.held.lock().get(provider).map(|app| app.probe_at.unwrap_or_else(|| self.clock.now()))
    }

    /// Takes note of an answer: it may trip the breaker, or prove that a held app is well again.
    pub(crate) async fn heard(
        &self,
        provider: &ProviderName,
        connection: ConnectionId,
        answer: &Answer,
        was_probe: bool,
    ) {
        let verdict = answer.verdict.kind();
        if self.breakers.lock().entry(provider.clone()).or_default().trips(connection, verdict) {
            metrics::counter!("evergrant_breaker_trips_total", "provider" => provider.to_string()).increment(1);
            self.hold(provider, AppState::Outage, answer).await;
        }
        let proves_it_well =
            matches!(verdict, VerdictKind::Refreshed | VerdictKind::GrantInvalid | VerdictKind::Unusable);
        if was_probe && proves_it_well {
            self.open(provider).await;
        }
    }

    /// Holds an app. Of all processes, the one whose write it is announces it.
    pub(crate) async fn hold(&self, provider: &ProviderName, state: AppState, answer: &Answer) {
        let now = self.clock.now();
        let probe_at = after(now, self.probe_every(state));
        let trace = &answer.trace;
        let hold = Hold { state, probe_at, code: trace.code.clone(), message: trace.message.clone() };
        match self.apps.hold(provider, hold, now).await {
            Ok(true) => {
                self.events.publish(vec![Event::App { provider: provider.clone(), state }]).await;
                if state == AppState::Fault {
                    error!(
                        %provider, code = trace.code, error = trace.message,
                        "The provider refuses this app's own credentials or configuration: refreshes are paused, no \
                         connection is touched. Correct the client id and secret, then they go on by themselves"
                    );
                } else {
                    warn!(
                        %provider, status = trace.status, error = trace.message,
                        "The provider does not answer sensibly: refreshes are paused and it is probed until it is well"
                    );
                }
            }
            Ok(false) => {}
            Err(error) => warn!(%provider, %error, "The provider app could not be held"),
        }
        self.look_or_warn().await;
    }

    async fn open(&self, provider: &ProviderName) {
        match self.apps.open(provider, self.clock.now()).await {
            Ok(true) => {
                let event = Event::App { provider: provider.clone(), state: AppState::Open };
                self.events.publish(vec![event]).await;
                info!(%provider, "The provider is well again: refreshes go on");
            }
            Ok(false) => {}
            Err(error) => warn!(%provider, %error, "The provider app could not be opened; the next probe will"),
        }
        self.look_or_warn().await;
    }

    async fn look_or_warn(&self) {
        if let Err(error) = self.look().await {
            warn!(%error, "The states of the provider apps cannot be read; the last known ones stand");
        }
    }

    const fn probe_every(&self, state: AppState) -> Duration {
        match state {
            AppState::Fault => self.settings.fault_probe_every,
            AppState::Open | AppState::Outage => self.settings.outage_probe_every,
        }
    }
}
