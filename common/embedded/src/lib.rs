#![doc = include_str!("../README.md")]

mod events;
mod queue;
mod store;

pub use events::LocalEvents;
pub use queue::LocalQueue;
pub use store::{SqliteOptions, SqliteStore};
