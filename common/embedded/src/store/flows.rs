//! Consents under way.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::people::Flow;
use evergrant_contract::ports::StoreError;

use super::columns::{Row, json_text, millis};
use super::error::Explain;
use super::writer::{Scope, Write};

/// Keeps a consent under way, and forgets those that expired.
pub(super) struct KeepFlow {
    pub(super) flow: Flow,
    pub(super) now: Timestamp,
}

#[async_trait]
impl Write for KeepFlow {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        forget_before(scope, self.now).await?;
        let (state, provider) = (self.flow.state.as_slice(), self.flow.provider.as_str());
        let (purpose, expires_at) = (json_text(&self.flow.purpose), millis(self.flow.expires_at));
        sqlx::query!(
            "INSERT INTO flows (state, purpose, provider, redirect_uri, return_to, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
            state,
            purpose,
            provider,
            self.flow.redirect_uri,
            self.flow.return_to,
            expires_at,
        )
        .execute(&mut *scope.db)
        .await
        .map(drop)
        .explain()
    }
}

/// Removes those that expired before this. How many.
pub(super) async fn forget_before(scope: &mut Scope<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let before = millis(before);
    let done =
        sqlx::query!("DELETE FROM flows WHERE expires_at < ?", before).execute(&mut *scope.db).await.explain()?;
    Ok(done.rows_affected())
}

/// Takes a consent under way out of the store, unless it has expired.
pub(super) struct TakeFlow {
    pub(super) state: [u8; 32],
    pub(super) now: Timestamp,
}

#[async_trait]
impl Write for TakeFlow {
    type Output = Option<Flow>;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Option<Flow>, StoreError> {
        let (state, now) = (self.state.as_slice(), millis(self.now));
        let row = sqlx::query!(
            r#"DELETE FROM flows WHERE state = ? AND expires_at > ?
               RETURNING lower(hex(state)) AS "key!: String", purpose AS "purpose!", provider AS "provider!",
                   redirect_uri AS "redirect_uri!", return_to AS "return_to!", expires_at AS "expires_at!: i64""#,
            state,
            now,
        )
        .fetch_optional(&mut *scope.db)
        .await
        .explain()?;
        let Some(row) = row else { return Ok(None) };
        let cell = Row::of("flows", &row.key);
        Ok(Some(Flow {
            state: self.state,
            purpose: cell.json("purpose", &row.purpose)?,
            provider: cell.word("provider", &row.provider)?,
            redirect_uri: row.redirect_uri,
            return_to: row.return_to,
            expires_at: cell.time("expires_at", row.expires_at)?,
        }))
    }
}
