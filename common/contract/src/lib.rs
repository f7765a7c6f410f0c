#![doc = include_str!("../README.md")]

pub mod app;
pub mod connection;
pub mod consent;
pub mod event;
pub mod failed_job;
pub mod ids;
pub mod job;
pub mod operations;
pub mod people;
pub mod ports;
pub mod secret;
pub mod state;
pub mod timing;
pub mod transition;
pub mod verdict;

/// Every instant in the system: UTC, kept to the millisecond so that both databases return what was written.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
