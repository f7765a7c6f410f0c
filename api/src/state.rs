//! What every route can reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use evergrant_amc::{Client, Target};
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ProcessId, ProviderName};
use evergrant_contract::ports::{Chance, Clock, Consents, EventBus, JobQueue, Provider, Store};
use evergrant_webhooks::Hooks;
use tokio_util::sync::CancellationToken;

use crate::auth::Callers;
use crate::hub::Hub;
use crate::probes::Probes;
use crate::reads::Reads;
use crate::settings::ApiSettings;
use crate::waits::{LocalTokens, Waits};

/// A provider app as the API uses it.
#[derive(Clone)]
pub struct ProviderApp {
    /// How its grants begin.
    pub consents: Arc<dyn Consents>,
    /// How it treats tokens.
    pub provider: Arc<dyn Provider>,
    /// Where its tokens are good, if its descriptor says so.
    pub target: Option<Target>,
    /// When its client secret ends, if that is known.
    pub client_secret_ends_at: Option<Timestamp>,
}

/// What an API is made of; the state of every route.
pub struct Api {
    /// Which process this is.
    pub process: ProcessId,
    /// What it is told.
    pub settings: ApiSettings,
    /// The rows.
    pub store: Arc<dyn Store>,
    /// The same rows, for what many ask for at once.
    pub reads: Arc<Reads>,
    /// The jobs, for replays; whoever waits for a refresh asks `waits`.
    pub queue: Arc<dyn JobQueue>,
    /// The events.
    pub events: Arc<dyn EventBus>,
    /// The events, heard once for every stream that somebody holds open.
    pub hub: Arc<Hub>,
    /// The provider apps that are configured.
    pub providers: BTreeMap<ProviderName, ProviderApp>,
    /// Who calls.
    pub callers: Callers,
    /// Forced refreshes that somebody waits for.
    pub waits: Arc<Waits>,
    /// Access tokens, refreshed if they must be.
    pub tokens: Arc<LocalTokens>,
    /// Calls of the provider's API.
    pub amc: Client,
    /// Receivers of webhooks.
    pub hooks: Arc<Hooks>,
    /// Liveness, readiness, metrics.
    pub probes: Arc<Probes>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The chance that spreads refreshes.
    pub chance: Arc<dyn Chance>,
    /// Ends streams.
    pub stop: CancellationToken,
}
