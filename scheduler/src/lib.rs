#![doc = include_str!("../README.md")]

mod counting;
mod leader;
mod ledger;
mod look;
pub mod pace;
mod service;
mod settings;

pub use service::Scheduler;
pub use settings::SchedulerSettings;
