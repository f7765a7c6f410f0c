//! Rows as the product stores them, made in bulk: real ciphertexts of a real key, each for its own place.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::secret::Secret;
use evergrant_vault::{Field, Keyring, Place};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::token;

/// The provider app that all connections are of.
pub const PROVIDER: &str = "amazon-na";
/// Rows in one `COPY`: a few megabytes of text.
const PORTION: usize = 5_000;
/// Between the times at which two connections fall due: no two at once, so that their order can be told.
const APART: TimeDelta = TimeDelta::milliseconds(1);

/// How long ago their tokens were issued: long enough for nobody to wonder that they are refused.
const ISSUED: TimeDelta = TimeDelta::minutes(45);

/// What is made.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// The first is due for longest.
    pub due: usize,
    /// Good for hours.
    pub not_due: usize,
}

/// A connection that was made. Its number is its place in the list, and the number of its grant at the mock.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// Its id.
    pub id: Uuid,
    refresh_at: DateTime<Utc>,
}

impl Crowd {
    fn make(self, now: DateTime<Utc>) -> Vec<Made> {
        let due = i32::try_from(self.due).unwrap_or(i32::MAX);
        let overdue = (0..due).map(|number| now - APART * (due - number));
        let later = (0..i32::try_from(self.not_due).unwrap_or(i32::MAX))
            .map(|number| now + TimeDelta::hours(6) + APART * number);
        overdue.chain(later).map(|refresh_at| Made { id: Uuid::now_v7(), refresh_at }).collect()
    }
}

/// Both ciphertexts of a connection as it is before its first refresh.
pub struct Sealed {
    /// Of the access token.
    pub access_token: String,
    /// Of the refresh token.
    pub refresh_token: String,
}

/// Encrypts the tokens of a grant for a row.
pub fn seal(keyring: &Keyring, id: Uuid, access_token: &str, refresh_token: &str) -> Sealed {
    let seal = |field, token: &str| {
        let place = Place { connection: ConnectionId::from(id), field };
        String::from(keyring.seal(place, &Secret::new(token)))
    };
    Sealed {
        access_token: seal(Field::AccessToken, access_token),
        refresh_token: seal(Field::RefreshToken, refresh_token),
    }
}

/// Decrypts the refresh token of a row.
pub fn open(keyring: &Keyring, id: Uuid, refresh_token: String) -> Result<Secret> {
    let place = Place { connection: ConnectionId::from(id), field: Field::RefreshToken };
    keyring.open(place, &refresh_token.into()).context("a refresh token does not open")
}

fn sealed(keyring: &Keyring, number: usize, id: Uuid) -> Result<Sealed> {
    let grant = u32::try_from(number)?;
    Ok(seal(keyring, id, &token::access_token(grant, 0), &token::refresh_token(grant, 0)))
}

/// Puts a crowd into an empty PostgreSQL database that has the product's tables.
pub async fn fill_postgres(db: &mut PgConnection, keyring: &Keyring, crowd: Crowd) -> Result<Vec<Made>> {
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *db).await?;
    let all = crowd.make(now);
    let issued_at = now - ISSUED;
    for (portion, some) in all.chunks(PORTION).enumerate() {
        let [mut connections, mut schedules, mut tokens] = [const { String::new() }; 3];
        for (number, Made { id, refresh_at }) in (portion * PORTION..).zip(some) {
            let Sealed { access_token, refresh_token } = sealed(keyring, number, *id)?;
            let (at, expires_at) = (refresh_at.to_rfc3339(), (*refresh_at + TimeDelta::minutes(15)).to_rfc3339());
            let key = keyring.primary().as_str();
            writeln!(connections, "{id}\tuser-{number}\t{PROVIDER}\taccount-{number}\t{issued_at}")?;
            writeln!(schedules, "{id}\t{PROVIDER}\tactive\t1\t{at}")?;
            writeln!(tokens, "{id}\t{access_token}\t{refresh_token}\t{key}\t{expires_at}\t{issued_at}")?;
        }
        let columns = "connection_id, access_token, refresh_token, key, expires_at, refreshed_at";
        copy(db, "connections (id, user_id, provider, account, created_at)", connections).await?;
        copy(db, "schedules (connection_id, provider, state, version, refresh_at)", schedules).await?;
        copy(db, &format!("tokens ({columns})"), tokens).await?;
    }
    for table in ["connections", "schedules", "tokens"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("VACUUM ANALYZE {table}"))).execute(&mut *db).await?;
    }
    // What filling left to be written is not to be paid for by what is measured.
    sqlx::raw_sql("CHECKPOINT").execute(db).await?;
    Ok(all)
}

