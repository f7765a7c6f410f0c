//! PostgreSQL and RabbitMQ for a world: those that all tests share, or a pair of its own to kill.

use std::thread;

use evergrant_testkit::services;
use xtask::services::{AMQP_URL, DATABASE_URL, Postgres, Rabbit, startable};

/// Both servers.
pub(crate) struct Servers {
    /// URL of a superuser.
    pub(crate) database_url: String,
    pub(crate) amqp_url: String,
    postgres: Option<Postgres>,
    rabbit: Option<Rabbit>,
}

impl Servers {
    /// Those that the environment names; without any, a pair of its own. `None`: there are none, which was said loudly.
    pub(crate) fn shared() -> Option<Self> {
        if !(is_named(DATABASE_URL) && is_named(AMQP_URL)) {
            return Self::own();
        }
        let (database_url, amqp_url) = (services::database_url()?, services::amqp_url()?);
        Some(Self { database_url, amqp_url, postgres: None, rabbit: None })
    }

    /// A pair that nobody else uses. `None`: this machine cannot start them, which was said loudly.
    pub(crate) fn own() -> Option<Self> {
        if !startable() {
            return None;
        }
        let rabbit = thread::spawn(Rabbit::start);
        let postgres = Postgres::start().unwrap();
        let rabbit = rabbit.join().unwrap().unwrap();
        let (database_url, amqp_url) = (postgres.url(), rabbit.url());
        Some(Self { database_url, amqp_url, postgres: Some(postgres), rabbit: Some(rabbit) })
    }

    /// The world's own PostgreSQL.
    pub(crate) fn postgres(&mut self) -> &mut Postgres {
        self.postgres.as_mut().expect("a world that kills PostgreSQL has one of its own")
    }

    /// The world's own RabbitMQ.
    pub(crate) fn rabbit(&mut self) -> &mut Rabbit {
        self.rabbit.as_mut().expect("a world that kills RabbitMQ has one of its own")
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration but their environment")]
fn is_named(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|url| !url.is_empty())
}
