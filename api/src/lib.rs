#![doc = include_str!("../README.md")]

mod auth;
#[cfg(test)]
mod authorization_tests;
mod edges;
#[cfg(test)]
mod fixture;
mod hub;
mod openapi;
mod page;
mod probes;
mod problem;
mod reads;
mod refreshes;
mod replay;
mod routes;
mod server;
mod settings;
mod state;
mod usage;
mod waits;

pub use auth::{Callers, PasswordError, SecretError, SessionSecret, hash_password, new_api_key};
pub use hub::Hub;
pub use openapi::document;
pub use probes::{Check, Probes};
pub use problem::{Problem, ProblemKind};
pub use reads::Reads;
pub use refreshes::{Asked, RefreshOrder, RefreshPage, Refreshes};
pub use replay::{Deed, Done, Order, Outcome, Page, ReplayError, Replays, Way, cursor, place};
pub use routes::routes;
pub use server::{ServeError, Server, ServerLimits};
pub use settings::{ApiSettings, AuthSettings, ForceSettings};
pub use state::{Api, ProviderApp};
pub use usage::{UsageQuestion, UsageReport};
pub use waits::{Ask, LocalTokens, Waited, Waits};
