//! One `evergrant` process: started, asked, killed; whatever it logs is kept in a file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::http;
use super::wait::{eventually, within};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_evergrant");
/// From the start to the first `/readyz` that says so, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(40);
/// From a signal to the end, the shutdown deadline included.
const END_LIMIT: Duration = Duration::from_secs(40);

/// The environment of a process: nothing is inherited, so that a run does not depend on whose shell it was started from.
pub(crate) type Env = BTreeMap<String, String>;

/// The program with these arguments and nothing but this environment.
pub(crate) fn evergrant(folder: &Path, env: &Env, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).env_clear().envs(env).current_dir(folder).stdin(Stdio::null());
    command
}

/// A process with a role, such as `worker`.
pub(crate) struct Process {
    /// Its own name among its peers, such as `worker-2`.
    pub(crate) name: String,
    role: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; it may not be ready yet.
    pub(crate) fn spawn(name: &str, role: &str, folder: &Path, env: &Env, log: PathBuf) -> Self {
        let output = File::create(&log).unwrap();
        let mut command = evergrant(folder, env, &[role]);
        let child = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().expect("the program starts");
        Self { name: name.to_owned(), role: role.to_owned(), child, log }
    }

    /// Its role, to start another one like it.
    pub(crate) fn role(&self) -> &str {
        &self.role
    }

    /// Everything that it has logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// The lines of its log with this message.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        lines(&self.log(), message)
    }

    /// Waits until its log has a line with this message.
    pub(crate) fn until_it_says(&self, message: &str, limit: Duration) -> Value {
        let what = format!("{} to say {message:?}", self.name);
        within(limit, &what, || self.lines(message).into_iter().next())
    }

    /// The id by which its peers and the leases know it.
    pub(crate) fn id(&self) -> String {
        let line = self.until_it_says("Evergrant started", START_LIMIT);
        line["process"].as_str().expect("the process id").to_owned()
    }

    /// Where it listens, once it says so.
    pub(crate) fn address(&self) -> Option<String> {
        let line = self.lines("API listening").into_iter().next()?;
        line["address"].as_str().map(str::to_owned)
    }

    /// Waits until it is ready. A process that ends instead fails the test with the end of its log.
    pub(crate) fn until_ready(&mut self) {
        let begin = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended with {status} instead of getting ready:\n{}", self.name, tail(&self.log()));
            }
            if self.address().is_some_and(|address| http::get(&address, "/readyz").is_ok_and(|(code, _)| code == 200)) {
                return;
            }
            assert!(begin.elapsed() < START_LIMIT, "{} does not get ready:\n{}", self.name, tail(&self.log()));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its metrics as text; `None` if it does not answer.
    pub(crate) fn metrics(&self) -> Option<String> {
        let (code, body) = http::get(&self.address()?, "/metrics").ok()?;
        (code == 200).then_some(body)
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it in the middle of whatever it does, as a paused virtual machine does.
    pub(crate) fn freeze(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Lets it go on where it was stopped.
    pub(crate) fn thaw(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// The number by which the system knows it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to stop; it goes on until what it has in hand is done.
    pub(crate) fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        // It may have ended already, which whoever waits for its end will see.
        let _ = kill_process(pid, Signal::TERM);
    }

    /// Waits for its end.
    pub(crate) fn until_ended(&mut self) -> ExitStatus {
        let what = format!("{} to end", self.name);
        let child = &mut self.child;
        within(END_LIMIT, &what, || child.try_wait().unwrap())
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_alive() {
            self.kill();
        }
    }
}

/// The lines of a JSON log whose message contains a text.
pub(crate) fn lines(log: &str, message: &str) -> Vec<Value> {
    let candidates = log.lines().filter(|line| line.contains(message));
    let parsed = candidates.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter(|line| text_of(line).contains(message)).collect()
}

/// The message of a line.
pub(crate) fn text_of(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Waits until any of several processes says this.
pub(crate) fn until_one_says(processes: &[Process], message: &str) {
    eventually(&format!("somebody to say {message:?}"), || {
        processes.iter().any(|process| !process.lines(message).is_empty()).then_some(())
    });
}
