//! `cargo xtask services`: both servers, for as long as one develops.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::prepare;
use crate::services::{self, DetachedServers, Need, Servers};
use crate::{screen, workspace};

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Start them, unless they run, and print how to reach them
    Up,
    /// Stop them and delete their data
    Down,
    /// Say whether they run
    Status,
    /// Run a command with servers of its own, which end with it
    Run {
        /// For example `cargo test -p evergrant-cluster`
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Print how to reach them, for `eval "$(cargo xtask services env)"`
    Env,
}

/// Does it.
pub fn run(action: &Action) -> Result<()> {
    let known = DetachedServers::load(&state_file())?;
    match action {
        Action::Up => up(known),
        Action::Down => down(known),
        Action::Status => status(known),
        Action::Env => env(known),
        Action::Run { command } => run_with(command),
    }
}

fn state_file() -> PathBuf {
    workspace::target().join("services.json")
}

fn up(known: Option<DetachedServers>) -> Result<()> {
    let servers = match known {
        Some(servers) if servers.are_alive() => servers,
        known => {
            // One of them may have died: the other and the folders of both go first.
            known.map_or(Ok(()), |servers| servers.end(&state_file()))?;
            start()?
        }
    };
    screen::say("\n# Running until `cargo xtask services down`. In your shell: eval \"$(cargo xtask services env)\"");
    screen::say(&exports(&servers));
    Ok(())
}

fn start() -> Result<DetachedServers> {
    services::install_what_is_missing(&[Need::Postgres, Need::Psql, Need::Rabbit])?;
    screen::step("starting PostgreSQL and RabbitMQ (RabbitMQ takes ten seconds or more)");
    let servers = Servers::start(&[Need::Postgres, Need::Rabbit])?.detach().context("both were asked for")?;
    servers.save(&state_file())?;
    prepare::make_postgres_schema(&servers.postgres.url)?;
    Ok(servers)
}

fn down(known: Option<DetachedServers>) -> Result<()> {
    let Some(servers) = known else {
        screen::say("nothing to stop");
        return Ok(());
    };
    servers.end(&state_file())?;
    screen::say("stopped, data deleted");
    Ok(())
}

fn status(known: Option<DetachedServers>) -> Result<()> {
    let Some(servers) = known else { bail!("not started: `cargo xtask services up`") };
    for (name, server) in [("PostgreSQL", &servers.postgres), ("RabbitMQ", &servers.rabbit)] {
        let state = if server.is_alive() { "running" } else { "dead" };
        let pids: Vec<String> = server.processes.iter().map(|process| process.pid.to_string()).collect();
        screen::say(&format!("{name}: {state}, pids {}, folder {}", pids.join(" "), server.folder.display()));
    }
    if !servers.are_alive() {
        bail!("not both run: `cargo xtask services up` starts them again, with no data");
    }
    Ok(())
}

fn run_with(command: &[String]) -> Result<()> {
    let wanted = Servers::wanted();
    services::install_what_is_missing(&wanted)?;
    let servers = Servers::start(&wanted)?;
    let [program, args @ ..] = command else { bail!("no command to run") };
    workspace::run(servers.tell(workspace::command(program).args(args)))
}

fn env(known: Option<DetachedServers>) -> Result<()> {
    let Some(servers) = known.filter(DetachedServers::are_alive) else {
        bail!("the servers do not run: start them with `cargo xtask services up`")
    };
    screen::say(&exports(&servers));
    Ok(())
}

/// Lines for a shell. URLs made here hold nothing that a shell would take for more than text.
fn exports(servers: &DetachedServers) -> String {
    let schema = prepare::with_database(&servers.postgres.url, prepare::SCHEMA_DATABASE);
    let variables = [
        (services::DATABASE_URL, servers.postgres.url.as_str()),
        (services::AMQP_URL, servers.rabbit.url.as_str()),
        // With it the compiler checks SQL against a live schema instead of the committed data.
        ("PG_DATABASE_URL", schema.as_str()),
    ];
    variables.map(|(name, value)| format!("export {name}='{value}'")).join("\n")
}
