//! The packages of PostgreSQL and RabbitMQ, if they are missing.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::programs::{PostgresPrograms, RabbitPrograms, chromium, in_path, is_root, psql};
use super::{AMQP_URL, DATABASE_URL};
use crate::screen;

/// Something that a command cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The server.
    Postgres,
    /// The client.
    Psql,
    /// The server and Erlang.
    Rabbit,
    /// The client, which is all there is.
    Sqlite,
    /// What the commands in the documentation call the API with.
    Curl,
    /// What they read its answers with.
    Jq,
    /// The browser in which the web page is tested.
    Chromium,
    /// With what it takes to make an environment of its own.
    Python,
    /// What holds alerts to their tests. It comes with the server.
    Promtool,
    /// What makes the clock of a process jump.
    Faketime,
}

impl Need {
    /// What is wrong, if anything.
    fn problem(self) -> Option<String> {
        let found = match self {
            Self::Postgres => PostgresPrograms::find().map(drop),
            Self::Psql => psql().map(drop).context("PostgreSQL's client (psql) is not installed"),
            Self::Rabbit => RabbitPrograms::find().map(drop),
            Self::Sqlite => in_path("sqlite3").map(drop).context("SQLite's client (sqlite3) is not installed"),
            Self::Curl => in_path("curl").map(drop).context("curl is not installed"),
            Self::Jq => in_path("jq").map(drop).context("jq is not installed"),
            Self::Chromium => chromium().map(drop).context("Chromium is not installed"),
            Self::Python => python(),
            Self::Promtool => in_path("promtool").map(drop).context("Prometheus' promtool is not installed"),
            Self::Faketime => faketime(),
        };
        found.err().map(|error| error.to_string())
    }

    /// Debian's package.
    fn package(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::Psql => "postgresql-client",
            Self::Rabbit => "rabbitmq-server",
            Self::Sqlite => "sqlite3",
            Self::Curl => "curl",
            Self::Jq => "jq",
            Self::Chromium => "chromium",
            // It brings the interpreter along.
            Self::Python => "python3-venv",
            Self::Promtool => "prometheus",
            Self::Faketime => "libfaketime",
        }
    }
}

/// Debian ships the interpreter without what environments are made with.
fn python() -> Result<()> {
    let found = in_path("python3").context("Python (python3) is not installed")?;
    let has_venv = Command::new(found).args(["-c", "import ensurepip, venv"]).stderr(Stdio::null()).status();
    if has_venv.is_ok_and(|status| status.success()) {
        Ok(())
    } else {
        bail!("Python's module `venv` is not installed")
    }
}

/// A library, in a folder that is named after the machine.
fn faketime() -> Result<()> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut places = folders.chain([Path::new("/usr/lib").to_owned()]).map(|folder| folder.join("faketime"));
    let found = places.any(|place| place.join("libfaketimeMT.so.1").exists());
    if found { Ok(()) } else { bail!("libfaketime is not installed") }
}

/// An error with advice if something of this is missing.
pub(crate) fn check(needs: &[Need]) -> Result<()> {
    let missing = missing(needs);
    if missing.is_empty() { Ok(()) } else { bail!(advice(&missing)) }
}

/// Installs what is missing where that is allowed: as root on Debian and its kin. Anywhere else, says what to do.
pub(crate) fn install_what_is_missing(needs: &[Need]) -> Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        bail!(advice(&missing));
    }
    let packages: Vec<_> = missing.iter().map(|(need, _)| need.package()).collect();
    screen::step(&format!("installing {} (what they would start stays stopped)", packages.join(", ")));
    let mut install = Command::new("sh");
    install.args(["-c", include_str!("install.sh"), "install"]).args(&packages).stdin(Stdio::null());
    let status = install.status().context("cannot start `sh`")?;
    if !status.success() {
        bail!("the installation ended with {status}.\n{}", advice(&missing));
    }
    check(needs).context("something is still missing after the installation")
}

fn missing(needs: &[Need]) -> Vec<(Need, String)> {
    needs.iter().filter_map(|need| Some((*need, need.problem()?))).collect()
}

/// What is wrong and every way to go on.
fn advice(missing: &[(Need, String)]) -> String {
    let problems: Vec<_> = missing.iter().map(|(_, problem)| problem.as_str()).collect();
    let packages: Vec<_> = missing.iter().map(|(need, _)| need.package()).collect();
    format!(
        "{}.\n\n\
         Either install it:\n    \
             Debian, Ubuntu:  sudo apt-get install --no-install-recommends {}\n    \
             macOS:           brew install postgresql@17 rabbitmq sqlite curl jq prometheus\n\
         or run PostgreSQL and RabbitMQ in containers (see .env.example first) and say where they are:\n    \
             docker compose up --detach --wait postgres rabbitmq\n    \
             export {DATABASE_URL}=postgres://evergrant:$POSTGRES_PASSWORD@127.0.0.1:5432/evergrant\n    \
             export {AMQP_URL}=amqp://evergrant:$RABBITMQ_PASSWORD@127.0.0.1:5672/%2f\n",
        problems.join("; "),
        packages.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_what_is_missing_and_both_ways_to_go_on() {
        let advice = advice(&[(Need::Rabbit, "RabbitMQ is not installed".to_owned())]);
        assert!(advice.starts_with("RabbitMQ is not installed.\n"));
        assert!(advice.contains("--no-install-recommends rabbitmq-server\n"));
        assert!(advice.contains("docker compose") && advice.contains("EVERGRANT_TEST_AMQP_URL=amqp://"));
    }
}
