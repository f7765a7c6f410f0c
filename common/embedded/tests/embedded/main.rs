//! The embedded shape, tested from outside.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a broken expectation must end its test, in helpers too")]

mod conformance;
mod events;
mod people;
mod queue;
mod store;
