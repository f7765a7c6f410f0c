//! How to reach the database.

use std::time::Duration;

use evergrant_contract::ports::StoreError;
use evergrant_contract::secret::Secret;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::timeout;

use super::error::store_error;

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
        let pool = PgPoolOptions::new().max_connections(self.max_connections).acquire_timeout(self.acquire_timeout);
        let timeout_ms = self.statement_timeout.as_millis().to_string();
        Ok(pool.connect_lazy_with(self.target()?.options([
            ("statement_timeout", timeout_ms.as_str()),
            // A vanished process must not keep its row locks.
            ("idle_in_transaction_session_timeout", timeout_ms.as_str()),
        ])))
    }

    /// One connection outside the pool, whose statements may take their time. Unlike a pool, it says why it cannot be had.
    pub(super) async fn single(&self) -> Result<PgConnection, StoreError> {
        let target = self.target()?;
        let address = format!("{}:{}", target.get_host(), target.get_port());
        match timeout(self.acquire_timeout, PgConnection::connect_with(&target)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(sqlx::Error::Io(error))) => {
                Err(StoreError::Unavailable(format!("no connection to PostgreSQL at {address}: {error}")))
            }
            Ok(Err(error)) => Err(store_error(error)),
            Err(_) => Err(StoreError::Unavailable(format!(
                "no answer from PostgreSQL at {address} within {:?}",
                self.acquire_timeout
            ))),
        }
    }

    fn target(&self) -> Result<PgConnectOptions, StoreError> {
        // The cause of a bad URL is left out on purpose: it may quote it, and it may hold a password.
        let url = self.url.expose();
        let has_scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let parsed = url.parse::<PgConnectOptions>().ok().filter(|_| has_scheme).ok_or_else(|| {
            StoreError::Refused(
                "the database URL is not of the form postgres://user:password@host:port/database".to_owned(),
            )
        })?;
        // Our statements lock rows and look at them again, which the stricter levels answer with an error.
        let isolation = [("default_transaction_isolation", "read committed")];
        Ok(parsed.application_name(&self.application_name).options(isolation))
    }
}
