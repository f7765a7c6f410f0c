//! What `services up` leaves behind for `services down`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::postgres::IMMEDIATE;
use super::process::Process;

/// The longest wait for a server to end when it is asked to, before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// The longest wait for a killed process.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// One server that nobody's lifetime bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerState {
    pub(crate) url: String,
    pub(crate) folder: PathBuf,
    pub(crate) processes: Vec<Process>,
}

impl ServerState {
    /// Whether all of it runs.
    pub(crate) fn is_alive(&self) -> bool {
        !self.processes.is_empty() && self.processes.iter().all(Process::is_alive)
    }

    /// Ends it, in good order if there is a signal for that, and removes its folder.
    fn end(&self, ask: Option<Signal>) -> Result<()> {
        for process in &self.processes {
            if let Some(signal) = ask {
                process.signal(signal);
                // One that does not listen is killed next.
                let _ = process.wait_gone(STOP_LIMIT);
            }
            process.kill_group();
            process.wait_gone(KILL_LIMIT)?;
        }
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }
}

/// The servers of `services up`, kept in `target/services.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DetachedServers {
    pub(crate) postgres: ServerState,
    pub(crate) rabbit: ServerState,
}

impl DetachedServers {
    /// Those of the last `services up`, dead or alive.
    pub(crate) fn load(file: &Path) -> Result<Option<Self>> {
        match fs::read(file) {
            Ok(bytes) => {
                let state = serde_json::from_slice(&bytes);
                state.map(Some).with_context(|| format!("{} is damaged: remove it", file.display()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// Remembers them. The file holds their passwords, so only we may read it.
    pub(crate) fn save(&self, file: &Path) -> Result<()> {
        let folder = file.parent().context("the state file is in a folder")?;
        fs::create_dir_all(folder)?;
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut new, self)?;
        new.persist(file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(())
    }

    /// Whether all of both run.
    pub(crate) fn are_alive(&self) -> bool {
        self.postgres.is_alive() && self.rabbit.is_alive()
    }

    /// Ends them and forgets them.
    pub(crate) fn end(&self, file: &Path) -> Result<()> {
        self.postgres.end(Some(IMMEDIATE))?;
        self.rabbit.end(None)?;
        fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    fn state(folder: &Path, processes: Vec<Process>) -> ServerState {
        ServerState { url: "postgres://127.0.0.1:1/x".to_owned(), folder: folder.to_owned(), processes }
    }

    #[test]
    fn what_was_saved_is_loaded_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("target/services.json");
        assert_eq!(DetachedServers::load(&file).unwrap(), None);

        let myself = Process::running(std::process::id()).unwrap();
        let alive = state(folder.path(), vec![myself]);
        let servers = DetachedServers { postgres: alive.clone(), rabbit: alive };
        servers.save(&file).unwrap();
        assert!(servers.are_alive());
        assert_eq!(DetachedServers::load(&file).unwrap(), Some(servers));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

        fs::write(&file, "{").unwrap();
        assert!(DetachedServers::load(&file).unwrap_err().to_string().contains("remove it"));
    }

    #[test]
    fn ending_leaves_no_process_and_no_folder() {
        let folder = tempfile::tempdir().unwrap().keep();
        let mut child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let server = state(&folder, vec![Process::running(child.id()).unwrap()]);
        assert!(server.is_alive());
        server.end(None).unwrap();
        assert!(!server.is_alive() && !folder.exists());
        child.wait().unwrap();
        server.end(Some(IMMEDIATE)).unwrap();
    }
}
