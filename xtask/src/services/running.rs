//! A server program that this process started.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::process::{POLL, Process};

/// The longest wait for a killed or stopped process to be gone.
const GONE_LIMIT: Duration = Duration::from_secs(20);

/// A child in its own process group, so that a Ctrl-C meant for us does not reach it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    process: Process,
}

impl Running {
    /// Starts the program; whatever it prints is added to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let process = Process::running(child.id())?;
        Ok(Self { child, process })
    }

    /// Which process it is.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Waits until `ready` says so. A server that ends instead is an error with the end of its log.
    pub fn wait_ready(&mut self, limit: Duration, log: &Path, mut ready: impl FnMut() -> bool) -> Result<()> {
        let begin = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} instead of getting ready\n{}", tail(log));
            }
            if begin.elapsed() > limit {
                bail!("the server is not ready after {} s\n{}", limit.as_secs(), tail(log));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Asks it to end with this signal and waits; kills it if it does not.
    pub fn stop(&mut self, signal: Signal) -> Result<()> {
        self.process.signal(signal);
        let begin = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begin.elapsed() > GONE_LIMIT {
                return self.kill();
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Kills it and everything it started, children that left its group included, and waits until all are gone.
    pub fn kill(&mut self) -> Result<()> {
        // Stopped first: it must not have another child after the look.
        self.process.signal(Signal::STOP);
        let children = self.process.children();
        self.process.kill_group();
        for child in &children {
            child.signal(Signal::KILL);
        }
        self.child.wait()?;
        children.iter().try_for_each(|child| child.wait_gone(GONE_LIMIT))
    }
}

/// The last lines of a log, for an error.
fn tail(log: &Path) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(30);
    format!("the end of its log:\n    {}", lines[from..].join("\n    "))
}
