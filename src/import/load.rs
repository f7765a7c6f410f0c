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
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                put(&mut batch, store, &mut summary).await?;
                return Err(error.into());
            }
        };
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

/// Reads every row and stores nothing: what [`load`] would find in an empty store.
pub fn count(
    rows: impl Iterator<Item = Result<Row, ImportError>>,
    mut report: impl FnMut(Report<'_>),
) -> Result<Summary, ImportError> {
    let mut summary = Summary::default();
    for row in rows {
        let row = row?;
        match row.outcome {
            Outcome::Ready(connection) => {
                summary.inserted += 1;
                summary.without_refresh_token += u64::from(connection.refresh_token.is_none());
            }
            Outcome::NoTokens => summary.without_tokens += 1,
            Outcome::Bad(reason) => {
                summary.bad += 1;
                report(Report::Bad { line: row.line, reason: &reason });
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use evergrant_contract::connection::ConnectionFilter;
    use evergrant_contract::ids::UserId;
    use evergrant_contract::secret::Secret;
    use evergrant_testkit::{ManualClock, MemoryStore};

    use super::*;

    const fn row(line: u64, outcome: Outcome) -> Row {
        Row { line, outcome }
    }

    fn ready(user: u64) -> Outcome {
        Outcome::Ready(Box::new(NewConnection {
            user: user.to_string().parse::<UserId>().unwrap(),
            provider: "amazon-na".parse().unwrap(),
            account: String::new(),
            label: String::new(),
            scopes: String::new(),
            access_token: Some(Secret::new("a")),
            refresh_token: (user != 7).then(|| Secret::new("r")),
            expires_at: None,
            refresh_at: "2026-11-23T12:00:00Z".parse().unwrap(),
            consent_at: None,
            refresh_expires_at: None,
        }))
    }

    /// More than two batches, with a bad row and one without tokens in the middle.
    fn file() -> Vec<Result<Row, ImportError>> {
        let mut rows: Vec<_> = (0..=2 * BATCH as u64).map(|user| row(user + 1, ready(user))).collect();
        rows.insert(BATCH, row(9_000, Outcome::Bad("it is crooked".to_owned())));
        rows.insert(BATCH, row(9_001, Outcome::NoTokens));
        rows.into_iter().map(Ok).collect()
    }

    #[tokio::test]
    async fn every_good_row_is_stored_once_however_often_it_is_loaded() {
        let store = MemoryStore::new(ManualClock::new());
        let (mut told, mut looks) = (Vec::new(), 0);
        let report = |report: Report<'_>| match report {
            Report::Bad { line, reason } => told.push(format!("{line}: {reason}")),
            Report::Progress(_) => looks += 1,
        };
        let summary = load(file().into_iter(), &*store, report).await.unwrap();
        let expected = Summary { inserted: 1001, kept: 0, without_refresh_token: 1, without_tokens: 1, bad: 1 };
        assert_eq!((summary, summary.rows()), (expected, 1003));
        assert_eq!((told, looks), (vec!["9000: it is crooked".to_owned()], 3));

        let again = load(file().into_iter(), &*store, |_| {}).await.unwrap();
        assert_eq!((again.inserted, again.kept), (0, 1001));
        assert_eq!(store.list(&ConnectionFilter::default(), None, 5_000).await.unwrap().len(), 1001);
    }

    #[tokio::test]
    async fn a_store_that_goes_away_ends_it_and_a_second_run_finishes_it() {
        let store = MemoryStore::new(ManualClock::new());
        store.fail_next(1);
        let failed = load(file().into_iter(), &*store, |_| {}).await;
        assert!(matches!(failed, Err(LoadError::Store(StoreError::Unavailable(_)))));
        assert_eq!(load(file().into_iter(), &*store, |_| {}).await.unwrap().inserted, 1001);
    }

    #[tokio::test]
    async fn what_was_read_before_a_broken_file_is_stored() {
        let store = MemoryStore::new(ManualClock::new());
        let mut rows = file();
        rows.push(Err(ImportError::Io(std::io::Error::other("gone"))));
        assert!(matches!(load(rows.into_iter(), &*store, |_| {}).await, Err(LoadError::Import(_))));
        assert_eq!(store.list(&ConnectionFilter::default(), None, 5_000).await.unwrap().len(), 1001);
    }
}
