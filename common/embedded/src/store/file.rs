//! The database file: how it is made, opened and brought up to date.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evergrant_contract::ports::StoreError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlitePool};

use super::error::{Explain, explain};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// How long a read waits for a connection of the pool. No read takes nearly so long: who waits it out is better told so.
const READER_WAIT: Duration = Duration::from_secs(10);

/// Where the file is and how it is used.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The file. Its folder must exist.
    pub path: PathBuf,
    /// Connections that read at the same time.
    pub readers: u32,
    /// How long a write waits for another process to finish its own.
    pub busy_timeout: Duration,
    /// How many waiting writes share one commit.
    pub group_limit: usize,
}

impl SqliteOptions {
    /// The file at this path, used as suits one machine.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), readers: 4, busy_timeout: Duration::from_secs(5), group_limit: 200 }
    }

    fn connect(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .foreign_keys(true)
            .busy_timeout(self.busy_timeout)
            .disable_statement_logging()
    }

    /// The connection that writes. Every commit is on the disk before it is reported: a rotated token exists nowhere else.
    pub(super) async fn open_writer(&self) -> Result<SqliteConnection, sqlx::Error> {
        let options = self.connect().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        SqliteConnection::connect_with(&options).await
    }
}

/// Makes the file if there is none, applies the migrations that it lacks, and returns the connection that writes.
pub(super) async fn prepare(options: &SqliteOptions) -> Result<SqliteConnection, StoreError> {
    create_private(&options.path)?;
    let mut connection = options.open_writer().await.explain()?;
    migrate(&mut connection).await?;
    Ok(connection)
}

/// The connections that read, and can do nothing else.
pub(super) fn readers(options: &SqliteOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(options.readers.max(1))
        .acquire_timeout(READER_WAIT)
        .connect_lazy_with(options.connect().pragma("query_only", "on"))
}

/// SQLite gives its write-ahead log the permissions of the database, so this one call is enough.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| {
        StoreError::Refused(format!(
            "the database file {} cannot be opened ({error}); check that its folder exists and may be written",
            path.display()
        ))
    })
}

/// One transaction around all of it, so that two processes that start at once do not both apply a migration.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.explain()?;
    MIGRATIONS.run_direct(None, &mut *transaction, false).await.map_err(|error| match error {
        MigrateError::Execute(error) => explain(error),
        MigrateError::VersionMissing(version) => StoreError::Refused(format!(
            "the database was brought to migration {version} by a newer release; run that release, or a newer one"
        )),
        other => StoreError::Refused(format!("the database cannot be brought up to date: {other}")),
    })?;
    transaction.commit().await.explain()
}
