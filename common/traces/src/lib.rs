#![doc = include_str!("../README.md")]

mod courier;
mod link;
mod traces;

pub use link::follow;
pub use traces::{Sampler, Traces, TracesError, TracesOptions};
