#![doc = include_str!("../README.md")]

pub mod broker;
pub mod events;
pub mod queue;
pub mod topology;

mod store;

pub use self::store::{PgOptions, PgStore};
