//! What a browser meets: one system in one shape, an operator who may sign in, and a simulated Amazon of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use crate::evergrant::{Env, Processes, ask};
use crate::services::{Postgres, Rabbit, free_ports, random_hex};

const OPERATOR: &str = "operator@example.com";
/// A browser that is quick is no attacker.
const NO_LIMIT: &str = "1000000";
/// Short enough to see it end and be renewed, long enough for a page to be looked at meanwhile.
const TOKEN_LIFETIME: &str = "20s";

/// So many that no page could hold them.
const MANY: u64 = 10_000;
const REGIONS: [&str; 3] = ["amazon-na", "amazon-eu", "amazon-fe"];

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
    env: Env,
    folder: PathBuf,
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
        Ok(Self { told, env, folder, _processes: processes })
    }

    /// Adds as many connections as a large installation has. Their tokens are good for longer than anybody looks.
    #[expect(clippy::disallowed_methods, reason = "times of a picture, not of the product")]
    pub(super) fn fill(&self) -> Result<()> {
        let rows = many_connections(SystemTime::now())?;
        ask(&self.folder, &self.env, &["connections", "import", "--format", "ndjson", "-"], &rows)?;
        Ok(())
    }
}

/// A file of connections: names short and long, in every region.
fn many_connections(now: SystemTime) -> Result<String> {
    let mut rows = String::new();
    for number in 0..MANY {
        let ends = now + Duration::from_hours(1) + Duration::from_secs(number % 3600);
        let brand = if number % 7 == 3 { "a-brand-with-a-long-name-within-a-group-of-companies" } else { "shop" };
        let row = json!({
            "user_id": format!("user-{number:05}"),
            "provider": REGIONS[usize::try_from(number)? % REGIONS.len()],
            "account": format!("amzn1.account.{number:05}"),
            "label": format!("{brand}-{number:05}@example.com"),
            "access_token": format!("Atza|{number}"),
            "refresh_token": format!("Atzr|{number}"),
            "expires_at": humantime::format_rfc3339_seconds(ends).to_string(),
            "scopes": "advertising::campaign_management profile",
        });
        writeln!(rows, "{row}")?;
    }
    Ok(rows)
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
        // Tests listen on this machine.
        ("EVERGRANT_WEBHOOKS_ALLOW_HTTP", "true"),
        ("EVERGRANT_WEBHOOKS_ALLOW_NETWORKS", "127.0.0.0/8"),
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
    use std::collections::BTreeSet;

    use super::*;
    use crate::workspace;

    #[test]
    fn no_two_of_many_connections_are_the_same_account() {
        let rows = many_connections(SystemTime::UNIX_EPOCH).unwrap();
        let row = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["account"].to_string();
        let accounts: BTreeSet<_> = rows.lines().map(row).collect();
        assert_eq!(accounts.len(), usize::try_from(MANY).unwrap());
    }

    #[test]
    fn every_setting_is_one_that_there_is() {
        let reference = std::fs::read_to_string(workspace::root().join("config.default.toml")).unwrap();
        for (name, _) in settings("http://127.0.0.1:2").unwrap() {
            assert!(reference.contains(name), "{name}");
        }
    }
}
