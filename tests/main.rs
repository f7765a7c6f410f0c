//! What must hold of the whole: one test binary, so that it links once.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "this crate is test code: a broken expectation must end the test"
)]

mod architecture;
mod chaos;
mod cli;
mod docs;
mod e2e;
mod support;
