#![doc = include_str!("../README.md")]

mod deliverer;
mod expiring;
mod hooks;
mod networks;
mod resolver;
mod retries;
mod rules;
mod scrub;
mod secret;
mod sender;

use std::time::Duration;

pub use deliverer::Deliverer;
pub use expiring::Expiring;
pub use hooks::{By, Done, HookError, Hooks, NewEndpoint};
pub use ipnet::IpNet;
pub use resolver::{Lookup, SystemLookup};
pub use rules::{Refusal, Rules};
pub use secret::new_secret;
pub use sender::{Answered, Sender, SenderError, signature};

/// The numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverySettings {
    /// How long one try may take, from connecting to the answer.
    pub timeout: Duration,
    /// Tries under way at once, in each process.
    pub concurrency: u32,
    /// How often a process looks for something to deliver.
    pub look_every: Duration,
    /// An endpoint with nothing but failures for so long is disabled.
    pub disable_after: Duration,
}
