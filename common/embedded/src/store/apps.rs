//! The state of provider apps.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::app::{App, AppState, Hold};
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::{Apps, StoreError};
use evergrant_contract::webhook::{Message, MessageKind};

use super::SqliteStore;
use super::columns::{Row, millis};
use super::error::Explain;
use super::webhooks;
use super::writer::{Scope, Write};

#[async_trait]
impl Apps for SqliteStore {
    async fn apps(&self) -> Result<Vec<App>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT provider AS "provider!", state AS "state!", since AS "since!: i64", probe_at AS "probe_at?: i64",
                   code AS "code?", message AS "message?"
               FROM provider_apps ORDER BY provider"#,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        rows.into_iter()
            .map(|row| {
                let cell = Row::of("provider_apps", &row.provider);
                Ok(App {
                    provider: cell.word("provider", &row.provider)?,
                    state: cell.word("state", &row.state)?,
                    since: cell.time("since", row.since)?,
                    probe_at: cell.maybe_time("probe_at", row.probe_at)?,
                    code: row.code,
                    message: row.message,
                })
            })
            .collect()
    }

    async fn hold(&self, provider: &ProviderName, hold: Hold, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.write(HoldApp { provider: provider.clone(), hold, now }).await
    }

    async fn open(&self, provider: &ProviderName, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.write(OpenApp { provider: provider.clone(), now }).await
    }

    async fn claim_probe(&self, provider: &ProviderName, now: Timestamp, next: Timestamp) -> Result<bool, StoreError> {
        self.writer.write(ClaimProbe { provider: provider.clone(), now, next }).await
    }
}

struct HoldApp {
    provider: ProviderName,
    hold: Hold,
    now: Timestamp,
}

#[async_trait]
impl Write for HoldApp {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let (provider, state) = (self.provider.as_str(), self.hold.state.as_str());
        let (now, probe_at) = (millis(self.now), millis(self.hold.probe_at));
        let done = sqlx::query!(
            "INSERT INTO provider_apps (provider, state, since, probe_at, code, message) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (provider) DO UPDATE
             SET state = excluded.state, since = excluded.since, probe_at = excluded.probe_at, code = excluded.code,
                 message = excluded.message
             WHERE provider_apps.state = 'open' OR (provider_apps.state = 'outage' AND excluded.state = 'fault')",
            provider,
            state,
            now,
            probe_at,
            self.hold.code,
            self.hold.message,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        let is_news = done.rows_affected() == 1;
        if is_news && self.hold.state == AppState::Fault {
            let code = self.hold.code.as_deref();
            webhooks::tell(scope.db, &Message::of_app(MessageKind::AppFault, &self.provider, code, self.now)).await?;
        }
        Ok(is_news)
    }
}

struct OpenApp {
    provider: ProviderName,
    now: Timestamp,
}

#[async_trait]
impl Write for OpenApp {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let (provider, now) = (self.provider.as_str(), millis(self.now));
        let was = sqlx::query_scalar!(
            r#"SELECT state AS "state!" FROM provider_apps WHERE provider = ? AND state <> 'open'"#,
            provider,
        )
        .fetch_optional(&mut *scope.db)
        .await
        .explain()?;
        let Some(was) = was else { return Ok(false) };
        sqlx::query!(
            "UPDATE provider_apps SET state = 'open', since = ?, probe_at = NULL, code = NULL, message = NULL
             WHERE provider = ? AND state <> 'open'",
            now,
            provider,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        if was == AppState::Fault.as_str() {
            webhooks::tell(scope.db, &Message::of_app(MessageKind::AppRecovered, &self.provider, None, self.now))
                .await?;
        }
        Ok(true)
    }
}

struct ClaimProbe {
    provider: ProviderName,
    now: Timestamp,
    next: Timestamp,
}

#[async_trait]
impl Write for ClaimProbe {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let (provider, now, next) = (self.provider.as_str(), millis(self.now), millis(self.next));
        let done = sqlx::query!(
            "UPDATE provider_apps SET probe_at = ? WHERE provider = ? AND probe_at <= ?",
            next,
            provider,
            now,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(done.rows_affected() == 1)
    }
}
