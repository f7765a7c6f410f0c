//! A harness of real processes: a whole system, the outside world simulated, everything else as in production.

mod api;
mod blows;
mod browser;
mod collector;
mod consent;
mod crowd;
mod database;
mod export;
mod http;
mod leaks;
pub(crate) mod process;
mod receiver;
pub(crate) mod rows;
mod servers;
mod settings;
mod tap;
mod turn;
pub(crate) mod wait;
mod world;

pub(crate) use api::Caller;
pub(crate) use blows::{Blow, Blows};
pub(crate) use browser::Browser;
pub(crate) use collector::{Collector, Found, hex};
pub(crate) use http::is_ready;
pub(crate) use receiver::Receiver;
pub(crate) use settings::Pace;
pub(crate) use world::{Answer, Plan, Shape, World};
