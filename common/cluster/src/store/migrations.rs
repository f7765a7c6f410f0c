//! The migrations of this release.

use evergrant_contract::ports::StoreError;
use sqlx::PgConnection;
use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};

use super::error::store_error;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/postgres");

/// `undefined_table`: no migration was ever applied.
const NO_SUCH_TABLE: &str = "42P01";

pub(super) async fn run(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let missing = pending(connection).await?;
    MIGRATOR.run(connection).await.map_err(migrate_error)?;
    Ok(missing)
}

pub(super) async fn pending(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let applied = match connection.list_applied_migrations(&MIGRATOR.table_name).await {
        Ok(applied) => applied,
        Err(MigrateError::Execute(sqlx::Error::Database(error))) if error.code().as_deref() == Some(NO_SUCH_TABLE) => {
            Vec::new()
        }
        Err(error) => return Err(migrate_error(error)),
    };
    let lacks = |migration: &&Migration| applied.iter().all(|applied| applied.version != migration.version);
    Ok(MIGRATOR.iter().filter(lacks).map(name).collect())
}

/// A database that is ahead is fine: during an upgrade the former release still runs.
pub(super) async fn refuse_pending(connection: &mut PgConnection) -> Result<(), StoreError> {
    let missing = pending(connection).await?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(StoreError::Refused(format!("the database lacks {}: run `evergrant migrate` first", missing.join(", "))))
}

/// The name of the file, without its ending.
fn name(migration: &Migration) -> String {
    format!("{:04}_{}", migration.version, migration.description.replace(' ', "_"))
}

fn migrate_error(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => store_error(error),
        MigrateError::VersionMissing(version) => StoreError::Refused(format!(
            "the database has migration {version:04}, which this release does not know: it was migrated by a newer one, so run that"
        )),
        MigrateError::VersionMismatch(version) => StoreError::Refused(format!(
            "migration {version:04} was applied in another form than this release has: restore its file, a released migration never changes"
        )),
        MigrateError::ExecuteMigration(error, version) => match store_error(error) {
            StoreError::Refused(problem) => StoreError::Refused(format!("migration {version:04}: {problem}")),
            error => error,
        },
        error => StoreError::Refused(error.to_string()),
    }
}
