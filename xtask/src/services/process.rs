//! A process of the operating system: is it there, end it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use serde::{Deserialize, Serialize};

/// How often a wait looks again.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// A process that leads its own process group. The start time is part of its identity: pids are reused, and a stranger
/// must never get our signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The process id, which is also the id of its group.
    pub pid: i32,
    /// When the kernel started it, in clock ticks since boot; unknown on systems without `/proc`.
    started_ticks: Option<u64>,
}

impl Process {
    /// The process with this id, which must be running now.
    pub fn running(pid: u32) -> Result<Self> {
        let pid = i32::try_from(pid)?;
        Ok(Self { pid, started_ticks: stat(pid).map(|stat| stat.started_ticks) })
    }

    /// Whether it still runs. A zombie does not: it only waits for its parent to look.
    pub fn is_alive(&self) -> bool {
        if !has_proc() {
            return Pid::from_raw(self.pid).is_some_and(|pid| test_kill_process(pid).is_ok());
        }
        stat(self.pid).is_some_and(|stat| !stat.dead && Some(stat.started_ticks) == self.started_ticks)
    }

    /// Its living children, of any group.
    pub fn children(&self) -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter_map(|pid| {
            let stat = stat(pid)?;
            (stat.parent == self.pid && !stat.dead).then_some(Self { pid, started_ticks: Some(stat.started_ticks) })
        })
        .collect()
    }

    /// Sends a signal to this process alone. Nothing happens if it is gone.
    pub fn signal(&self, signal: Signal) {
        if let (true, Some(pid)) = (self.is_alive(), Pid::from_raw(self.pid)) {
            // It may end between the look and the signal; then there is nothing left to do.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills its whole group at once, as a power cut would.
    pub fn kill_group(&self) {
        if let (true, Some(pid)) = (self.is_alive(), Pid::from_raw(self.pid)) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// Waits until it is gone.
    pub fn wait_gone(&self, limit: Duration) -> Result<()> {
        let begin = Instant::now();
        while self.is_alive() {
            if begin.elapsed() > limit {
                bail!("process {} is still running after {} s", self.pid, limit.as_secs());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

/// What `/proc/<pid>/stat` says that matters here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    dead: bool,
    parent: i32,
    started_ticks: u64,
}

fn has_proc() -> bool {
    PathBuf::from("/proc/self/stat").exists()
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The second field is the command in parentheses and may itself hold spaces and parentheses: count from the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        dead: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        started_ticks: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn stat_is_read_past_a_command_with_parentheses() {
        let text = "42 (a ) b) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        assert_eq!(parse_stat(text), Some(Stat { dead: false, parent: 7, started_ticks: 987_654 }));
        assert_eq!(parse_stat("42 (sh) Z 7"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_group_dies_with_its_children() {
        let mut child = Command::new("sh").args(["-c", "sleep 600 & wait"]).process_group(0).spawn().unwrap();
        let leader = Process::running(child.id()).unwrap();
        while leader.children().is_empty() {
            std::thread::yield_now();
        }
        let grandchild = leader.children().remove(0);
        assert!(leader.is_alive() && grandchild.is_alive());

        leader.kill_group();
        child.wait().unwrap();
        grandchild.wait_gone(Duration::from_secs(5)).unwrap();
        assert!(!leader.is_alive());
    }

    #[test]
    fn a_reused_pid_is_not_ours() {
        let myself = Process::running(std::process::id()).unwrap();
        assert!(myself.is_alive());
        let earlier = Process { pid: myself.pid, started_ticks: myself.started_ticks.map(|ticks| ticks - 1) };
        assert!(!earlier.is_alive());
        earlier.kill_group(); // would end this test
    }
}
