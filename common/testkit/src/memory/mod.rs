//! Every port in memory, with knobs for the failures that tests need.

pub mod store;
