#![doc = include_str!("../README.md")]

pub mod app;
pub mod census;
pub mod connection;
pub mod consent;
pub mod controls;
pub mod event;
pub mod failed_job;
pub mod ids;
pub mod job;
pub mod keys;
pub mod lease;
pub mod operations;
pub mod people;
pub mod ports;
pub mod secret;
pub mod state;
pub mod timing;
pub mod trace;
pub mod transition;
pub mod usage;
pub mod verdict;
pub mod webhook;

/// Every instant in the system: UTC, kept to the millisecond so that both databases return what was written.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
