//! The binary's modules, as a library so that tests can reach them.

pub mod cli;
pub mod config;
pub mod exit;
pub mod import;
pub mod keys;
pub mod output;
pub mod telemetry;
