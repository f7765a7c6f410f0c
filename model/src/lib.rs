#![doc = include_str!("../README.md")]

mod act;
mod protocol;
mod provider;
mod rules;
mod store;
mod worker;
mod world;

pub use act::Act;
pub use protocol::{ENDED_BY_PROVIDER, HELD_SOMEWHERE, KEEPS_BACK_OFF, REFRESHED_AT_LAST, REPORTED, SPENT_ONCE};
pub use rules::{Broken, Limit, Protocol};
pub use world::World;
