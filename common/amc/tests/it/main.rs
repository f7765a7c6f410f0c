//! The client over real HTTP: against the simulated Amazon, and against servers that answer as they are told.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests and their helpers fail loudly")]

mod against_amazon;
mod answers;
mod remote;
mod repetition;
mod scripted;
mod server;
mod typed;
