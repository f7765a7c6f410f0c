//! What a database error means for the caller.

use evergrant_contract::ports::StoreError;

/// SQLSTATE classes of troubles that pass: connection (08), resources such as memory, disk and connections (53), operator
/// intervention such as shutdown, fail-over and statement timeout (57), and the system below PostgreSQL (58).
const PASSING_CLASSES: [&str; 4] = ["08", "53", "57", "58"];

/// Single SQLSTATEs of troubles that pass: a primary that became a replica, a transaction that lay idle too long, a lost
/// race of transactions, a deadlock, a lock not had in time.
const PASSING_STATES: [&str; 5] = ["25006", "25P03", "40001", "40P01", "55P03"];

/// Tells troubles that pass from those that do not.
///
/// Of a database's own error only the code and the first line are kept: its detail may quote a whole row.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            let text = format!("{} (SQLSTATE {code})", error.message());
            let passes =
                PASSING_STATES.contains(&code.as_ref()) || PASSING_CLASSES.iter().any(|class| code.starts_with(class));
            if passes { StoreError::Unavailable(text) } else { StoreError::Refused(text) }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => StoreError::Unavailable(error.to_string()),
        error => StoreError::Refused(error.to_string()),
    }
}

/// Whether somebody else has what must be one's own. It ends the transaction that it happens in.
pub(super) fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// The same error once more, for another caller of the same batch.
pub(super) fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(problem) => StoreError::Unavailable(problem.clone()),
        StoreError::Refused(problem) => StoreError::Refused(problem.clone()),
        StoreError::Corrupt { table, column, row, problem } => {
            StoreError::Corrupt { table, column, row: row.clone(), problem: problem.clone() }
        }
    }
}
