//! What each command does.

mod api_keys;
mod bulk;
mod connections;
mod doctor;
mod healthcheck;
mod jobs;
mod keys;
mod pause;
mod refresh;
pub mod roles;
mod sim;
mod stats;
mod top;
mod users;
mod webhooks;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use evergrant_contract::ports::{Clock, Store};
use evergrant_vault::Keyring;
use serde_json::json;

use crate::cli::{Cli, Command};
use crate::clock::SystemClock;
use crate::config::{Config, Mode};
use crate::exit::{Exit, Failed};
use crate::output::Output;
use crate::shape::{self, Rows};
use crate::startup;
use roles::Roles;

/// A process that ends waits no longer for the collector.
const LAST_TRACES: Duration = Duration::from_secs(2);

/// Does what the command line asks for.
pub fn run(cli: Cli) -> Result<(), Failed> {
    // Everything that speaks TLS uses this provider; it has to be there before the first client is made.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(dispatch(cli));
    // A task that hangs must not keep a process that has said its last word.
    runtime.shutdown_background();
    result
}

async fn dispatch(cli: Cli) -> Result<(), Failed> {
    match &cli.command {
        Command::Serve(_) => serve(&cli, Roles::SERVE).await,
        Command::Scheduler(_) => serve(&cli, Roles::SCHEDULER).await,
        Command::Worker(_) => serve(&cli, Roles::WORKER).await,
        Command::Api(_) => serve(&cli, Roles::API).await,
        Command::Migrate(output) => migrate(&startup::begin_checked(&cli)?, output.json).await,
        Command::Doctor(output) => doctor(&cli, output.json).await,
        Command::Healthcheck(args) => healthcheck::run(&startup::begin(&cli)?, args).await,
        Command::Connections(command) => connections::run(&startup::begin_checked(&cli)?, command).await,
        Command::Jobs(command) => jobs::run(&startup::begin_checked(&cli)?, command).await,
        Command::Top(args) => top::run(&startup::begin_quietly(&cli)?, args).await,
        Command::Stats(args) => stats::run(&startup::begin_checked(&cli)?, args).await,
        Command::Pause(args) => pause::pause(&startup::begin_checked(&cli)?, args).await,
        Command::Resume(args) => pause::resume(&startup::begin_checked(&cli)?, args).await,
        Command::Pauses(args) => pause::list(&startup::begin_checked(&cli)?, args).await,
        Command::Workers(command) => workers::run(&startup::begin_checked(&cli)?, command).await,
        Command::Keys(command) => keys::run(&startup::begin(&cli)?, command).await,
        Command::Users(command) => users::run(&startup::begin_checked(&cli)?, command).await,
        Command::Webhooks(command) => webhooks::run(&startup::begin_checked(&cli)?, command).await,
        Command::ApiKeys(command) => api_keys::run(&startup::begin_checked(&cli)?, command).await,
        Command::Demo(args) => crate::demo::run(startup::begin_quietly(&cli)?, args).await,
        Command::Sim(args) => sim::run(&startup::begin(&cli)?, args).await,
    }
}

async fn serve(cli: &Cli, roles: Roles) -> Result<(), Failed> {
    let (config, traces) = startup::begin_serving(cli, roles.name)?;
    let ended = serve_roles(&config, roles).await;
    if let Some(traces) = traces {
        traces.finish(LAST_TRACES).await;
    }
    ended
}

async fn serve_roles(config: &Config, roles: Roles) -> Result<(), Failed> {
    if config.mode == Mode::Embedded && roles != Roles::SERVE {
        let why = anyhow!(
            "`{}` alone is a part of a cluster, and the mode is embedded: use `evergrant serve`, or set \
             EVERGRANT_MODE=cluster with DATABASE_URL and AMQP_URL",
            roles.name
        );
        return Err(Failed::new(Exit::Config, why));
    }
    roles::run(config, roles).await
}

async fn migrate(config: &Config, json: bool) -> Result<(), Failed> {
    let keyring = keyring(config)?;
    let applied = shape::migrate(config, keyring, clock()).await.map_err(unreachable)?;
    let people = |_: &serde_json::Value| match applied.as_slice() {
        [] => "The database is up to date.".to_owned(),
        applied => format!("Applied: {}", applied.join(", ")),
    };
    Ok(Output::stdout(json).data(&json!({ "applied": applied }), people)?)
}

async fn doctor(cli: &Cli, json: bool) -> Result<(), Failed> {
    let config = startup::begin(cli)?;
    let report = doctor::examine(&config).await;
    Output::stdout(json).data(&report, doctor::Report::text)?;
    if report.has_failure() {
        return Err(anyhow!("something would keep the system from working: see above").into());
    }
    Ok(())
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::start())
}

/// Who sits here, as the system or they themselves say.
fn actor(name: &str) -> String {
    format!("cli {}", name.replace(char::is_control, "")).trim().to_owned()
}

/// What somebody typed, as the audit log keeps it.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ").trim().to_owned()
}

/// The store, for a command that looks or writes and then ends.
async fn with_store<T>(
    config: &Config,
    action: impl AsyncFnOnce(Arc<dyn Store>) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let keyring = keyring(config)?;
    let rows = Rows::open(config, keyring, clock()).await.map_err(unreachable)?;
    let result = action(rows.store()).await;
    rows.close().await;
    result
}

fn keyring(config: &Config) -> Result<Arc<Keyring>, Failed> {
    crate::keys::keyring(config).map(Arc::new).map_err(refused)
}

fn refused(error: impl Into<anyhow::Error>) -> Failed {
    Failed::new(Exit::Config, error)
}

fn unreachable(error: impl Into<anyhow::Error>) -> Failed {
    Failed::new(Exit::Unreachable, error)
}
