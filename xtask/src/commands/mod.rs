//! One file per command.

pub mod backlog;
pub mod bench;
pub mod browser;
pub mod chaos;
pub mod ci;
pub mod demo;
pub mod deploy_check;
pub mod disaster;
pub mod frontend;
pub mod fuzz;
mod leaks;
mod metrics;
pub mod prepare;
pub mod reencrypt;
pub mod replay;
pub mod scale;
pub mod schemathesis;
pub mod services;
mod shape;
pub mod soak;
pub mod test;
