//! What the bench itself says: progress on standard error, results on standard output.

use std::io::Write;

/// Something begins.
pub fn step(text: &str) {
    // A closed pipe is no reason to stop measuring.
    let _ = writeln!(std::io::stderr().lock(), "==> {text}");
}

/// How far something is.
pub fn progress(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "    {text}");
}

/// A result.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
