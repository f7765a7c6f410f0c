//! The provider port against providers on this machine: recorded answers, broken connections, two client secrets.

#![expect(clippy::expect_used, reason = "tests and their helpers fail loudly")]

mod answers;
mod consent;
mod faults;
mod secrets;
mod server;
mod wire;
