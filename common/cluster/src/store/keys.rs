//! From one encryption key to another.

use async_trait::async_trait;
use evergrant_contract::ids::Version;
use evergrant_contract::keys::{Resealed, SealedRow};
use evergrant_contract::ports::{Keys, StoreError};
use evergrant_vault::Field;
use uuid::Uuid;

use super::PgStore;
use super::error::store_error;
use super::row::total;
use super::seal::Vault;

#[async_trait]
impl Keys for PgStore {
    async fn sealed_under_other_keys(
        &self,
        after: Option<&SealedRow>,
        limit: u32,
    ) -> Result<Vec<SealedRow>, StoreError> {
        let (key, id) = after.map_or(("", Uuid::nil()), |row| (&row.key, row.connection.uuid()));
        let primary = self.vault.primary();
        let rows = sqlx::query_file!("src/store/sql/under_other_keys.sql", primary, key, id, i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(store_error)?;
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
        let rows = sqlx::query!(
            // Two ranges, for `<>` would look at every row.
            r#"SELECT key AS "key!", count(*) AS "rows!" FROM tokens WHERE key < $1 GROUP BY key
               UNION ALL
               SELECT key, count(*) FROM tokens WHERE key > $1 GROUP BY key
               ORDER BY 1"#,
            self.vault.primary(),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(rows.into_iter().map(|row| (row.key, total(row.rows))).collect())
    }

    async fn reseal(&self, rows: Vec<SealedRow>) -> Result<Resealed, StoreError> {
        let asked = rows.len() as u64;
        let again: Vec<_> = rows.into_iter().filter_map(|row| Again::seal(&self.vault, row)).collect();
        let undecryptable = asked - again.len() as u64;
        if again.is_empty() {
            return Ok(Resealed { undecryptable, ..Resealed::default() });
        }
        let written = self.write_again(&again).await.map_err(store_error)?;
        Ok(Resealed { written, moved_on: again.len() as u64 - written, undecryptable })
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
    fn seal(vault: &Vault, was: SealedRow) -> Option<Self> {
        let again = |field, ciphertext: &Option<String>| match ciphertext {
            None => Some(None),
            Some(ciphertext) => vault.reseal(was.connection, field, ciphertext.clone()).map(Some),
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
}

impl PgStore {
    /// How many were written: the others do not stand as they were read, or somebody has them locked just now.
    async fn write_again(&self, rows: &[Again]) -> Result<u64, sqlx::Error> {
        let done = sqlx::query_file!(
            "src/store/sql/reseal.sql",
            &rows.iter().map(|row| row.was.connection.uuid()).collect::<Vec<_>>(),
            &rows.iter().map(|row| row.was.version.number()).collect::<Vec<_>>(),
            &rows.iter().map(|row| row.was.key.as_str()).collect::<Vec<_>>() as &[&str],
            &rows.iter().map(|row| row.was.access_token.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
            &rows.iter().map(|row| row.was.refresh_token.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
            &rows.iter().map(|row| row.was.unread_answer.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
            &rows.iter().map(|row| row.access_token.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
            &rows.iter().map(|row| row.refresh_token.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
            &rows.iter().map(|row| row.unread_answer.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
            self.vault.primary(),
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}
