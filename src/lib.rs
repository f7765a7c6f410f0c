//! The binary's modules, as a library so that tests can reach them.

pub mod config;
pub mod import;
pub mod keys;
