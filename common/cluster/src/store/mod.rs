//! PostgreSQL behind the store ports.
//!
//! ```text
//! acquire --> Batcher --> one statement, one commit --> opened by the caller
//! settle  --> sealed by the caller --> Batcher --> one short transaction
//! all else -----------------------> one statement each
//! ```
//!
//! Rows are locked in one order everywhere, `schedules` by id before anything else of a connection, so that two
//! transactions never wait for each other in a circle.

mod acquire;
mod api_keys;
mod apps;
mod batch;
mod begin;
mod census;
mod connect;
mod connections;
mod controls;
mod error;
mod failed_job_list;
mod failed_jobs;
mod keys;
mod leases;
mod list;
mod look;
mod migrations;
mod offices;
mod operations;
mod put;
mod reconnect;
mod restore;
mod row;
mod schedule;
mod seal;
mod sessions;
mod settle;
mod time;
mod usage;
mod users;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ports::{Clock, StoreError};
use evergrant_vault::Keyring;
use sqlx::PgPool;

pub use self::connect::PgOptions;

use self::acquire::Acquire;
use self::batch::Batcher;
use self::error::store_error;
use self::seal::Vault;
use self::settle::Settle;
use self::time::StoreTime;

/// Batches that take leases, and as many that write results, under way at a time. Two fill the time that the other waits
/// for the disk; more only make the batches smaller.
const LANES: usize = 2;
/// From one batch to the next of a lane's kind, unless a hundred calls wait earlier: nobody waits for a scheduled refresh, and
/// a disk that syncs for a few rows at a time has no time for those that somebody does wait for.
const PACE: Duration = Duration::from_millis(20);

/// The store of the cluster shape.
///
/// Cheap calls are grouped behind its back; dropping it lets the groups under way finish.
pub struct PgStore {
    pool: PgPool,
    vault: Vault,
    time: StoreTime,
    acquire: Batcher<Acquire>,
    settle: Batcher<Settle>,
}

impl PgStore {
    /// Connects, and refuses a database whose migrations are not those of this release. Must be called within a runtime.
    pub async fn connect(options: &PgOptions, keyring: Arc<Keyring>) -> Result<Self, StoreError> {
        migrations::refuse_pending(&mut options.single().await?).await?;
        Ok(Self::assemble(options.pool()?, Vault::new(keyring), StoreTime::Database))
    }

    /// The same store with leases, offices and peers on this clock instead of the database's. For tests: in a cluster only
    /// the database's clock is the same for everybody.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self::assemble(self.pool, self.vault, StoreTime::of(clock))
    }

    /// Applies what is missing and returns its names.
    pub async fn migrate(options: &PgOptions) -> Result<Vec<String>, StoreError> {
        migrations::run(&mut options.single().await?).await
    }

    /// The names of migrations that this release has and the database lacks.
    pub async fn pending(&self) -> Result<Vec<String>, StoreError> {
        migrations::pending(&mut *self.pool.acquire().await.map_err(store_error)?).await
    }

    /// Closes the connections, those in use when they are done.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn assemble(pool: PgPool, vault: Vault, time: StoreTime) -> Self {
        let acquire = Batcher::start(Acquire { pool: pool.clone(), time: time.clone() }, LANES, PACE);
        let settle = Batcher::start(Settle { pool: pool.clone(), vault: vault.clone() }, LANES, PACE);
        Self { pool, vault, time, acquire, settle }
    }
}
