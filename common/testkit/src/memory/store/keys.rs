//! From one encryption key to another. The secrets stay plaintexts: what counts is which row names which key.

use async_trait::async_trait;
use evergrant_contract::keys::{Resealed, SealedRow};
use evergrant_contract::ports::{Keys, StoreError};
use evergrant_contract::secret::Secret;

use super::MemoryStore;
use super::rows::Row;

#[async_trait]
impl Keys for MemoryStore {
    async fn sealed_under_other_keys(
        &self,
        after: Option<&SealedRow>,
        limit: u32,
    ) -> Result<Vec<SealedRow>, StoreError> {
        let tables = self.tables()?;
        let mut rows: Vec<_> = tables
            .connections
            .values()
            .filter(|row| row.has_tokens() && row.key != self.primary())
            .map(sealed)
            .collect();
        rows.sort_by(|one, other| place(one).cmp(&place(other)));
        rows.retain(|row| after.is_none_or(|after| place(row) > place(after)));
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(rows)
    }

    async fn rows_under_other_keys(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut counts = self.tables()?.keys_in_use();
        counts.remove(self.primary());
        Ok(counts.into_iter().collect())
    }

    async fn reseal(&self, rows: Vec<SealedRow>) -> Result<Resealed, StoreError> {
        let mut tables = self.tables()?;
        let mut resealed = Resealed::default();
        for was in rows {
            let row = tables.connections.get_mut(&was.connection);
            let opens = row.as_ref().is_none_or(|row| row.opens(self.keys()) || row.key != was.key);
            match row.filter(|row| sealed(row) == was) {
                _ if !opens => resealed.undecryptable += 1,
                None => resealed.moved_on += 1,
                Some(row) => {
                    self.primary().clone_into(&mut row.key);
                    resealed.written += 1;
                }
            }
        }
        Ok(resealed)
    }
}

/// As a store with ciphertexts would read it: one that was written anew differs, even if the secret in it is the same.
fn sealed(row: &Row) -> SealedRow {
    let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    SealedRow {
        connection: row.id,
        version: row.version,
        key: row.key.clone(),
        access_token: text(&row.access_token),
        refresh_token: text(&row.refresh_token),
        unread_answer: text(&row.unread_answer),
    }
}

fn place(row: &SealedRow) -> (&str, evergrant_contract::ids::ConnectionId) {
    (&row.key, row.connection)
}
