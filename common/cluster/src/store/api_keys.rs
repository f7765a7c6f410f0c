//! The keys of services.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ApiKeyId, UserId};
use evergrant_contract::people::ApiKey;
use evergrant_contract::ports::{ApiKeys, StoreError};
use evergrant_contract::timing::to_millis;
use uuid::Uuid;

use super::PgStore;
use super::error::store_error;
use super::row::{corrupt, text, word};

#[async_trait]
impl ApiKeys for PgStore {
    async fn keep_api_key(&self, key: &ApiKey) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "INSERT INTO api_keys (id, name, digest, scopes, user_id, created_at, expires_at, used_at, revoked_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING",
            key.id.uuid(),
            text(&key.name),
            &key.digest,
            &key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>() as &[&str],
            key.user.as_ref().map(UserId::as_str),
            to_millis(key.created_at),
            key.expires_at.map(to_millis),
            key.used_at.map(to_millis),
            key.revoked_at.map(to_millis),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let row = sqlx::query_file_as!(ApiKeyRow, "src/store/sql/api_key.sql", id.uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(store_error)?;
        row.map(ApiKey::try_from).transpose()
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows = sqlx::query_as!(
            ApiKeyRow,
            "SELECT id, name, digest, scopes, user_id, created_at, expires_at, used_at, revoked_at
             FROM api_keys ORDER BY created_at DESC, id DESC"
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    async fn revoke_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
            id.uuid(),
            to_millis(now),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn api_key_used(&self, id: ApiKeyId, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query!(
            // Notes of two processes may cross: the later use stands, and a late note writes nothing.
            "UPDATE api_keys SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at < $2)",
            id.uuid(),
            to_millis(now),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }
}

struct ApiKeyRow {
    id: Uuid,
    name: String,
    digest: Vec<u8>,
    scopes: Vec<String>,
    user_id: Option<String>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        let id = ApiKeyId::from(row.id);
        let scopes = row.scopes.iter().map(|scope| word("api_keys", "scopes", id, scope));
        Ok(Self {
            id,
            name: row.name,
            digest: row.digest.try_into().map_err(|_| corrupt("api_keys", "digest", id, "it is not 32 bytes long"))?,
            scopes: scopes.collect::<Result<_, _>>()?,
            user: row.user_id.map(|user| word("api_keys", "user_id", id, &user)).transpose()?,
            created_at: row.created_at,
            expires_at: row.expires_at,
            used_at: row.used_at,
            revoked_at: row.revoked_at,
        })
    }
}
