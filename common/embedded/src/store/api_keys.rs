//! The keys of services.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ApiKeyId, UserId};
use evergrant_contract::people::ApiKey;
use evergrant_contract::ports::{ApiKeys, StoreError};
use uuid::Uuid;

use super::SqliteStore;
use super::columns::{Row, json_text, millis};
use super::error::Explain;
use super::writer::{Scope, Write};

/// A key as the row holds it.
struct ApiKeyRow {
    id: Uuid,
    name: String,
    digest: Vec<u8>,
    scopes: String,
    user_id: Option<String>,
    created_at: i64,
    expires_at: Option<i64>,
    used_at: Option<i64>,
    revoked_at: Option<i64>,
}

/// The one list of columns, with the rest of the query behind it.
macro_rules! api_keys {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            ApiKeyRow,
            r#"SELECT id AS "id!: Uuid", name AS "name!", digest AS "digest!", scopes AS "scopes!", user_id AS "user_id?",
                   created_at AS "created_at!: i64", expires_at AS "expires_at?: i64", used_at AS "used_at?: i64",
                   revoked_at AS "revoked_at?: i64"
               FROM api_keys "#
                + $rest
            $(, $argument)*
        )
    };
}

#[async_trait]
impl ApiKeys for SqliteStore {
    async fn keep_api_key(&self, key: &ApiKey) -> Result<bool, StoreError> {
        self.writer.write(Keep(key.clone())).await
    }

    async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let id = id.uuid();
        let row = api_keys!("WHERE id = ?", id).fetch_optional(&self.readers).await.explain()?;
        row.map(ApiKeyRow::read).transpose()
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows = api_keys!("ORDER BY created_at DESC, id DESC").fetch_all(&self.readers).await.explain()?;
        rows.into_iter().map(ApiKeyRow::read).collect()
    }

    async fn revoke_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.write(Revoke { id, now }).await
    }

    async fn api_key_used(&self, id: ApiKeyId, now: Timestamp) -> Result<(), StoreError> {
        self.writer.write(Used { id, now }).await
    }
}

impl ApiKeyRow {
    fn read(self) -> Result<ApiKey, StoreError> {
        let cell = Row::of("api_keys", &self.id);
        Ok(ApiKey {
            id: self.id.into(),
            name: self.name,
            digest: self.digest.try_into().map_err(|_| cell.corrupt("digest", "not the 32 bytes of a SHA-256"))?,
            scopes: cell.json("scopes", &self.scopes)?,
            user: self.user_id.map(|user| cell.word("user_id", &user)).transpose()?,
            created_at: cell.time("created_at", self.created_at)?,
            expires_at: cell.maybe_time("expires_at", self.expires_at)?,
            used_at: cell.maybe_time("used_at", self.used_at)?,
            revoked_at: cell.maybe_time("revoked_at", self.revoked_at)?,
        })
    }
}

struct Keep(ApiKey);

#[async_trait]
impl Write for Keep {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let key = &self.0;
        let (id, digest, scopes) = (key.id.uuid(), key.digest.as_slice(), json_text(&key.scopes));
        let (user, created_at) = (key.user.as_ref().map(UserId::as_str), millis(key.created_at));
        let (expires_at, used_at) = (key.expires_at.map(millis), key.used_at.map(millis));
        let revoked_at = key.revoked_at.map(millis);
        let done = sqlx::query!(
            "INSERT INTO api_keys (id, name, digest, scopes, user_id, created_at, expires_at, used_at, revoked_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING",
            id,
            key.name,
            digest,
            scopes,
            user,
            created_at,
            expires_at,
            used_at,
            revoked_at,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(done.rows_affected() == 1)
    }
}

struct Revoke {
    id: ApiKeyId,
    now: Timestamp,
}

#[async_trait]
impl Write for Revoke {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let (id, now) = (self.id.uuid(), millis(self.now));
        let done = sqlx::query!("UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", now, id)
            .execute(&mut *scope.db)
            .await
            .explain()?;
        Ok(done.rows_affected() == 1)
    }
}

struct Used {
    id: ApiKeyId,
    now: Timestamp,
}

#[async_trait]
impl Write for Used {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        let (id, now) = (self.id.uuid(), millis(self.now));
        // Notes of several processes may cross each other: the latest stays.
        sqlx::query!("UPDATE api_keys SET used_at = max(coalesce(used_at, ?1), ?1) WHERE id = ?2", now, id)
            .execute(&mut *scope.db)
            .await
            .map(drop)
            .explain()
    }
}
