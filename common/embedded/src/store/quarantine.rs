//! Connections whose ciphertext did not open: kept as they are until their key comes back.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::StoreError;
use evergrant_vault::{Field, Keyring};
use sqlx::SqlitePool;
use uuid::Uuid;

use super::columns::millis;
use super::error::Explain;
use super::writer::{Scope, Write};
use super::{sealed, webhooks};

/// A connection in quarantine as it was found.
pub(super) struct Found {
    pub(super) id: Uuid,
    refresh_token: String,
}

impl Found {
    /// Whether the keyring opens its refresh token.
    pub(super) fn opens(&self, keyring: &Keyring) -> bool {
        let id = ConnectionId::from(self.id);
        sealed::open(keyring, id, Field::RefreshToken, self.refresh_token.clone()).is_ok()
    }
}

/// How many are looked at, and restored in one commit, at a time: a wrong key puts everything into quarantine.
const PAGE: u32 = 1000;

/// Some of the connections in quarantine, in the order of their ids from behind `after`.
pub(super) async fn page(readers: &SqlitePool, after: Uuid) -> Result<Vec<Found>, StoreError> {
    sqlx::query_as!(
        Found,
        r#"SELECT s.connection_id AS "id!: Uuid", t.refresh_token AS "refresh_token!"
           FROM schedules s
           JOIN tokens t ON t.connection_id = s.connection_id
           WHERE s.state = 'needs_reauth' AND s.reason = 'undecryptable' AND t.refresh_token IS NOT NULL
             AND s.connection_id > ?
           ORDER BY s.connection_id
           LIMIT ?"#,
        after,
        PAGE,
    )
    .fetch_all(readers)
    .await
    .explain()
}

/// Takes connections out of quarantine, unless something has happened to them since they were found.
pub(super) struct Restore {
    pub(super) connections: Vec<Found>,
    pub(super) now: Timestamp,
}

#[async_trait]
impl Write for Restore {
    type Output = u64;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<u64, StoreError> {
        let now = millis(self.now);
        let mut restored = 0;
        for found in &self.connections {
            let done = sqlx::query!(
                "UPDATE schedules SET state = 'active', reason = NULL, refresh_at = ?1, failures = 0, suspicions = 0
                 WHERE connection_id = ?2 AND state = 'needs_reauth' AND reason = 'undecryptable'
                   AND (SELECT refresh_token FROM tokens WHERE connection_id = ?2) = ?3",
                now,
                found.id,
                found.refresh_token,
            )
            .execute(&mut *scope.db)
            .await
            .explain()?;
            if done.rows_affected() == 1 {
                forget_error(scope, found.id).await?;
                webhooks::moved(scope.db, found.id.into(), self.now).await?;
                restored += 1;
            }
        }
        Ok(restored)
    }
}

async fn forget_error(scope: &mut Scope<'_>, id: Uuid) -> Result<(), StoreError> {
    sqlx::query!("UPDATE tokens SET last_error = NULL WHERE connection_id = ?", id)
        .execute(&mut *scope.db)
        .await
        .map(drop)
        .explain()
}
