#![doc = include_str!("../README.md")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "this crate is test code: a broken expectation must end the test"
)]

pub mod chance;
pub mod clock;
pub mod conformance;
pub mod memory;
pub mod proxy;
pub mod secrets;
pub mod services;

pub use chance::{FixedChance, SeededChance};
pub use clock::ManualClock;
pub use memory::events::MemoryEvents;
pub use memory::provider::{Call, Reply, ScriptedProvider};
pub use memory::queue::MemoryQueue;
pub use memory::spool::MemorySpool;
pub use memory::store::MemoryStore;
pub use proxy::{CuttableProxy, Way};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, even after a panic in another test task: what matters is the panic, not the poison that it left.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
