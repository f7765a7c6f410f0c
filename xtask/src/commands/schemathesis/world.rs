//! What is tested: one Evergrant process with an empty database, and a simulated Amazon.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::services::{Running, Warden, free_ports, random_hex};
use crate::workspace;

const READY_LIMIT: Duration = Duration::from_mins(1);
/// Far above what one tester asks: otherwise most of the answers would be 429.
const NO_LIMIT: &str = "1000000";
const EMAIL: &str = "ops@example.com";
const SCOPES: [&str; 5] = ["connections:read", "tokens:read", "tokens:refresh", "amc:call", "ops"];

type Env = Vec<(&'static str, String)>;

/// Both processes. Dropping it ends them and removes their folder.
pub(super) struct World {
    url: String,
    /// What the callers have to know, secrets included: it goes to nobody but them.
    told: Env,
    folder: PathBuf,
    serve: Running,
    amazon: Running,
    _warden: Warden,
}

impl World {
    /// Starts both and makes those who call. What they print goes into the folder of the logs.
    pub(super) fn start(logs: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("evergrant-schemathesis-").tempdir()?.keep();
        let mut warden = Warden::start("TERM", &folder)?;
        let [api_port, amazon_port] = free_ports()?;
        let (url, amazon_url) = (format!("http://127.0.0.1:{api_port}"), format!("http://127.0.0.1:{amazon_port}"));
        let env = settings(api_port, &amazon_url)?;

        let log = logs.join("amazon.log");
        let listen = format!("127.0.0.1:{amazon_port}");
        let arguments = ["sim", "--listen", &listen, "--token-lifetime", "2h"];
        let mut amazon = Running::start(&mut evergrant(&folder, &env, &arguments), &log)?;
        warden.watch(&[amazon.process()])?;
        amazon.wait_ready(READY_LIMIT, &log, || TcpStream::connect(("127.0.0.1", amazon_port)).is_ok())?;

        let log = logs.join("serve.log");
        let mut serve = Running::start(&mut evergrant(&folder, &env, &["serve"]), &log)?;
        warden.watch(&[amazon.process(), serve.process()])?;
        let is_ready = || {
            let asked = evergrant(&folder, &env, &["healthcheck"]).output();
            asked.is_ok_and(|output| output.status.success())
        };
        serve.wait_ready(READY_LIMIT, &log, is_ready)?;

        let password = random_hex()?;
        let mut add = evergrant(&folder, &env, &["users", "add", EMAIL, "--password"]);
        succeeded(&with_input(&mut add, &folder, &password)?)?;
        let mut arguments = vec!["api-keys", "create", "schemathesis"];
        arguments.extend(SCOPES.iter().flat_map(|scope| ["--scope", scope]));
        let key = succeeded(&evergrant(&folder, &env, &arguments).output().context("cannot start evergrant")?)?;
        let told = vec![
            ("EVERGRANT_URL", url.clone()),
            ("EVERGRANT_AMAZON_URL", amazon_url),
            ("EVERGRANT_EMAIL", EMAIL.to_owned()),
            ("EVERGRANT_PASSWORD", password),
            ("EVERGRANT_KEY", key),
        ];
        Ok(Self { url, told, folder, serve, amazon, _warden: warden })
    }

    /// Where the API is.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Where the callers count what they were answered.
    pub(super) fn answers(&self) -> PathBuf {
        self.folder.join("answers.json")
    }

    /// Tells a command what the callers have to know.
    pub(super) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let told = self.told.iter().map(|(name, value)| (name, value));
        // It keeps files where it is started.
        command.envs(told).env("EVERGRANT_ANSWERS", self.answers()).current_dir(&self.folder).stdin(Stdio::null())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The warden ends what is left.
        let _ = self.serve.stop(Signal::TERM);
        let _ = self.amazon.stop(Signal::TERM);
    }
}

fn settings(api_port: u16, amazon_url: &str) -> Result<Env> {
    Ok(vec![
        ("EVERGRANT_LISTEN", format!("127.0.0.1:{api_port}")),
        ("EVERGRANT_LOG_FORMAT", "json".to_owned()),
        ("EVERGRANT_API_AUTH_PER_MINUTE", NO_LIMIT.to_owned()),
        ("EVERGRANT_API_AUTH_PER_MINUTE_USER", NO_LIMIT.to_owned()),
        ("JWT_SECRET_KEY", format!("{}{}", random_hex()?, random_hex()?)),
        ("AMAZON_CLIENT_ID", "amzn1.application-oa2-client.schemathesis".to_owned()),
        ("AMAZON_CLIENT_SECRET", random_hex()?),
        ("AMAZON_TOKEN_URL", format!("{amazon_url}/auth/o2/token")),
        ("AMAZON_AUTHORIZE_URL", format!("{amazon_url}/ap/oa")),
        ("AMAZON_API_URL", amazon_url.to_owned()),
        ("AMAZON_IDENTITY_URL", amazon_url.to_owned()),
    ])
}

/// The program, which knows nothing but these settings.
fn evergrant(folder: &Path, env: &Env, args: &[&str]) -> Command {
    let mut command = Command::new(workspace::target().join("debug/evergrant"));
    let env = env.iter().map(|(name, value)| (name, value));
    command.args(args).env_clear().envs(env).current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs it with this on its standard input.
fn with_input(command: &mut Command, folder: &Path, input: &str) -> Result<Output> {
    let file = folder.join("input");
    fs::write(&file, input)?;
    let output = command.stdin(fs::File::open(&file)?).output().context("cannot start evergrant")?;
    fs::remove_file(file)?;
    Ok(output)
}

/// What it printed.
fn succeeded(output: &Output) -> Result<String> {
    if !output.status.success() {
        bail!("evergrant ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_one_that_there_is() {
        let reference = fs::read_to_string(workspace::root().join("config.default.toml")).unwrap();
        for (name, _) in settings(1, "http://127.0.0.1:2").unwrap() {
            assert!(reference.contains(name), "{name}");
        }
    }

    #[test]
    fn a_command_that_fails_says_why() {
        let ran = |script| succeeded(&Command::new("sh").args(["-c", script]).output().unwrap());
        assert_eq!(ran("echo ' key '").unwrap(), "key");
        assert!(ran("echo a reason >&2; exit 3").unwrap_err().to_string().ends_with("a reason"));
    }
}
