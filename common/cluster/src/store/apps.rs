//! The state of provider apps. Each change is one statement whose row count says who made it.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::app::{App, AppState, Hold};
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::{Apps, StoreError};
use evergrant_contract::timing::to_millis;
use evergrant_contract::webhook::MessageKind;

use super::PgStore;
use super::begin::begin;
use super::error::store_error;
use super::row::{text, word};
use super::webhooks::tell_of_app;

#[async_trait]
impl Apps for PgStore {
    async fn apps(&self) -> Result<Vec<App>, StoreError> {
        let rows = sqlx::query!(
            "SELECT provider, state, since, probe_at, code, message FROM provider_apps ORDER BY provider COLLATE \"C\""
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter()
            .map(|row| {
                Ok(App {
                    state: word("provider_apps", "state", &row.provider, &row.state)?,
                    provider: word("provider_apps", "provider", &row.provider, &row.provider)?,
                    since: row.since,
                    probe_at: row.probe_at,
                    code: row.code,
                    message: row.message,
                })
            })
            .collect()
    }

    async fn hold(&self, provider: &ProviderName, hold: Hold, now: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        let done = sqlx::query!(
            "INSERT INTO provider_apps AS held (provider, state, since, probe_at, code, message)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (provider) DO UPDATE SET
                 state = excluded.state, since = excluded.since, probe_at = excluded.probe_at,
                 code = excluded.code, message = excluded.message
             -- A fault is never weakened, and what is known already is no news.
             WHERE held.state = 'open' OR (held.state = 'outage' AND excluded.state = 'fault')",
            provider.as_str(),
            hold.state.as_str(),
            to_millis(now),
            to_millis(hold.probe_at),
            hold.code.as_deref().map(text),
            text(&hold.message),
        )
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
        let is_news = done.rows_affected() == 1;
        if is_news && hold.state == AppState::Fault {
            let code = hold.code.as_deref();
            tell_of_app(&mut transaction, MessageKind::AppFault, provider, code, now).await.map_err(store_error)?;
        }
        transaction.commit().await.map_err(store_error)?;
        Ok(is_news)
    }

    async fn open(&self, provider: &ProviderName, now: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        let was = sqlx::query_scalar!(
            "WITH was AS (
                 SELECT provider, state FROM provider_apps WHERE provider = $1 AND state <> 'open' FOR UPDATE
             )
             UPDATE provider_apps a SET state = 'open', since = $2, probe_at = NULL, code = NULL, message = NULL
             FROM was WHERE a.provider = was.provider
             RETURNING was.state",
            provider.as_str(),
            to_millis(now),
        )
        .fetch_optional(&mut *transaction)
        .await
        .map_err(store_error)?;
        if was.as_deref() == Some(AppState::Fault.as_str()) {
            let kind = MessageKind::AppRecovered;
            tell_of_app(&mut transaction, kind, provider, None, now).await.map_err(store_error)?;
        }
        transaction.commit().await.map_err(store_error)?;
        Ok(was.is_some())
    }

    async fn claim_probe(&self, provider: &ProviderName, now: Timestamp, next: Timestamp) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE provider_apps SET probe_at = $3 WHERE provider = $1 AND state <> 'open' AND probe_at <= $2",
            provider.as_str(),
            now,
            to_millis(next),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }
}
