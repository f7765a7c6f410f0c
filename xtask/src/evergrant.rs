//! The program itself, as commands of this workspace run it: with the settings that they give it and nothing else.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::services::{Running, Warden};
use crate::workspace;

/// The longest wait for a process to be ready, on a machine that has other things to do.
const READY_LIMIT: Duration = Duration::from_mins(1);

/// Settings by their names in the environment.
pub(crate) type Env = Vec<(&'static str, String)>;

/// The program as it was built last.
pub(crate) fn evergrant(folder: &Path, env: &Env, args: &[&str]) -> Command {
    let mut command = Command::new(workspace::target().join("debug/evergrant"));
    let env = env.iter().map(|(name, value)| (name, value));
    command.args(args).env_clear().envs(env).current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs it to its end, with this on its standard input: what it printed.
pub(crate) fn ask(folder: &Path, env: &Env, args: &[&str], input: &str) -> Result<String> {
    let file = tempfile::Builder::new().tempfile_in(folder)?;
    fs::write(file.path(), input)?;
    let mut command = evergrant(folder, env, args);
    let output = command.stdin(file.reopen()?).output().context("cannot start evergrant")?;
    if !output.status.success() {
        bail!("evergrant ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Processes of one system. Dropping them ends them in good order and removes their folder; whatever else happens to this
/// process, they end as well.
pub(crate) struct Processes {
    folder: std::path::PathBuf,
    running: Vec<Running>,
    warden: Warden,
}

impl Processes {
    /// None yet.
    pub(crate) fn none(folder: &Path) -> Result<Self> {
        Ok(Self { folder: folder.to_owned(), running: Vec::new(), warden: Warden::start("TERM", folder)? })
    }

    /// Starts one more and waits until somebody answers on its port; a process of ours also has to be ready.
    pub(crate) fn start(&mut self, env: &Env, args: &[&str], port: u16, log: &Path) -> Result<()> {
        let mut running = Running::start(&mut evergrant(&self.folder, env, args), log)?;
        let watched: Vec<_> = self.running.iter().chain([&running]).map(Running::process).collect();
        self.warden.watch(&watched)?;
        let is_ours = args.first() != Some(&"sim");
        let is_ready = || {
            let health = || evergrant(&self.folder, env, &["healthcheck"]).output();
            let answers = TcpStream::connect(("127.0.0.1", port)).is_ok();
            answers && (!is_ours || health().is_ok_and(|output| output.status.success()))
        };
        running.wait_ready(READY_LIMIT, log, is_ready).with_context(|| format!("evergrant {}", args.join(" ")))?;
        self.running.push(running);
        Ok(())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        // The last ones first: the simulated Amazon goes when nobody needs it any more. The warden ends what is left.
        for running in self.running.iter_mut().rev() {
            let _ = running.stop(rustix::process::Signal::TERM);
        }
    }
}
