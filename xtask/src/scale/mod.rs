//! What a day of so many connections comes to, with an outage in it: `cargo xtask scale` and docs/SCALE.md.

mod costs;
mod day;
mod dice;
mod plan;
mod table;

pub(crate) use table::page;
