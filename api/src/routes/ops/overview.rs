//! How things stand: numbers, provider apps, queues and processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use chrono::{DateTime, Utc};
use evergrant_contract::app::{App, AppState};
use evergrant_contract::connection::Stats;
use evergrant_contract::controls::Pauses;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::job::JobKind;
use evergrant_contract::ports::Peer;
use futures::future::{join, join_all, join4};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::pauses::OrderView;
use super::processes::DrainView;
use super::view::app_states;
use super::{ALIVE_FOR, operator};
use crate::auth::Caller;
use crate::edges::extract::Json;
use crate::problem::Problem;
use crate::state::Api;

/// What does not answer within this is told as away.
const LOOK_FOR: Duration = Duration::from_secs(5);
/// Refreshes are counted from so long ago on.
const REFRESHED_WITHIN: Duration = Duration::from_hours(1);

/// How things stand. What could not be asked is null, and `notes` say why.
#[derive(Serialize, ToSchema)]
pub(super) struct Overview {
    /// When it was looked at.
    at: DateTime<Utc>,
    /// The version of this process.
    version: &'static str,
    /// Counts of connections.
    connections: Option<ConnectionCounts>,
    /// Failed jobs that nobody has dealt with.
    failed_jobs_open: Option<u64>,
    /// The provider apps that are configured or were ever paused.
    provider_apps: Option<Vec<ProviderAppView>>,
    /// The queues.
    queues: Vec<QueueView>,
    /// How many live processes there are, by role.
    processes: Option<BTreeMap<String, u64>>,
    /// The process that leads the schedulers, if that is known: where several could, another one may.
    leader: Option<Uuid>,
    /// What could not be looked at, and why.
    notes: Vec<String>,
}

/// Counts of connections.
#[derive(Serialize, ToSchema)]
struct ConnectionCounts {
    /// All of them.
    total: u64,
    /// By state; every state is named.
    by_state: BTreeMap<&'static str, u64>,
    /// To be refreshed now.
    due: u64,
    /// Refreshable and past the end of their access token.
    expired: u64,
    /// Paused one by one by an operator.
    paused: u64,
    /// Refreshed within the last hour.
    refreshed: u64,
}

/// A provider app.
#[derive(Serialize, ToSchema)]
#[schema(as = ProviderApp)]
struct ProviderAppView {
    #[schema(example = "amazon-na")]
    provider: String,
    /// Whether this process has its client id and secret.
    is_configured: bool,
    /// `open`: refreshes go through. Otherwise they are paused, and it is probed.
    #[schema(schema_with = app_states)]
    state: AppState,
    /// Since when; null for an app that was never paused.
    since: Option<DateTime<Utc>>,
    /// When the next probe may go through, while it is paused.
    probe_at: Option<DateTime<Utc>>,
    /// The provider's error code that paused it.
    code: Option<String>,
    /// One sentence for people.
    message: Option<String>,
    /// The order by which an operator has paused it, whatever its state; null: it is not paused, or that is not known.
    paused: Option<OrderView>,
    /// When its client secret ends, if the configuration of this process says so.
    client_secret_ends_at: Option<DateTime<Utc>>,
}

/// A queue.
#[derive(Serialize, ToSchema)]
#[schema(as = Queue)]
struct QueueView {
    /// The kind of its jobs.
    #[schema(example = "refresh_due")]
    kind: &'static str,
    /// Jobs that wait; null: the queue is away.
    depth: Option<u64>,
    /// The order by which an operator has paused it; null: it is not paused, or that is not known.
    paused: Option<OrderView>,
}

/// Everything that an operator looks at first. Answers whatever is away.
#[utoipa::path(get, path = "/api/ops/overview", operation_id = "getOverview", tag = "operations",
    summary = "How things stand",
    responses((status = 200, description = "How things stand.", body = Overview)))]
pub(super) async fn overview(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Overview>, Problem> {
    operator(&caller)?;
    Ok(Json(looked_at(&api).await))
}

/// A live process.
#[derive(Serialize, ToSchema)]
#[schema(as = Process)]
struct ProcessView {
    process: Uuid,
    /// What it runs.
    #[schema(example = "worker")]
    role: String,
    /// When it was last heard of, in the store's time.
    seen_at: DateTime<Utc>,
    /// Fingerprint of the key that it encrypts with.
    primary_key: String,
    /// Fingerprints of all keys that it decrypts with.
    keys: Vec<String>,
    /// Whether it leads the schedulers; null: not known, since several could.
    leads: Option<bool>,
    /// Whether it is the one that answers.
    is_this: bool,
    /// Whether it takes jobs at all.
    runs_workers: bool,
    /// The order to take no new jobs; null: none stands.
    drain: Option<DrainView>,
}

/// The live processes.
#[derive(Serialize, ToSchema)]
pub(super) struct Processes {
    /// By role, then by the time of their start.
    items: Vec<ProcessView>,
}

/// Processes that were heard of within the last 45 seconds.
#[utoipa::path(get, path = "/api/ops/processes", operation_id = "listProcesses", tag = "operations",
    summary = "List the live processes",
    responses((status = 200, description = "The live processes.", body = Processes)))]
