//! Many connections at once, and commands that take a while.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::process::{evergrant, lines};
use super::wait::within;
use super::world::{Answer, World};

/// From the request to stop until a command has finished what it has in hand.
const END_LIMIT: Duration = Duration::from_mins(1);

impl World {
    /// Imports so many users with one grant each of this provider app, all of them due: their names.
    pub(crate) fn import_crowd(&mut self, prefix: &str, provider: &str, many: usize) -> Vec<String> {
        let users: Vec<_> = (0..many).map(|number| format!("{prefix}-{number}")).collect();
        let tokens: Vec<_> = users.iter().map(|user| self.sim.grant(user).refresh_token).collect();
        self.import_tokens(provider, &users, &tokens);
        users
    }

    /// Imports the grants of these users.
    pub(crate) fn import_tokens(&mut self, provider: &str, users: &[String], tokens: &[String]) {
        let file = self.folder.path().join("crowd.ndjson");
        let mut text = String::new();
        for (user, refresh_token) in users.iter().zip(tokens) {
            let row = json!({ "user_id": user, "provider": provider, "refresh_token": refresh_token });
            writeln!(text, "{row}").unwrap();
        }
        fs::write(&file, text).unwrap();
        self.ask(&["connections", "import", file.to_str().unwrap(), "--json"]).success();
        fs::remove_file(file).unwrap();
    }

    /// Begins a command; what it says is kept in files named after it.
    pub(crate) fn begin(&self, name: &str, args: &[&str]) -> Running {
        let [out, err] = ["out", "err"].map(|end| self.logs.join(format!("{name}.{end}")));
        let mut command = evergrant(self.folder.path(), &self.env_of("cli"), args);
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap()).stdin(Stdio::null());
        Running { child: command.spawn().expect("the program starts"), out, err }
    }
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    /// Whether its log has a line with this message.
    pub(crate) fn says(&self, message: &str) -> bool {
        !lines(&fs::read_to_string(&self.err).unwrap(), message).is_empty()
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) fn until_ended(mut self) -> Answer {
        let status = within(END_LIMIT, "the command to end", || self.child.try_wait().unwrap());
        let text = |path| fs::read_to_string(path).unwrap();
        Answer { code: status.code().unwrap_or(-1), stdout: text(&self.out), stderr: text(&self.err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless its test has failed.
        let _ = self.child.kill();
    }
}
