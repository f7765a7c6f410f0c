//! The binary's modules, as a library so that tests can reach them.

pub mod config;
pub mod keys;
