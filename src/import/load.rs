//! Puts rows into the store and keeps count.

use evergrant_contract::connection::{IfPresent, NewConnection, Stored};
use evergrant_contract::people::{Saved, User, UserKey};
use evergrant_contract::ports::{Connections, StoreError, Users};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use super::{ImportError, Outcome, Row};

/// Connections made in one commit.
const BATCH: usize = 500;

/// Users written at once. Stores group writes that come together into one commit.
const USERS_AT_ONCE: usize = 100;

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
    /// Users who are new, and may sign in.
    pub users: u64,
    /// New users among those who see and do everything, as they did in the original project.
    pub admins: u64,
    /// Users who were there already and were left alone.
    pub users_kept: u64,
    /// Users who were not made, since another one has their e-mail address or account.
    pub users_refused: u64,
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
    /// The user of a row was not made. Its connection is not affected.
    Refused {
        /// The line on which the row begins.
        line: u64,
        /// Why; shows nothing of the row.
        reason: &'static str,
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

/// What is stored together.
#[derive(Default)]
struct Batch {
    connections: Vec<NewConnection>,
    /// With the line of their row.
    users: Vec<(u64, User)>,
}

/// Puts every connection and every user among the rows that is not there yet into the store.
pub async fn load<S: Connections + Users + ?Sized>(
    rows: impl Iterator<Item = Result<Row, ImportError>>,
    store: &S,
    mut report: impl FnMut(Report<'_>),
) -> Result<Summary, LoadError> {
    let mut summary = Summary::default();
    let mut batch = Batch::default();
    for row in rows {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                put(&mut batch, store, &mut summary, &mut report).await?;
                return Err(error.into());
            }
        };
        batch.users.extend(row.user.map(|user| (row.line, *user)));
        match row.outcome {
            Outcome::Ready(connection) => batch.connections.push(*connection),
            Outcome::NoTokens => summary.without_tokens += 1,
            Outcome::Bad(reason) => {
                summary.bad += 1;
                report(Report::Bad { line: row.line, reason: &reason });
            }
        }
        if batch.connections.len() == BATCH || batch.users.len() == BATCH {
            put(&mut batch, store, &mut summary, &mut report).await?;
            report(Report::Progress(summary));
        }
    }
    put(&mut batch, store, &mut summary, &mut report).await?;
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
        summary.users += u64::from(row.user.is_some());
        summary.admins += u64::from(row.user.is_some_and(|user| user.is_admin));
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

async fn put<S: Connections + Users + ?Sized>(
    batch: &mut Batch,
    store: &S,
    summary: &mut Summary,
    report: &mut impl FnMut(Report<'_>),
) -> Result<(), StoreError> {
    let Batch { connections, users } = std::mem::take(batch);
    let writes = users.into_iter().map(|(line, user)| async move {
        let is_admin = user.is_admin;
        save(store, &user).await.map(|kept| (line, is_admin, kept))
    });
    // In the order of the rows, so that reports come in it too.
    let saved: Vec<_> = stream::iter(writes).buffered(USERS_AT_ONCE).try_collect().await?;
    for (line, is_admin, saved) in saved {
        let reason = match saved {
            None => {
                summary.users_kept += 1;
                continue;
            }
            Some(Saved::Done) => {
                summary.users += 1;
                summary.admins += u64::from(is_admin);
                continue;
            }
            Some(Saved::EmailTaken) => "another user has its `email`: this one cannot sign in",
            Some(Saved::AccountTaken) => "another user has its `amazon_customer_id`: this one cannot sign in",
        };
        summary.users_refused += 1;
        report(Report::Refused { line, reason });
    }
    put_connections(connections, store, summary).await
}

/// Makes a user; `None`: there is one with this id, who may have changed here since.
async fn save<S: Users + ?Sized>(store: &S, user: &User) -> Result<Option<Saved>, StoreError> {
    match store.user(UserKey::Id(&user.id)).await? {
        Some(_) => Ok(None),
        None => store.save_user(user).await.map(Some),
    }
}

async fn put_connections<S: Connections + ?Sized>(
    connections: Vec<NewConnection>,
    store: &S,
    summary: &mut Summary,
) -> Result<(), StoreError> {
    if connections.is_empty() {
        return Ok(());
    }
    let lacks_refresh_token: Vec<_> = connections.iter().map(|row| row.refresh_token.is_none()).collect();
    let stored = store.put(connections, IfPresent::Keep).await?;
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
        Row { line, outcome, user: None }
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
            Report::Refused { .. } => panic!("nobody is refused"),
        };
        let summary = load(file().into_iter(), &*store, report).await.unwrap();
        let expected =
            Summary { inserted: 1001, without_refresh_token: 1, without_tokens: 1, bad: 1, ..Summary::default() };
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

    fn person(id: u64, change: impl FnOnce(&mut User)) -> Row {
        let mut user = User {
            id: format!("user-{id}").parse().unwrap(),
            email: format!("{id}@example.com"),
            name: String::new(),
            account: format!("amzn1.account.{id}"),
            is_admin: false,
            is_active: true,
            profile_ids: Vec::new(),
            marketplace_ids: Vec::new(),
            created_at: "2026-11-23T12:00:00Z".parse().unwrap(),
        };
        change(&mut user);
        Row { line: id, outcome: Outcome::NoTokens, user: Some(Box::new(user)) }
    }

    #[tokio::test]
    async fn people_are_made_once_and_left_alone_afterwards() {
        let store = MemoryStore::new(ManualClock::new());
        let file = || (1..=600).map(|id| Ok(person(id, |user| user.is_admin = id == 7)));
        let counted = count(file(), |_| {}).unwrap();
        let loaded = load(file(), &*store, |_| {}).await.unwrap();
        assert_eq!(loaded, Summary { without_tokens: 600, users: 600, admins: 1, ..Summary::default() });
        assert_eq!(counted, loaded);

        let id: UserId = "user-7".parse().unwrap();
        let known = store.user(UserKey::Id(&id)).await.unwrap().unwrap();
        store.save_user(&User { is_active: false, is_admin: false, ..known.clone() }).await.unwrap();
        let again = load(file(), &*store, |_| {}).await.unwrap();
        assert_eq!((again.users, again.admins, again.users_kept), (0, 0, 600));
        let now = store.user(UserKey::Id(&id)).await.unwrap().unwrap();
        assert_eq!(now, User { is_active: false, is_admin: false, ..known }, "what was decided here stays");
    }

    #[tokio::test]
    async fn a_person_whose_address_or_account_another_has_is_told_by_line_and_stops_nobody() {
        let store = MemoryStore::new(ManualClock::new());
        let rows = vec![
            person(1, |_| ()),
            person(2, |user| user.email = "1@EXAMPLE.com".to_owned()),
            person(3, |user| user.account = "amzn1.account.1".to_owned()),
            person(4, |_| ()),
        ];
        let mut told = Vec::new();
        let report = |report: Report<'_>| {
            if let Report::Refused { line, reason } = report {
                told.push((line, reason));
            }
        };
        let summary = load(rows.into_iter().map(Ok), &*store, report).await.unwrap();
        assert_eq!((summary.users, summary.users_refused), (2, 2));
        let expected = [
            (2, "another user has its `email`: this one cannot sign in"),
            (3, "another user has its `amazon_customer_id`: this one cannot sign in"),
        ];
        assert_eq!(told, expected);
    }
}
