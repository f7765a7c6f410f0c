//! How to reach the database.

use std::str::FromStr;
use std::time::Duration;

use evergrant_contract::ports::StoreError;
use evergrant_contract::secret::Secret;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// How to reach the database.
#[derive(Clone)]
pub struct PgOptions {
    /// `postgres://user:password@host:port/database`; with a password in it, so a secret.
    pub url: Secret,
    /// Connections at most. A handful is enough for one process: leases and results travel in groups.
    pub max_connections: u32,
    /// How long a call waits for a connection before the store counts as unavailable.
    pub acquire_timeout: Duration,
    /// How long one statement may take, and how long a transaction may lie idle, before the database ends it.
    pub statement_timeout: Duration,
    /// The name that the database shows for our connections.
    pub application_name: String,
}

impl PgOptions {
    /// The defaults for this URL: 8 connections, 5 s to get one, 30 s for a statement.
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            max_connections: 8,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            application_name: "evergrant".to_owned(),
        }
    }

    /// A pool that connects when it is first used.
    pub(super) fn pool(&self) -> Result<PgPool, StoreError> {
        // The cause is left out on purpose: it may quote the URL, and the URL may hold a password.
        let refused = |_| {
            StoreError::Refused("the database URL is not of the form postgres://user:password@host/database".to_owned())
        };
        let timeout_ms = self.statement_timeout.as_millis().to_string();
        let options = PgConnectOptions::from_str(self.url.expose())
            .map_err(refused)?
            .application_name(&self.application_name)
            .options([
                // A vanished process must not keep its row locks.
                ("idle_in_transaction_session_timeout", timeout_ms.as_str()),
                ("statement_timeout", timeout_ms.as_str()),
                // Our statements lock rows and then look at them again, which the stricter levels answer with an error.
                ("default_transaction_isolation", r"read committed"),
            ]);
        let pool = PgPoolOptions::new().max_connections(self.max_connections).acquire_timeout(self.acquire_timeout);
        Ok(pool.connect_lazy_with(options))
    }
}
