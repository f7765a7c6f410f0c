//! The command line.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use tokio::runtime::{Builder, Runtime};

use crate::baseline::{Place, floor, floor_sqlite, naive};
use crate::figures::{Name, measure};
use crate::report::{Machine, Report};
use crate::scale::Scale;
use crate::world::{Lab, Servers, emptied};
use crate::{mock, screen};

/// Measures Evergrant with real processes and servers, against baselines in the same run.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    part: Option<PartCommand>,
    #[command(flatten)]
    args: Args,
}

/// What is measured.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches of a command line")]
pub struct Args {
    /// Less of everything: under three minutes
    #[arg(long, conflicts_with = "smoke")]
    quick: bool,
    /// So little that figures mean nothing, to see that the instrument works
    #[arg(long)]
    smoke: bool,
    /// Measure this alone; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<Name>,
    /// Say what can be measured, how, and what it has to reach
    #[arg(long)]
    list: bool,
    /// How often what is compared is measured in turn
    #[arg(long, value_name = "NUMBER")]
    rounds: Option<usize>,
    /// Another `evergrant` than the one beside this program
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// One more setting for `evergrant`, by its name in the environment; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Where the JSON goes
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    output: PathBuf,
    /// Exit with an error if a target is not met
    #[arg(long)]
    strict: bool,
    /// A `PostgreSQL` that is there already; what it costs is not told
    #[arg(long, env = "EVERGRANT_TEST_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    postgres: Option<String>,
    /// A `RabbitMQ` that is there already; what it costs is not told
    #[arg(long, env = "EVERGRANT_TEST_AMQP_URL", hide_env_values = true, value_name = "URL")]
    rabbit: Option<String>,
}

/// Processes that a measurement consists of. They are started by it, not by people.
#[derive(Debug, Subcommand)]
enum PartCommand {
    /// A token endpoint that is no bottleneck
    #[command(hide = true)]
    Mock(mock::Args),
    /// A lease, a result and an acknowledgement for each job
    #[command(hide = true)]
    Naive(Place),
    /// A bare loop on `PostgreSQL`
    #[command(hide = true)]
    Floor(Place),
    /// A bare loop on `SQLite`
    #[command(hide = true)]
    FloorSqlite(Place),
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Cli {
    /// Does what is asked. `false`: a target was not met, and that was asked to be an error.
    pub fn run(self) -> Result<bool> {
        match self.part {
            // One thread is enough for it, and leaves the others to what is measured.
            Some(PartCommand::Mock(args)) => one_thread()?.block_on(mock::serve(args)).map(|()| true),
            Some(PartCommand::Naive(place)) => all_threads()?.block_on(naive::run(&place)).map(|()| true),
            Some(PartCommand::Floor(place)) => all_threads()?.block_on(floor::run(&place)).map(|()| true),
            Some(PartCommand::FloorSqlite(place)) => all_threads()?.block_on(floor_sqlite::run(&place)).map(|()| true),
            None if self.args.list => {
                list();
                Ok(true)
            }
            None => self.args.run(),
        }
    }
}

fn one_thread() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn all_threads() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

fn list() {
    for name in Name::value_variants() {
        screen::say(&format!("{}\n    {}", name.word(), name.told()));
    }
}

impl Args {
    fn run(self) -> Result<bool> {
        let begun = Instant::now();
        let at = now();
        let scale = match (self.smoke, self.quick) {
            (true, _) => Scale::Smoke,
            (_, true) => Scale::Quick,
            _ => Scale::Full,
        };
        let names: Vec<Name> = if self.only.is_empty() { Name::value_variants().to_vec() } else { self.only.clone() };
        let lab = self.lab(scale, &names)?;
        let program = version(&lab.program)?;
        let runtime = all_threads()?;
        let (servers, (figures, failed)) = runtime.block_on(async {
            let servers = match &lab.servers {
                Some(servers) => servers.told().await?,
                None => Vec::new(),
            };
            let measured = tokio::select! {
                measured = measure(&lab, &names) => measured,
                _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            };
            anyhow::Ok((servers, measured))
        })?;
        let seconds = begun.elapsed().as_secs();
        let report = Report { at, scale, program, machine: Machine::this(), servers, seconds, figures, failed };
        let file = report.write(&self.output)?;
        screen::say(&format!("{}\n\n{} s; everything that was seen: {}", report.table(), seconds, file.display()));
        ensure!(report.failed.is_empty(), "not everything could be measured: see above");
        Ok(!self.strict || report.is_good())
    }

    fn lab(&self, scale: Scale, names: &[Name]) -> Result<Lab> {
        let bench = std::env::current_exe()?;
        let program = self.program.clone().unwrap_or_else(|| bench.with_file_name("evergrant"));
        ensure!(program.exists(), "there is no {}: build it, or name one with --program", program.display());
        // Processes run in folders of their own.
        let program = std::path::absolute(program)?;
        let logs = emptied(&std::path::absolute(self.output.join("logs"))?)?;
        let servers = if names.iter().any(|name| name.needs_servers()) {
            screen::step("starting PostgreSQL and RabbitMQ");
            Some(Servers::start(self.postgres.as_deref(), self.rabbit.as_deref())?)
        } else {
            None
        };
        let rounds = self.rounds.unwrap_or_else(|| scale.pick(1, 1, 3)).max(1);
        Ok(Lab { scale, program, bench, settings: self.settings.clone(), rounds, logs, servers })
    }
}

fn version(program: &std::path::Path) -> Result<String> {
    let output = std::process::Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[expect(clippy::disallowed_methods, reason = "when a report was made is no business of the product's clock")]
fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[test]
fn the_command_line_is_sound() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
    assert_eq!(setting("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
    assert!(setting("A").is_err());
}
