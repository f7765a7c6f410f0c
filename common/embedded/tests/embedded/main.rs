//! The embedded shape, tested from outside.

mod conformance;
mod events;
mod queue;
mod store;
