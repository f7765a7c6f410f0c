#![doc = include_str!("../README.md")]
#![expect(clippy::panic, reason = "a target says by a panic that something is wrong")]

mod config;
mod fernet;
mod imports;
mod lifetimes;
mod messages;
mod replies;
mod signatures;

/// Something that reads what others wrote.
pub struct Target {
    /// Its name, and that of the folder of its corpus.
    pub name: &'static str,
    /// Reads it, and panics if what comes out cannot be right.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    Target { name: "jobs", run: messages::jobs },
    Target { name: "events", run: messages::events },
    Target { name: "replies", run: replies::replies },
    Target { name: "lifetimes", run: lifetimes::lifetimes },
    Target { name: "imports", run: imports::imports },
    Target { name: "fernet", run: fernet::fernet },
    Target { name: "config", run: config::config },
    Target { name: "signatures", run: signatures::signatures },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    const { &TARGETS }.iter().find(|target| target.name == name)
}

/// The two parts of an input before and after a zero byte; the second is empty without one.
fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let at = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    (&data[..at], data.get(at + 1..).unwrap_or_default())
}
