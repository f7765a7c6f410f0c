//! What `cargo xtask` itself says. Programs it runs speak for themselves.

use std::io::{IsTerminal, Write};

/// Something begins.
pub(crate) fn step(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is no reason to stop working.
    let _ = if out.is_terminal() { writeln!(out, "\x1b[1m==> {text}\x1b[0m") } else { writeln!(out, "==> {text}") };
}

/// A result, or data for a pipe.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// What went wrong, with every cause.
pub fn problem(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr().lock(), "error: {error:#}");
}

/// A test that could not run, and why.
pub(crate) fn skipped(reason: &anyhow::Error) {
    let _ = writeln!(std::io::stderr().lock(), "SKIPPED: {reason:#}");
}
