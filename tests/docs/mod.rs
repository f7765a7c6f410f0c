//! What documents say, held to what the program does.

mod blocks;
mod defects;
#[expect(unreachable_pub, reason = "it is shown in docs/API.md as it is, for other crates")]
mod example;
mod guide;
mod likeness;
mod shell;

use std::path::Path;

/// A file of the repository.
fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{path}: {error}"))
}
