//! What SQLite's errors mean to a caller.

use std::error::Error as _;

use evergrant_contract::ports::StoreError;
use sqlx::error::DatabaseError;

/// Turns a result of sqlx into one of the contract.
pub(super) trait Explain<T> {
    fn explain(self) -> Result<T, StoreError>;
}

impl<T> Explain<T> for Result<T, sqlx::Error> {
    fn explain(self) -> Result<T, StoreError> {
        self.map_err(explain)
    }
}

/// No error of SQLite or sqlx quotes a value of a row, so their texts may be passed on; a decoder's might, and is not.
pub(super) fn explain(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) => by_code(error.as_ref()),
        sqlx::Error::ColumnDecode { index, source: _ } => {
            StoreError::Refused(format!("column {index} holds a value of the wrong type"))
        }
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            StoreError::Unavailable(format!("{error}{cause}"))
        }
        other => StoreError::Refused(other.to_string()),
    }
}

/// The result codes of SQLite behind which the same call may succeed later.
const TRANSIENT: [(i32, &str); 8] = [
    (5, "another process is writing"),
    (6, "a table is locked"),
    (7, "out of memory"),
    (9, "interrupted"),
    (10, "the disk reports an error"),
    (13, "the disk is full"),
    (14, "the file cannot be opened"),
    (15, "the file is locked in an unusual way"),
];

fn by_code(error: &dyn DatabaseError) -> StoreError {
    // The low byte of an extended result code is the primary one.
    let code = error.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff);
    match TRANSIENT.iter().find(|(transient, _)| code == Some(*transient)) {
        Some((_, meaning)) => StoreError::Unavailable(format!("{meaning} ({})", error.message())),
        None => StoreError::Refused(error.message().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_without_a_free_connection_is_transient() {
        assert!(explain(sqlx::Error::PoolTimedOut).is_transient());
        assert!(!explain(sqlx::Error::RowNotFound).is_transient());
    }

    #[test]
    fn a_decoder_is_not_quoted() {
        let error = sqlx::Error::ColumnDecode { index: "access_token".into(), source: "Atza|secret".into() };
        assert!(!explain(error).to_string().contains("secret"));
    }
}
