#![doc = include_str!("../README.md")]

mod ads;
mod answer;
mod api_call;
mod codes;
mod consent;
mod control;
mod fault;
mod grant;
mod grants;
mod identity;
mod ledger;
mod lock;
mod now;
mod options;
mod plan;
mod receipt;
mod reporting;
mod sim;
mod stats;
mod token;
mod token_endpoint;
mod token_request;
mod wire;
mod world;

pub use fault::{ErrorBody, Fault, FaultKind, Target, When};
pub use ledger::{Counts, LedgerEntry, Repeat};
pub use options::{Rotation, SimOptions, UnknownRotation};
pub use sim::{Sim, StartError};
pub use stats::{Latency, Stats};
pub use world::IssuedTokens;
