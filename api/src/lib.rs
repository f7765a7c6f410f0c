#![doc = include_str!("../README.md")]

mod probes;
mod server;

pub use probes::{Check, Probes};
pub use server::{ServeError, Server};
