//! The store: every port of the contract over one SQLite file.
//!
//! Writes go through one [`writer`], which groups what is waiting into one commit; reads through a pool of their own.

mod activity;
mod api_keys;
mod apps;
mod audit;
mod census;
mod columns;
mod connections;
mod controls;
mod error;
mod failed_job_list;
mod failed_jobs;
mod file;
mod flows;
mod keys;
mod leases;
mod listing;
mod offices;
mod operations;
mod put;
mod quarantine;
mod reconnect;
mod schedule;
mod sealed;
mod sessions;
mod settle;
mod usage;
mod users;
mod webhooks;
mod writer;

use std::sync::Arc;

use evergrant_contract::Timestamp;
use evergrant_contract::ports::{Clock, StoreError};
use evergrant_vault::Keyring;
use sqlx::SqlitePool;

pub use file::SqliteOptions;
use writer::Writer;

/// A store in one SQLite file. Several processes of one machine may open the same file.
pub struct SqliteStore {
    readers: SqlitePool,
    writer: Writer,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
}

impl SqliteStore {
    /// Opens the file, makes it (readable by its owner only) if there is none, and brings its schema up to date.
    pub async fn open(
        options: SqliteOptions,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let connection = file::prepare(&options).await?;
        let readers = file::readers(&options);
        let writer = Writer::start(&options, connection, keyring.clone(), clock.clone());
        Ok(Self { readers, writer, keyring, clock })
    }

    /// Commits what was handed over, then closes the file. Every call after that is refused as unavailable.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
