//! What processes cost: CPU time and memory, as the kernel counts them in `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The kernel counts CPU time for `/proc` in hundredths of a second, on every architecture that this could run on.
const TICKS_PER_SECOND: u64 = 100;

/// Whose cost is counted.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// As tables call it.
    pub(crate) name: &'static str,
    pub(crate) pid: i32,
    /// With all that it has started: servers are families.
    pub(crate) is_family: bool,
}

/// CPU time of each part since it began, and of the whole machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) parts: BTreeMap<&'static str, Duration>,
    /// What all CPUs together were busy with.
    pub(crate) machine: Duration,
}

impl Cost {
    /// Up to now.
    pub(crate) fn now(parts: &[Part]) -> Result<Self> {
        let mut cost = Self { machine: machine_busy()?, ..Self::default() };
        let all = if parts.iter().any(|part| part.is_family) { all_processes() } else { Vec::new() };
        for part in parts {
            let ticks = if part.is_family { family(part.pid, &all) } else { of_process(part.pid)?.own };
            *cost.parts.entry(part.name).or_default() += from_ticks(ticks);
        }
        Ok(cost)
    }

    /// Between an earlier look and this one.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let parts = self
            .parts
            .iter()
            .map(|(name, now)| (*name, now.saturating_sub(earlier.parts.get(name).copied().unwrap_or_default())));
        Self { parts: parts.collect(), machine: self.machine.saturating_sub(earlier.machine) }
    }

    /// What the machine was busy with besides.
    pub(crate) fn of_others(&self) -> Duration {
        self.machine.saturating_sub(self.parts.values().sum())
    }
}

/// One line of the table of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    pid: i32,
    parent: i32,
    /// Ticks of itself.
    own: u64,
    /// Ticks of children that it has seen end.
    ended: u64,
}

fn all_processes() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    // One that ends while we look is in its parent's account already.
    pids.filter_map(|pid| of_process(pid).ok()).collect()
}

fn of_process(pid: i32) -> Result<Stat> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}: has the process ended?"))?;
    parse_stat(pid, &text).with_context(|| format!("cannot understand {path}"))
}

/// The second field is the command in parentheses and may itself hold spaces and parentheses: count from the last one.
fn parse_stat(pid: i32, text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        own: number(11)? + number(12)?,
        ended: number(13)? + number(14)?,
    })
}

/// Ticks of a process and of everybody below it, living or ended.
fn family(root: i32, all: &[Stat]) -> u64 {
    let mut members = vec![root];
    let mut at = 0;
    while let Some(&parent) = members.get(at) {
        members.extend(all.iter().filter(|stat| stat.parent == parent).map(|stat| stat.pid));
        at += 1;
    }
    all.iter().filter(|stat| members.contains(&stat.pid)).map(|stat| stat.own + stat.ended).sum()
}

fn machine_busy() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    parse_machine(&text).map(from_ticks).context("cannot understand /proc/stat")
}

/// Everything but waiting: user, nice, system, irq, softirq and steal.
fn parse_machine(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let busy = [0, 1, 2, 5, 6, 7].map(|at| fields.get(at).copied());
    busy.into_iter().sum()
}

const fn from_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// Memory of a process that is really there, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    /// The most it ever was.
    pub(crate) most: u64,
}

impl Memory {
    pub(crate) fn of(pid: i32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}: has the process ended?"))?;
        Self::parse(&text).with_context(|| format!("cannot understand {path}"))
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?;
            Some(value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
        };
        Some(Self { now: field("VmRSS:")?, most: field("VmHWM:")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_does_not_shift_the_fields() {
        let text = "42 (a ) b) S 7 42 42 0 -1 4194560 1 2 3 4 50 6 70 8 20 0 1 0 987654 1 2 3";
        assert_eq!(parse_stat(42, text), Some(Stat { pid: 42, parent: 7, own: 56, ended: 78 }));
        assert_eq!(parse_stat(42, "42 (sh) Z 7"), None);
    }

    #[test]
    fn a_family_is_everybody_below_and_nobody_beside() {
        let stat = |pid, parent, own, ended| Stat { pid, parent, own, ended };
        let all = [stat(1, 0, 1000, 1000), stat(2, 1, 1, 10), stat(3, 2, 2, 0), stat(4, 3, 4, 0), stat(5, 1, 500, 0)];
        assert_eq!(family(2, &all), 17);
        assert_eq!(family(4, &all), 4);
        assert_eq!(family(9, &all), 0);
    }

    #[test]
    fn waiting_is_not_being_busy() {
        assert_eq!(parse_machine("cpu  1 2 4 1000 1000 8 16 32 0 0\ncpu0 1 1 1 1\n"), Some(63));
        assert_eq!(parse_machine("intr 1\n"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let memory = Memory::parse("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n");
        assert_eq!(memory, Some(Memory { now: 1 << 20, most: 2 << 20 }));
        assert_eq!(Memory::parse("VmRSS: 1024 kB"), None);
    }

    #[test]
    fn this_process_has_a_cost() {
        let me = Part { name: "me", pid: i32::try_from(std::process::id()).unwrap(), is_family: false };
        let before = Cost::now(std::slice::from_ref(&me)).unwrap();
        let since = Cost::now(&[me]).unwrap().since(&before);
        assert!(since.parts["me"] <= since.machine + Duration::from_millis(20), "{since:?}");
        assert!(Memory::of(i32::try_from(std::process::id()).unwrap()).unwrap().most > 1 << 20);
    }
}
