//! `evergrant demo`: the whole product in one process against a simulated Amazon, with a few faults.
//!
//! Nothing in it is pretended: it is `serve` on a throw-away SQLite file, a token endpoint on a port of its own, and a view
//! that watches the events and reads the rows.

mod script;
mod view;

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use evergrant_api::hash_password;
use evergrant_contract::connection::{IfPresent, NewConnection};
use evergrant_contract::ids::ProviderName;
use evergrant_contract::people::User;
use evergrant_contract::ports::{Clock, Store};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::{Margin, after};
use evergrant_sim::{Rotation, Sim, SimOptions};
use evergrant_vault::Keyring;

use crate::cli::DemoArgs;
use crate::clock::SystemClock;
use crate::cmd::roles::{self, Roles};
use crate::config::{Config, Mode, ProviderApp};
use crate::exit::Failed;
use view::View;

const PROVIDER: &str = "amazon-na";
/// Short enough to see tokens live and die, long enough for the outage in the script.
const TOKEN_LIFETIME: Duration = Duration::from_mins(1);
/// The first tokens are given out as if they were issued over the last while, so that there is something to see at once.
const FIRST_LEFT: Duration = Duration::from_secs(18);

/// Runs it until its time is up or somebody interrupts, and prints the summary.
pub async fn run(config: Config, args: &DemoArgs) -> Result<(), Failed> {
    let seed = args.seed.unwrap_or(1);
    let sim = Sim::start(SimOptions {
        token_lifetime: TOKEN_LIFETIME,
        rotation: Rotation::Strict { retry_until_successor_used: true },
        latency: Duration::from_millis(30),
        latency_jitter: Duration::from_millis(40),
        seed,
        ..SimOptions::default()
    })
    .await?;
    let folder = tempfile::tempdir().context("a folder for the throw-away database cannot be made")?;
    let config = configured(config, &sim, folder.path())?;
    let process = roles::start(&config, Roles::SERVE).await?;
    let clock = SystemClock::start();
    let users = connect(process.shape.store.as_ref(), &sim, &clock, args.connections).await?;
    let password = let_people_in(process.shape.store.as_ref(), &users, &clock).await?;

    let stop = process.stopper();
    let mut view = View::new(&process.shape, users.clone(), args.output.json).await;
    view.opening(process.address, args.connections, TOKEN_LIFETIME, &email(&users[0]), &password);
    let store = std::sync::Arc::clone(&process.shape.store);
    let running = tokio::spawn(process.run());
    let scenes = script::play(&sim, &users);
    let watched = view.watch(store.as_ref(), &clock, scenes, args.run_for, &stop).await;
    stop.cancel();
    running.await.context("the demo's process panicked")??;
    watched?;

    let summary = view.summary(&sim.stats());
    view.print(&summary)?;
    sim.stop().await;
    match summary.complaint() {
        None => Ok(()),
        Some(complaint) => Err(anyhow!(complaint).into()),
    }
}

/// The user's configuration with everything throw-away in its place, and paces that suit tokens of a minute.
fn configured(config: Config, sim: &Sim, folder: &std::path::Path) -> Result<Config, Failed> {
    let mut config = config;
    config.mode = Mode::Embedded;
    config.listen.set_port(0);
    config.data_dir = folder.to_path_buf();
    config.keys.fernet_key = Some(Keyring::generate_key());
    config.keys.fernet_key_file = None;
    config.worker.spool_dir = None;
    config.worker.lease = Duration::from_secs(20);
    config.worker.takeover_grace = Duration::from_secs(3);
    config.worker.call_timeout = Duration::from_secs(3);
    config.worker.connect_timeout = Duration::from_secs(1);
    config.worker.commit_budget = Duration::from_secs(2);
    config.worker.back_off_first = Duration::from_secs(2);
    config.worker.back_off_cap = Duration::from_secs(8);
    config.worker.outage_probe = Duration::from_secs(1);
    config.worker.fault_probe = Duration::from_secs(2);
    config.scheduler.republish_after = Duration::from_secs(20);
    config.scheduler.wake_check = Duration::from_millis(200);
    config.shutdown_deadline = Duration::from_secs(10);
    let defaults = SimOptions::default();
    let app = ProviderApp {
        client_id: Some(defaults.client_id),
        client_secret: defaults.client_secrets.into_iter().next().map(Secret::new),
        token_url: Some(sim.token_url()),
        authorize_url: Some(sim.url().join("ap/oa").context("the simulated Amazon's address")?),
        api_url: Some(sim.url().clone()),
        identity_url: Some(sim.url().clone()),
        ..ProviderApp::default()
    };
    config.providers = [(provider()?, app)].into();
    config.check().map_err(|problems| Failed::new(crate::exit::Exit::Config, crate::startup::Refused(problems)))?;
    Ok(config)
}

fn provider() -> anyhow::Result<ProviderName> {
    Ok(PROVIDER.parse()?)
}

/// What people sign in with.
fn email(user: &str) -> String {
    format!("{user}@example.com")
}

/// Makes every owner of a connection a user, and the first one an admin with a password: it works for as long as the demo
/// runs, and is shown for that reason.
async fn let_people_in(store: &dyn Store, users: &[String], clock: &dyn Clock) -> anyhow::Result<Secret> {
    for user in users {
        let person = User {
            id: user.parse()?,
            email: email(user),
            name: user.clone(),
            account: user.clone(),
            is_admin: Some(user) == users.first(),
            is_active: true,
            profile_ids: Vec::new(),
            marketplace_ids: Vec::new(),
            created_at: clock.now(),
        };
        store.save_user(&person).await?;
    }
    let password = Secret::new(Keyring::generate_key().expose().chars().take(16).collect::<String>());
    if let Some(first) = users.first() {
        store.set_password(&first.parse()?, Some(&hash_password(&password)?)).await?;
    }
    Ok(password)
}

/// Grants at the simulated Amazon, stored as an import would: the names of their users.
async fn connect(store: &dyn Store, sim: &Sim, clock: &dyn Clock, count: u32) -> anyhow::Result<Vec<String>> {
    let now = clock.now();
    let margin = Margin { buffer: Duration::from_mins(15), share_percent: 25 };
    let users: Vec<_> = (1..=count).map(|n| format!("user-{n:02}")).collect();
    let mut connections = Vec::with_capacity(users.len());
    for (user, n) in users.iter().zip(0..count) {
        let issued = sim.grant(user);
        // Spread over a token's life: some are due within seconds, the others one after the other.
        let left = FIRST_LEFT + TOKEN_LIFETIME.saturating_sub(FIRST_LEFT) * n / count.max(1);
        let expires_at = after(now, left);
        connections.push(NewConnection {
            user: user.parse()?,
            provider: provider()?,
            account: user.clone(),
            label: email(user),
            scopes: "advertising::campaign_management".to_owned(),
            access_token: Some(Secret::new(issued.access_token)),
            refresh_token: Some(Secret::new(issued.refresh_token)),
            expires_at: Some(expires_at),
            refresh_at: margin.refresh_at(expires_at, TOKEN_LIFETIME, 0.0),
            consent_at: Some(now),
            refresh_expires_at: None,
        });
    }
    store.put(connections, IfPresent::Keep).await?;
    Ok(users)
}
