//! Every port in memory, with knobs for the failures that tests need.

pub mod events;
pub mod provider;
pub mod queue;
pub mod spool;
pub mod store;
