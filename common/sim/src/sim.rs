//! The simulator as a value: start it, talk to it, stop it.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    routing::{get, post},
};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

use crate::{
    ads, api_call, consent, control,
    fault::Fault,
    identity,
    ledger::LedgerEntry,
    options::SimOptions,
    reporting,
    stats::Stats,
    token_endpoint,
    wire::{Gate, Line},
    world::{DEFAULT_SCOPE, IssuedTokens, World},
};

/// How long [`Sim::stop`] waits for answers that are being written.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// A running simulated Amazon. Dropping it stops it.
pub struct Sim {
    world: Arc<World>,
    url: Url,
    server: Option<JoinHandle<()>>,
}

/// Why the simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not one of this machine.
    #[error("cannot listen on {0}: choose another address for the simulated Amazon")]
    Listen(SocketAddr, #[source] io::Error),
    /// The address that was bound cannot be written as a URL.
    #[error("the address {0} does not make a URL")]
    Address(SocketAddr, #[source] url::ParseError),
}

impl Sim {
    /// Starts to listen. Must be called inside a Tokio runtime, on which the simulator then runs.
    pub async fn start(options: SimOptions) -> Result<Self, StartError> {
        let wanted = options.listen;
        let listener = TcpListener::bind(wanted).await.map_err(|error| StartError::Listen(wanted, error))?;
        let bound = listener.local_addr().map_err(|error| StartError::Listen(wanted, error))?;
        let url = Url::parse(&format!("http://{bound}/")).map_err(|error| StartError::Address(bound, error))?;
        let world = Arc::new(World::new(options));
        let service = routes(Arc::clone(&world)).into_make_service_with_connect_info::<Line>();
        let stopping = world.stopping.clone();
        let server = tokio::spawn(async move {
            let serving = axum::serve(Gate(listener), service).with_graceful_shutdown(stopping.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::error!(%error, "the simulated Amazon has stopped");
            }
        });
        tracing::info!(%url, "the simulated Amazon is listening");
        Ok(Self { world, url, server: Some(server) })
    }

    /// The base URL, with the slash at its end.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The token endpoint.
    pub fn token_url(&self) -> Url {
        let mut url = self.url.clone();
        url.set_path("/auth/o2/token");
        url
    }

    /// Makes a grant, as if the user had consented just now.
    pub fn grant(&self, user: &str) -> IssuedTokens {
        self.world.grant(user, &DEFAULT_SCOPE.into())
    }

    /// Ends every grant of a user, as the user would in their Amazon account; returns how many there are.
    pub fn revoke(&self, user: &str) -> usize {
        self.world.revoke(user)
    }

    /// Replaces the faults that strike everybody.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.world.faults.set(faults.into_iter().collect());
    }

    /// Replaces the faults that strike one user. They come before those for everybody.
    pub fn set_faults_for(&self, user: &str, faults: impl IntoIterator<Item = Fault>) {
        self.world.set_faults_for(user, faults.into_iter().collect());
    }

    /// Removes every fault.
    pub fn clear_faults(&self) {
        self.world.faults.clear();
    }

    /// Changes the client secrets that are accepted.
    pub fn set_client_secrets(&self, secrets: impl IntoIterator<Item = String>) {
        self.world.set_app(None, Some(secrets.into_iter().collect()));
    }

    /// What the simulator has seen so far.
    pub fn stats(&self) -> Stats {
        self.world.counters.stats(&self.world.grants)
    }

    /// The account of every grant, in no particular order.
    pub fn ledger(&self) -> Vec<LedgerEntry> {
        control::read_ledger(&self.world, control::Only::All)
    }

    /// Stops listening, cuts waits short, and returns when open answers are written or two seconds have passed.
    pub async fn stop(mut self) {
        self.world.stopping.cancel();
        if let Some(server) = self.server.take() {
            let abort = server.abort_handle();
            if tokio::time::timeout(STOP_LIMIT, server).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.world.stopping.cancel();
    }
}

fn routes(world: Arc<World>) -> Router {
    Router::new()
        .route("/ap/oa", get(consent::page).post(consent::decide))
        .route("/auth/o2/token", post(token_endpoint::token))
        .route("/auth/o2/tokeninfo", get(identity::token_info))
        .route("/user/profile", get(identity::profile))
        .route("/v2/profiles", get(ads::profiles))
        .route("/amc/accounts", get(ads::accounts))
        .route("/amc/instances", get(ads::instances))
        .route("/amc/reporting/{instance}/workflowExecutions", get(reporting::list).post(reporting::create))
        .route("/amc/reporting/{instance}/workflowExecutions/{id}", get(reporting::show))
        .route("/amc/reporting/{instance}/workflowExecutions/{id}/downloadUrls", get(reporting::download_urls))
        .route("/sim/grants", post(control::add_grants))
        .route("/sim/faults", get(control::faults).put(control::set_faults).delete(control::clear_faults))
        .route(
            "/sim/faults/{user}",
            get(control::user_faults).put(control::set_user_faults).delete(control::clear_user_faults),
        )
        .route("/sim/app", axum::routing::put(control::set_app))
        .route("/sim/revoke/{user}", post(control::revoke))
        .route("/sim/stats", get(control::stats))
        .route("/stats", get(control::stats))
        .route("/sim/ledger", get(control::ledger))
        .fallback(api_call::unknown_path)
        .method_not_allowed_fallback(api_call::unknown_method)
        .with_state(world)
}
