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

use crate::{screen, workspace};

/// Names the PostgreSQL server that tests use: a superuser's URL.
pub const DATABASE_URL: &str = "EVERGRANT_TEST_DATABASE_URL";
/// Names the RabbitMQ server that tests use.
pub const AMQP_URL: &str = "EVERGRANT_TEST_AMQP_URL";

/// Set by `cargo xtask test` when it has started both servers itself: then tests can do so as well, and must.
pub(crate) const REQUIRE_PRIVATE: &str = "EVERGRANT_REQUIRE_PRIVATE_SERVERS";

/// Whether this machine can start both, for tests that kill servers. If not, says SKIPPED loudly and what to install.
///
/// Panics instead under `cargo xtask test`, unless that was given servers to use and has not started any.
pub fn startable() -> bool {
    let Err(missing) = install::check(&[Need::Postgres, Need::Rabbit]) else { return true };
    assert!(workspace::environment(REQUIRE_PRIVATE).is_none(), "{missing}");
    screen::skipped(&missing);
    false
}
