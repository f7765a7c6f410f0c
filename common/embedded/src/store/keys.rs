//! From one encryption key to another.

use async_trait::async_trait;
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::keys::{Resealed, SealedRow};
use evergrant_contract::ports::{Keys, StoreError};
use evergrant_vault::{Field, Keyring};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::SqliteStore;
use super::error::Explain;
use super::sealed;
use super::writer::{Scope, Write};

#[async_trait]
impl Keys for SqliteStore {
    async fn sealed_under_other_keys(
        &self,
        after: Option<&SealedRow>,
        limit: u32,
    ) -> Result<Vec<SealedRow>, StoreError> {
        let (key, id) = after.map_or(("", Uuid::nil()), |row| (&row.key, row.connection.uuid()));
        let primary = self.keyring.primary().as_str();
        // Two ranges of the index, for `<>` would look at every row that is under the right key already.
        let rows = sqlx::query!(
            r#"SELECT o.connection_id AS "connection_id!: Uuid", s.version AS "version!: i64", o.key AS "key!: String",
                   o.access_token AS "access_token?: String", o.refresh_token AS "refresh_token?: String",
                   o.unread_answer AS "unread_answer?: String"
               FROM (
                   SELECT * FROM (
                       SELECT key, connection_id, access_token, refresh_token, unread_answer FROM tokens
                       WHERE key < ?1 AND (key, connection_id) > (?2, ?3) ORDER BY key, connection_id LIMIT ?4)
                   UNION ALL
                   SELECT * FROM (
                       SELECT key, connection_id, access_token, refresh_token, unread_answer FROM tokens
                       WHERE key > ?1 AND (key, connection_id) > (?2, ?3) ORDER BY key, connection_id LIMIT ?4)
               ) o
               JOIN schedules s ON s.connection_id = o.connection_id
               ORDER BY o.key, o.connection_id
               LIMIT ?4"#,
            primary,
            key,
            id,
            limit,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        let rows = rows.into_iter().map(|row| SealedRow {
            connection: row.connection_id.into(),
            version: Version::new(row.version),
            key: row.key,
            access_token: row.access_token,
            refresh_token: row.refresh_token,
            unread_answer: row.unread_answer,
        });
        Ok(rows.collect())
    }

    async fn rows_under_other_keys(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let primary = self.keyring.primary().as_str();
        let rows = sqlx::query!(
            r#"SELECT key AS "key!: String", count(*) AS "rows!: u64" FROM tokens WHERE key < ?1 GROUP BY key
               UNION ALL
               SELECT key, count(*) FROM tokens WHERE key > ?1 GROUP BY key
               ORDER BY 1"#,
            primary,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        Ok(rows.into_iter().map(|row| (row.key, row.rows)).collect())
    }

    async fn reseal(&self, rows: Vec<SealedRow>) -> Result<Resealed, StoreError> {
        let asked = rows.len() as u64;
        // Encrypted by the caller, so that the writer does not spend its time on it.
        let again: Vec<_> = rows.into_iter().filter_map(|row| Again::seal(&self.keyring, row)).collect();
        let (ready, undecryptable) = (again.len() as u64, asked - again.len() as u64);
        if again.is_empty() {
            return Ok(Resealed { undecryptable, ..Resealed::default() });
        }
        let written = self.writer.write(Reseal(again)).await?;
        Ok(Resealed { written, moved_on: ready - written, undecryptable })
    }
}

/// A row as it was, and what is to take the place of its ciphertexts.
struct Again {
    was: SealedRow,
    access_token: Option<String>,
    refresh_token: Option<String>,
    unread_answer: Option<String>,
}

impl Again {
    /// `None`: a secret in it that cannot be had again does not open.
    fn seal(keyring: &Keyring, was: SealedRow) -> Option<Self> {
        let again = |field, ciphertext: &Option<String>| match ciphertext {
            None => Some(None),
            Some(ciphertext) => reseal(keyring, was.connection, field, ciphertext).map(Some),
        };
        let refresh_token = again(Field::RefreshToken, &was.refresh_token)?;
        let unread_answer = again(Field::UnreadAnswer, &was.unread_answer)?;
        let access_token = match again(Field::AccessToken, &was.access_token) {
            Some(access_token) => access_token,
            // Worth nothing, and it can be had again with the refresh token: it stays until then.
            None if refresh_token.is_some() => None,
            None => return None,
        };
        Some(Self { was, access_token, refresh_token, unread_answer })
    }

    /// Whether it was written: it is not if it does not stand as it was read.
    async fn write(&self, db: &mut SqliteConnection, primary: &str) -> Result<bool, StoreError> {
        let (id, version) = (self.was.connection.uuid(), self.was.version.number());
        let done = sqlx::query!(
            "UPDATE tokens SET access_token = coalesce(?1, access_token), refresh_token = coalesce(?2, refresh_token),
                 unread_answer = coalesce(?3, unread_answer), key = ?4
             WHERE connection_id = ?5 AND key = ?6 AND access_token IS ?7 AND refresh_token IS ?8 AND unread_answer IS ?9
               AND (SELECT version FROM schedules WHERE connection_id = ?5) = ?10",
            self.access_token,
            self.refresh_token,
            self.unread_answer,
            primary,
            id,
            self.was.key,
            self.was.access_token,
            self.was.refresh_token,
            self.was.unread_answer,
            version,
        )
        .execute(db)
        .await
        .explain()?;
        Ok(done.rows_affected() == 1)
    }
}

fn reseal(keyring: &Keyring, id: ConnectionId, field: Field, ciphertext: &str) -> Option<String> {
    let secret = sealed::open(keyring, id, field, ciphertext.to_owned()).ok()?;
    Some(sealed::seal(keyring, id, field, &secret))
}

/// Writes rows under the key that encrypts, each only if it stands as it was read.
struct Reseal(Vec<Again>);

#[async_trait]
impl Write for Reseal {
    type Output = u64;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<u64, StoreError> {
        let mut written = 0;
        for row in &self.0 {
            written += u64::from(row.write(&mut *scope.db, scope.keyring.primary().as_str()).await?);
        }
        Ok(written)
    }
}
