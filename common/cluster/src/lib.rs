//! The cluster shape: PostgreSQL and RabbitMQ behind the ports.

pub mod broker;
pub mod events;
pub mod queue;
pub mod topology;

mod store;

pub use self::store::{PgOptions, PgStore};
