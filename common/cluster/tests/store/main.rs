//! The PostgreSQL store against a real PostgreSQL: what every store must do, and what only this one can get wrong.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "this is test code: a broken expectation must end the test"
)]

mod abandoned;
mod conformance;
mod crowd;
mod database;
mod keys;
mod looks;
mod outage;
mod people;
mod plan;
mod poison;
mod reads;
mod reconnects;
mod steps;
mod times;
