//! Private PostgreSQL and RabbitMQ servers: for `cargo xtask test`, for developing, and for tests that kill them.

mod install;
mod ports;
mod postgres;
mod process;
mod programs;
mod rabbit;
mod running;
mod servers;
mod state;
mod warden;

pub(crate) use install::{Need, install_what_is_missing};
pub use postgres::Postgres;
pub(crate) use programs::psql;
pub use rabbit::Rabbit;
pub(crate) use servers::Servers;
pub(crate) use state::DetachedServers;

use anyhow::Result;

/// Names the PostgreSQL server that tests use: a superuser's URL.
pub const DATABASE_URL: &str = "EVERGRANT_TEST_DATABASE_URL";
/// Names the RabbitMQ server that tests use.
pub const AMQP_URL: &str = "EVERGRANT_TEST_AMQP_URL";

/// Whether both can be started on this machine. The error says what is missing and what to do.
pub fn installed() -> Result<()> {
    install::check(&[Need::Postgres, Need::Rabbit])
}