async fn copy(db: &mut PgConnection, table: &str, rows: String) -> Result<()> {
    let mut copy = db.copy_in_raw(&format!("COPY {table} FROM STDIN")).await?;
    copy.send(rows.into_bytes()).await?;
    copy.finish().await?;
    Ok(())
}

/// Puts a crowd into an empty SQLite database that has the product's tables.
#[expect(clippy::disallowed_methods, reason = "rows that a real process shall find due are due by the real time")]
pub async fn fill_sqlite(file: &std::path::Path, keyring: &Keyring, crowd: Crowd) -> Result<Vec<Made>> {
    let mut db = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await?;
    let now = Utc::now();
    let issued_at = (now - ISSUED).timestamp_millis();
    let all = crowd.make(now);
    for (portion, some) in all.chunks(PORTION).enumerate() {
        let mut transaction = db.begin().await?;
        for (number, Made { id, refresh_at }) in (portion * PORTION..).zip(some) {
            let Sealed { access_token, refresh_token } = sealed(keyring, number, *id)?;
            let expires_at = (*refresh_at + TimeDelta::minutes(15)).timestamp_millis();
            sqlx::query("INSERT INTO connections (id, user_id, provider, account, created_at) VALUES (?, ?, ?, ?, ?)")
                .bind(id)
                .bind(format!("user-{number}"))
                .bind(PROVIDER)
                .bind(format!("account-{number}"))
                .bind(issued_at)
                .execute(&mut *transaction)
                .await?;
            sqlx::query(
                "INSERT INTO schedules (connection_id, provider, state, version, refresh_at) VALUES (?, ?, 'active', 1, ?)",
            )
            .bind(id)
            .bind(PROVIDER)
            .bind(refresh_at.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
            sqlx::query(
                "INSERT INTO tokens (connection_id, access_token, refresh_token, key, expires_at, refreshed_at) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(id)
            .bind(access_token)
            .bind(refresh_token)
            .bind(keyring.primary().as_str())
            .bind(expires_at)
            .bind(issued_at)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
    }
    sqlx::raw_sql("ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut db).await?;
    db.close().await?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_due_for_longest_and_no_two_at_once() {
        let now = DateTime::UNIX_EPOCH;
        let made = Crowd { due: 3, not_due: 2 }.make(now);
        assert!(made.iter().map(|one| one.refresh_at).is_sorted_by(|a, b| a < b));
        assert_eq!(made.iter().filter(|one| one.refresh_at < now).count(), 3);
    }

    #[test]
    fn what_is_sealed_opens_in_its_row_and_in_no_other() {
        let keyring = Keyring::parse(&Keyring::generate_key()).unwrap();
        let ids = [Uuid::now_v7(), Uuid::now_v7()];
        let sealed = sealed(&keyring, 7, ids[0]).unwrap();
        assert_eq!(open(&keyring, ids[0], sealed.refresh_token.clone()).unwrap().expose(), token::refresh_token(7, 0));
        assert!(open(&keyring, ids[1], sealed.refresh_token).is_err());
        assert!(open(&keyring, ids[0], sealed.access_token).is_err());
    }
}
