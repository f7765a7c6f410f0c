//! What a browser meets: one system in one shape, an operator who may sign in, and a simulated Amazon of its own.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::evergrant::{Env, Processes, ask};
use crate::services::{Postgres, Rabbit, free_ports, random_hex};

const OPERATOR: &str = "operator@example.com";
/// A browser that is quick is no attacker.
const NO_LIMIT: &str = "1000000";
/// Short enough to see it end and be renewed, long enough for a page to be looked at meanwhile.
const TOKEN_LIFETIME: &str = "20s";

/// One of the two shapes of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Everything in one process.
    Embedded,
    /// A scheduler, two workers and two APIs.
    Cluster,
}

impl Shape {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Cluster => "cluster",
        }
    }
}

/// The servers of the cluster shape.
pub(super) struct Servers {
    pub(super) postgres: Postgres,
    pub(super) rabbit: Rabbit,
}

/// What the tests have to know: it goes to nobody else.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    shape: &'static str,
    /// One for each process that serves the page.
    urls: Vec<String>,
    amazon: String,
    email: &'static str,
    password: String,
}

/// A running system. Dropping it ends it.
pub(super) struct World {
    pub(super) told: Told,
    _processes: Processes,
}

impl World {
    /// Starts everything. What it prints goes into the folder of the logs.
    pub(super) fn start(shape: Shape, servers: Option<&Servers>, logs: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("evergrant-browser-").tempdir()?.keep();
        let mut processes = Processes::none(&folder)?;
        let [port] = free_ports()?;
        let amazon = format!("http://127.0.0.1:{port}");
        let mut env = settings(&amazon)?;
        let listen = format!("127.0.0.1:{port}");
        let sim = ["sim", "--listen", &listen, "--token-lifetime", TOKEN_LIFETIME, "--rotation", "strict-retry"];
        processes.start(&env, &sim, port, &logs.join("amazon.log"))?;

        env.push(("FERNET_KEY", ask(&folder, &env, &["keys", "generate"], "")?));
        let mut roles: &[&str] = &["serve"];
        if let Some(servers) = servers {
            env.push(("EVERGRANT_MODE", "cluster".to_owned()));
            env.push(("DATABASE_URL", servers.postgres.url()));
            env.push(("AMQP_URL", servers.rabbit.url()));
            ask(&folder, &env, &["migrate"], "")?;
            roles = &["scheduler", "worker", "worker", "api", "api"];
        }
        let mut urls = Vec::new();
        for (number, role) in roles.iter().enumerate() {
            let [port] = free_ports()?;
            let mut env = env.clone();
            env.push(("EVERGRANT_LISTEN", format!("127.0.0.1:{port}")));
            processes.start(&env, &[role], port, &logs.join(format!("{role}-{number}.log")))?;
            if ["serve", "api"].contains(role) {
                urls.push(format!("http://127.0.0.1:{port}"));
            }
        }
        let password = random_hex()?;
        let add = ["users", "add", OPERATOR, "--name", "Olive Operator", "--admin", "--password"];
        ask(&folder, &env, &add, &password)?;
        let told = Told { shape: shape.name(), urls, amazon, email: OPERATOR, password };
        Ok(Self { told, _processes: processes })
    }
}

/// What takes minutes in production takes seconds.
fn settings(amazon: &str) -> Result<Env> {
    let fixed = [
        ("EVERGRANT_LOG_FORMAT", "json"),
        ("EVERGRANT_API_AUTH_PER_MINUTE", NO_LIMIT),
        ("EVERGRANT_API_AUTH_PER_MINUTE_USER", NO_LIMIT),
        ("EVERGRANT_AUTH_ACCESS_TOKEN_SECS", "15"),
        ("EVERGRANT_AUTH_ROTATION_GRACE_SECS", "3"),
        ("EVERGRANT_FORCE_COOL_DOWN_MS", "500"),
        ("EVERGRANT_SCHEDULER_WAKE_CHECK_MS", "200"),
        ("EVERGRANT_SCHEDULER_LEAD_TTL_SECS", "3"),
        ("EVERGRANT_SCHEDULER_REPUBLISH_AFTER_SECS", "16"),
        ("EVERGRANT_WORKER_LEASE_MS", "16000"),
        ("EVERGRANT_WORKER_TAKEOVER_GRACE_MS", "2000"),
        ("EVERGRANT_WORKER_CONNECT_TIMEOUT_MS", "1000"),
        ("EVERGRANT_WORKER_CALL_TIMEOUT_MS", "3000"),
        ("EVERGRANT_WORKER_COMMIT_BUDGET_MS", "1000"),
        ("EVERGRANT_WORKER_ADMIT_PATIENCE_MS", "500"),
        // What has failed is a failed job at once, and nobody but a person sees to it while a test looks.
        ("EVERGRANT_WORKER_MAX_ATTEMPTS", "1"),
        ("EVERGRANT_WORKER_BACK_OFF_FIRST_SECS", "600"),
        ("EVERGRANT_WORKER_BACK_OFF_CAP_SECS", "600"),
        ("EVERGRANT_WORKER_OUTAGE_PROBE_SECS", "1"),
        ("EVERGRANT_WORKER_FAULT_PROBE_SECS", "1"),
        ("AMAZON_CLIENT_ID", "amzn1.application-oa2-client.browser"),
        ("AMAZON_API_URL", amazon),
        ("AMAZON_IDENTITY_URL", amazon),
    ];
    let mut env: Env = fixed.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    env.extend([
        ("AMAZON_TOKEN_URL", format!("{amazon}/auth/o2/token")),
        ("AMAZON_AUTHORIZE_URL", format!("{amazon}/ap/oa")),
        ("AMAZON_CLIENT_SECRET", random_hex()?),
        ("JWT_SECRET_KEY", format!("{}{}", random_hex()?, random_hex()?)),
    ]);
    Ok(env)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn every_setting_is_one_that_there_is() {
        let reference = std::fs::read_to_string(workspace::root().join("config.default.toml")).unwrap();
        for (name, _) in settings("http://127.0.0.1:2").unwrap() {
            assert!(reference.contains(name), "{name}");
        }
    }
}
