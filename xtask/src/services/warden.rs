//! The warden: a shell that outlives us just long enough to end our servers.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::process::Process;

/// Watches over the servers in one folder. Whatever happens to this process, they end and the folder goes.
#[derive(Debug)]
pub struct Warden {
    shell: Child,
}

impl Warden {
    /// Starts one. `signal` is the name of the signal by which the servers end soon and in good order.
    pub fn start(signal: &str, folder: &Path) -> Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", include_str!("warden.sh"), "warden", signal])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start `sh`, which watches over the private servers")?;
        Ok(Self { shell })
    }

    /// From now on, these are the processes to end.
    pub fn watch(&mut self, processes: &[&Process]) -> Result<()> {
        let line: Vec<String> = processes.iter().map(|process| process.pid.to_string()).collect();
        let pipe = self.shell.stdin.as_mut().context("the warden is gone")?;
        writeln!(pipe, "{}", line.join(" ")).context("the warden is gone")
    }

    /// Sends it home without ending anything: the servers shall outlive this process.
    pub(crate) fn dismiss(mut self) {
        let _ = self.shell.kill();
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sleeper() -> (Child, Process) {
        let child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let process = Process::running(child.id()).unwrap();
        (child, process)
    }

    #[test]
    fn when_the_owner_goes_the_watched_end_and_the_folder_goes() {
        let folder = tempfile::tempdir().unwrap().keep();
        let ((mut forgotten, _), (mut watched, process)) = (sleeper(), sleeper());
        let mut warden = Warden::start("TERM", &folder).unwrap();
        warden.watch(&[&Process::running(forgotten.id()).unwrap(), &process]).unwrap();
        warden.watch(&[&process]).unwrap();
        let reaper = std::thread::spawn(move || watched.wait().unwrap());

        drop(warden);
        assert!(!reaper.join().unwrap().success());
        assert!(!folder.exists());
        assert!(forgotten.try_wait().unwrap().is_none(), "only the last line counts");
        forgotten.kill().unwrap();
        forgotten.wait().unwrap();
    }

    #[test]
    fn a_dismissed_warden_ends_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, process) = sleeper();
        let mut warden = Warden::start("TERM", folder.path()).unwrap();
        warden.watch(&[&process]).unwrap();
        warden.dismiss();
        assert!(process.is_alive() && folder.path().exists());
        process.kill_group();
        child.wait().unwrap();
        process.wait_gone(Duration::from_secs(5)).unwrap();
    }
}
