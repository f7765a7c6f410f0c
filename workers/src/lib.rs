#![doc = include_str!("../README.md")]

mod breaker;
pub mod decide;
mod findings;
mod gate;
mod handler;
mod orders;
mod refresh;
mod right_of_way;
mod service;
mod settings;
mod window;
mod writer;

pub use gate::Gate;
pub use handler::RefreshHandler;
pub use service::Workers;
pub use settings::{SettingsError, WorkerSettings};
