//! Evergrant itself: the program that people run, as processes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use evergrant_contract::secret::Secret;
use uuid::Uuid;

use crate::usage::Part;
use crate::world::{Database, Household, Lab, Mock, Servers, free_address};

/// What the bench sets otherwise than `config.default.toml`, and why. Nothing else is.
const SETTINGS: [(&str, &str); 5] = [
    // The limits that spare a provider are the provider's, not ours.
    ("EVERGRANT_PROVIDERS_AMAZON_NA_REQUESTS_PER_SECOND", "1000000"),
    ("EVERGRANT_SCHEDULER_PUBLISH_PER_SECOND", "100000"),
    ("AMAZON_CLIENT_ID", "amzn1.application-oa2-client.bench"),
    ("AMAZON_CLIENT_SECRET", "a-client-secret-of-the-bench"),
    ("JWT_SECRET_KEY", "a-session-secret-of-the-bench-that-is-long-enough"),
];

/// How processes of one system are started.
pub(crate) struct Product<'a> {
    lab: &'a Lab,
    env: BTreeMap<String, String>,
    pub(crate) household: Household,
}

impl<'a> Product<'a> {
    /// A system on these servers, in which nothing runs yet; its database is brought up to date.
    pub(crate) fn cluster(lab: &'a Lab, name: &str, key: &Secret, to: &Mock, database: &Database) -> Result<Self> {
        let servers: &Servers = lab.servers()?;
        let mut product = Self::new(lab, name, key, to)?;
        let namespace = format!("bench-{}", Uuid::now_v7().simple());
        for (name, value) in [
            ("EVERGRANT_MODE", "cluster"),
            ("DATABASE_URL", &database.url),
            ("AMQP_URL", &servers.amqp_url),
            ("EVERGRANT_BROKER_NAMESPACE", &namespace),
        ] {
            product.env.insert(name.to_owned(), value.to_owned());
        }
        product.ask(&["migrate"])?;
        Ok(product)
    }

    /// The same in one process, with a database file of its own.
    pub(crate) fn embedded(lab: &'a Lab, name: &str, key: &Secret, to: &Mock) -> Result<Self> {
        let product = Self::new(lab, name, key, to)?;
        std::fs::create_dir_all(product.household.folder.join("data"))?;
        product.ask(&["migrate"])?;
        Ok(product)
    }

    fn new(lab: &'a Lab, name: &str, key: &Secret, to: &Mock) -> Result<Self> {
        let household = Household::new(lab, name)?;
        let fixed = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut env: BTreeMap<_, _> = fixed.into_iter().chain(lab.settings.iter().cloned()).collect();
        env.insert("AMAZON_TOKEN_URL".to_owned(), to.token_url());
        env.insert("FERNET_KEY".to_owned(), key.expose().to_owned());
        env.insert("EVERGRANT_DATA_DIR".to_owned(), household.folder.join("data").display().to_string());
        Ok(Self { lab, env, household })
    }

    /// Its SQLite file.
    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.household.folder.join("data/evergrant.db")
    }

    /// The program with the settings of this system.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.lab.program);
        // Nothing is inherited, so that a run does not depend on whose shell it was started from.
        command.args(args).env_clear().envs(&self.env).current_dir(&self.household.folder).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end: what it printed.
    pub(crate) fn ask(&self, args: &[&str]) -> Result<String> {
        let output = self.command(args).output().context("cannot start evergrant")?;
        if !output.status.success() {
            bail!("evergrant {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts a process and does not wait for it to be ready.
    pub(crate) fn spawn(&mut self, role: &'static str) -> Result<(Part, SocketAddr)> {
        let address = free_address()?;
        let mut command = self.command(&[role]);
        command.env("EVERGRANT_LISTEN", address.to_string());
        // What only this process may write into, such as its spool.
        if role != "serve" {
            let own = self.household.folder.join(format!("{role}-{}", address.port()));
            std::fs::create_dir_all(&own)?;
            command.env("EVERGRANT_DATA_DIR", own);
        }
        Ok((self.household.start(role, &mut command)?, address))
    }

    /// Starts a process and waits until it is ready.
    pub(crate) async fn start(&mut self, role: &'static str) -> Result<(Part, SocketAddr)> {
        let (part, address) = self.spawn(role)?;
        self.household.until_ready(address, "/readyz").await?;
        Ok((part, address))
    }

    /// Makes an API key that may do this.
    pub(crate) fn api_key(&self, name: &str, scopes: &[&str]) -> Result<String> {
        let mut args = vec!["api-keys", "create", name];
        args.extend(scopes.iter().flat_map(|scope| ["--scope", scope]));
        self.ask(&args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_one_that_there_is() {
        let reference = include_str!("../../config.default.toml");
        for (name, _) in SETTINGS {
            assert!(reference.contains(name), "{name}");
        }
    }
}