pub(super) async fn processes(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Processes>, Problem> {
    operator(&caller)?;
    let mut peers = api.store.peers(ALIVE_FOR).await?;
    peers.sort_by(|a, b| (&a.role, a.process).cmp(&(&b.role, b.process)));
    let leader = leader(&peers);
    let items = peers.into_iter().map(|peer| ProcessView {
        process: peer.process.uuid(),
        leads: if leads_perhaps(&peer) { leader.map(|id| id == peer.process.uuid()) } else { Some(false) },
        is_this: peer.process == api.process,
        runs_workers: peer.runs_workers(),
        drain: peer.drain.map(DrainView::from),
        role: peer.role,
        seen_at: peer.seen_at,
        primary_key: peer.primary_key,
        keys: peer.keys,
    });
    Ok(Json(Processes { items: items.collect() }))
}

async fn looked_at(api: &Api) -> Overview {
    let now = api.clock.now();
    let since = evergrant_contract::timing::before(now, REFRESHED_WITHIN);
    let rows = join4(api.store.stats(now, since), api.store.apps(), api.store.peers(ALIVE_FOR), api.store.pauses());
    let depths = join_all(JobKind::ALL.iter().map(|kind| in_time(api.queue.depth(*kind))));
    let rows = async {
        let (stats, apps, peers, pauses) = rows.await;
        Ok::<_, std::convert::Infallible>((told(stats), told(apps), told(peers), told(pauses)))
    };
    let (rows, depths) = join(in_time(rows), depths).await;
    let (stats, apps, peers, pauses) = match rows {
        Ok(rows) => rows,
        Err(why) => (Err(why.clone()), Err(why.clone()), Err(why.clone()), Err(why)),
    };
    let mut notes = Vec::new();
    let pauses = noted(pauses, "What is paused", &mut notes).unwrap_or_default();
    let queues = JobKind::ALL.iter().zip(depths).map(|(kind, depth)| QueueView {
        kind: kind.as_str(),
        depth: noted(depth, &format!("The queue of {kind}"), &mut notes),
        paused: pauses.of_queue(*kind).map(|pause| pause.order.clone().into()),
    });
    let queues = queues.collect();
    let stats = noted(stats, "The counts of connections", &mut notes);
    let apps = noted(apps, "The states of the provider apps", &mut notes);
    let peers = noted(peers, "The live processes", &mut notes);
    Overview {
        at: now,
        version: api.probes.version,
        failed_jobs_open: stats.as_ref().map(|stats| stats.failed_jobs),
        connections: stats.map(ConnectionCounts::from),
        provider_apps: apps.map(|apps| every_app(api, apps, &pauses)),
        queues,
        leader: peers.as_deref().and_then(leader),
        processes: peers.map(|peers| by_role(&peers)),
        notes,
    }
}

async fn in_time<T, E: std::fmt::Display>(look: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(LOOK_FOR, look).await {
        Ok(found) => told(found),
        Err(_) => Err(format!("no answer within {} seconds", LOOK_FOR.as_secs())),
    }
}

fn told<T, E: std::fmt::Display>(found: Result<T, E>) -> Result<T, String> {
    found.map_err(|error| error.to_string())
}

fn noted<T>(found: Result<T, String>, what: &str, notes: &mut Vec<String>) -> Option<T> {
    found.map_err(|why| notes.push(format!("{what} cannot be looked at: {why}."))).ok()
}

impl From<Stats> for ConnectionCounts {
    fn from(stats: Stats) -> Self {
        Self {
            total: stats.total,
            by_state: stats.by_state.into_iter().map(|(state, count)| (state.as_str(), count)).collect(),
            due: stats.due,
            expired: stats.expired,
            paused: stats.paused,
            refreshed: stats.refreshed,
        }
    }
}

/// Those that the store has heard of, and those that are configured and were never paused.
fn every_app(api: &Api, apps: Vec<App>, pauses: &Pauses) -> Vec<ProviderAppView> {
    let mut known: BTreeMap<ProviderName, Option<App>> =
        api.providers.keys().map(|name| (name.clone(), None)).collect();
    known.extend(apps.into_iter().map(|app| (app.provider.clone(), Some(app))));
    let view = |(name, app): (ProviderName, Option<App>)| {
        let is_configured = api.providers.contains_key(&name);
        let client_secret_ends_at = api.providers.get(&name).and_then(|app| app.client_secret_ends_at);
        let by_hand = pauses.of_app(&name).map(|pause| pause.order.clone().into());
        let provider = name.to_string();
        match app {
            Some(App { state, since, probe_at, code, message, .. }) => ProviderAppView {
                provider,
                is_configured,
                state,
                since: Some(since),
                probe_at,
                code,
                message,
                paused: by_hand,
                client_secret_ends_at,
            },
            None => ProviderAppView {
                provider,
                is_configured,
                state: AppState::Open,
                since: None,
                probe_at: None,
                code: None,
                message: None,
                paused: by_hand,
                client_secret_ends_at,
            },
        }
    };
    known.into_iter().map(view).collect()
}

fn by_role(peers: &[Peer]) -> BTreeMap<String, u64> {
    peers.iter().fold(BTreeMap::new(), |mut roles, peer| {
        *roles.entry(peer.role.clone()).or_default() += 1;
        roles
    })
}

fn leads_perhaps(peer: &Peer) -> bool {
    matches!(peer.role.as_str(), "serve" | "scheduler")
}

/// The only one that could lead, does.
fn leader(peers: &[Peer]) -> Option<Uuid> {
    let mut could = peers.iter().filter(|peer| leads_perhaps(peer));
    could.next().filter(|_| could.next().is_none()).map(|peer| peer.process.uuid())
}
