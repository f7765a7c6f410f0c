//! `cargo xtask deploy-check`: deploy/ and docker-compose.yml, held to the tools that would read them.

mod dashboard;
mod rule;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::services::{self, Need};
use crate::{python, screen, workspace};

const REQUIREMENTS: &str = include_str!("deploy_check/requirements.txt");
const COMPOSE: &str = "docker-compose.yml";

/// What may be written.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Write the files that are made of others: the alerts as Kubernetes wants them
    #[arg(long)]
    write: bool,
}

/// Checks everything, or says plainly what was not checked.
pub fn run(args: &Args) -> Result<()> {
    rule::write_or_compare(args.write)?;
    services::install_what_is_missing(&[Need::Promtool, Need::Python])?;
    let prometheus = workspace::root().join("deploy/prometheus");
    screen::step("alerts: what Prometheus says, and their tests");
    workspace::run(promtool(&prometheus).args(["check", "config", "--lint-fatal", "prometheus.yml"]))?;
    workspace::run(promtool(&prometheus).args(["check", "rules", "--lint-fatal", "alerts.yml"]))?;
    workspace::run(promtool(&prometheus).args(["test", "rules", "alerts_test.yml"]))?;
    let folder = workspace::target().join("deploy-check");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let questions = folder.join("dashboard.rules");
    dashboard::write_as_rules(&questions)?;
    workspace::run(promtool(&prometheus).args(["check", "rules", "--lint", "none"]).arg(questions))?;
    let programs = python::install("the schemas of Compose and Kubernetes", REQUIREMENTS, &folder.join("venv"))?;
    screen::step("the cluster on one machine: docker-compose.yml");
    compose(&programs, &folder)?;
    screen::step("Kubernetes: every object that the manifests make, held to the schema of its kind");
    let mut manifests = workspace::command(programs.join("python"));
    manifests.arg("xtask/src/commands/deploy_check/manifests.py").arg("deploy").arg(&folder);
    workspace::run(manifests.env("PYTHONDONTWRITEBYTECODE", "1"))
}

fn promtool(folder: &Path) -> Command {
    let mut promtool = Command::new("promtool");
    promtool.current_dir(folder);
    promtool
}

/// By its schema, and by Compose itself where it is installed.
fn compose(programs: &Path, folder: &Path) -> Result<()> {
    let mut schema = workspace::command(programs.join("check-jsonschema"));
    workspace::run(schema.args(["--builtin-schema", "vendor.compose-spec", COMPOSE]))?;
    if !has_compose() {
        screen::say("NOT CHECKED: `docker compose config`, since Docker Compose is not installed here");
        return Ok(());
    }
    let env = filled_in(folder)?;
    let mut config = workspace::command("docker");
    config.args(["compose", "--profile", "*", "--env-file"]).arg(env).args(["config", "--quiet"]);
    workspace::run(&mut config)
}

fn has_compose() -> bool {
    let mut version = Command::new("docker");
    version.args(["compose", "version"]).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// `.env.example` with something in every place that is to be filled in.
fn filled_in(folder: &Path) -> Result<PathBuf> {
    let example = fs::read_to_string(workspace::root().join(".env.example")).context("cannot read .env.example")?;
    let lines =
        example.lines().map(|line| if line.ends_with('=') { format!("{line}x\n") } else { format!("{line}\n") });
    let path = folder.join("filled-in.env");
    fs::write(&path, lines.collect::<String>()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
