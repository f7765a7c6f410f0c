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

pub(crate) use install::{Need, check, install_what_is_missing};
pub use ports::{free_ports, random_hex};
pub use postgres::Postgres;
pub use process::Process;
pub(crate) use programs::{chromium, psql};
pub use rabbit::Rabbit;
pub use running::Running;
pub(crate) use servers::Servers;
pub(crate) use state::DetachedServers;
pub use warden::Warden;

use anyhow::anyhow;

use crate::{screen, workspace};

/// Names the PostgreSQL server that tests use: a superuser's URL.
pub const DATABASE_URL: &str = "EVERGRANT_TEST_DATABASE_URL";
/// Names the RabbitMQ server that tests use.
pub const AMQP_URL: &str = "EVERGRANT_TEST_AMQP_URL";

/// Tells tests whether they can start servers of their own: `required` or `off`. Not set, they find out.
pub(crate) const PRIVATE_SERVERS: &str = "EVERGRANT_PRIVATE_SERVERS";

/// Whether a test may start and kill servers of its own. If not, says SKIPPED loudly and why.
///
/// Panics instead if they are missing under `cargo xtask test`, unless that was given servers and has started none.
pub fn startable() -> bool {
    let wanted = workspace::environment(PRIVATE_SERVERS).unwrap_or_default();
    let found = if wanted == "off" {
        Err(anyhow!("no private servers in a quick run"))
    } else {
        check(&[Need::Postgres, Need::Rabbit])
    };
    let Err(problem) = found else { return true };
    assert!(wanted != "required", "{problem}");
    screen::skipped(&problem);
    false
}
