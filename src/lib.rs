//! The binary's modules, as a library so that tests can reach them.

pub mod activity;
pub mod api;
pub mod cli;
pub mod client_secrets;
pub mod clock;
pub mod cmd;
pub mod config;
pub mod demo;
pub mod exit;
pub mod import;
pub mod key_file;
pub mod keys;
pub mod lifecycle;
pub mod output;
pub mod peers;
pub mod providers;
pub mod session_secret;
pub mod settings;
pub mod shape;
pub mod spool;
pub mod startup;
pub mod telemetry;
pub mod usage;
pub mod webhooks;
