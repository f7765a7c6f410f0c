//! Whole jobs against memory ports: each row of the path's rules, with time and failures in the test's hands.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a broken expectation must end the test")]

mod app;
mod ending;
mod failure;
mod force;
mod pauses;
mod store;
mod success;
mod trace;
mod usage;
mod world;
