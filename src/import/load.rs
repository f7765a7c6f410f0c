//! Puts rows into the store and keeps count.

use evergrant_contract::connection::{IfPresent, NewConnection, Stored};
use evergrant_contract::ports::{Connections, StoreError};
use serde::Serialize;

use super::{ImportError, Outcome, Row};

/// Connections made in one commit.
const BATCH: usize = 500;

/// What became of the rows of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Connections that are new.
    pub inserted: u64,
    /// Connections that were there already and were left alone: their tokens may be newer.
    pub kept: u64,
    /// New connections among those without a refresh token: they start as `needs_reauth`.
    pub without_refresh_token: u64,
    /// Users without any token.
    pub without_tokens: u64,
    /// Rows that could not be read.
    pub bad: u64,
}

impl Summary {
    /// All rows.
    pub const fn rows(&self) -> u64 {
        self.inserted + self.kept + self.without_tokens + self.bad
    }
}

/// What is reported while rows are loaded.
#[derive(Debug, Clone, Copy)]
pub enum Report<'a> {
    /// A row could not be read.
    Bad {
        /// The line on which it begins.
        line: u64,
        /// Why; shows nothing of the row.
        reason: &'a str,
    },
    /// So far.
    Progress(Summary),
}

/// Why loading ended early. What was loaded before stays, and loading the same file again leaves it alone.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file ended it.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The store ended it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Puts every connection among the rows that is not there yet into the store.
pub async fn load(
    rows: impl Iterator<Item = Result<Row, ImportError>>,
    store: &dyn Connections,
    mut report: impl FnMut(Report<'_>),
) -> Result<Summary, LoadError> {
    let mut summary = Summary::default();
    let mut batch = Vec::with_capacity(BATCH);
    for row in rows {
        let row = row?;
        match row.outcome {
            Outcome::Ready(connection) => batch.push(*connection),
            Outcome::NoTokens => summary.without_tokens += 1,
            Outcome::Bad(reason) => {
                summary.bad += 1;
                report(Report::Bad { line: row.line, reason: &reason });
            }
        }
        if batch.len() == BATCH {
            put(&mut batch, store, &mut summary).await?;
            report(Report::Progress(summary));
        }
    }
    put(&mut batch, store, &mut summary).await?;
    report(Report::Progress(summary));
    Ok(summary)
}

async fn put(batch: &mut Vec<NewConnection>, store: &dyn Connections, summary: &mut Summary) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let lacks_refresh_token: Vec<_> = batch.iter().map(|connection| connection.refresh_token.is_none()).collect();
    let stored = store.put(std::mem::take(batch), IfPresent::Keep).await?;
    for (stored, lacks) in stored.into_iter().zip(lacks_refresh_token) {
        match stored {
            Stored::Inserted(_) | Stored::Replaced(_) => {
                summary.inserted += 1;
                summary.without_refresh_token += u64::from(lacks);
            }
            Stored::Kept(_) => summary.kept += 1,
        }
    }
    Ok(())
}
