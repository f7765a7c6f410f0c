//! The state of provider apps.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::app::{App, AppState, Hold};
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::{Apps, StoreError};
use evergrant_contract::webhook::{Message, MessageKind};

use super::MemoryStore;

#[async_trait]
impl Apps for MemoryStore {
    async fn apps(&self) -> Result<Vec<App>, StoreError> {
        Ok(self.tables()?.apps.values().cloned().collect())
    }

    async fn hold(&self, provider: &ProviderName, hold: Hold, now: Timestamp) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let state = tables.apps.get(provider).map_or(AppState::Open, |app| app.state);
        let is_news = state == AppState::Open || (state == AppState::Outage && hold.state == AppState::Fault);
        if is_news {
            if hold.state == AppState::Fault {
                tables.tell(Message::of_app(MessageKind::AppFault, provider, hold.code.as_deref(), now));
            }
            let app = App {
                provider: provider.clone(),
                state: hold.state,
                since: now,
                probe_at: Some(hold.probe_at),
                code: hold.code,
                message: Some(hold.message),
            };
            tables.apps.insert(provider.clone(), app);
        }
        Ok(is_news)
    }

    async fn open(&self, provider: &ProviderName, now: Timestamp) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let Some(app) = tables.apps.get_mut(provider).filter(|app| app.state != AppState::Open) else {
            return Ok(false);
        };
        let was = app.state;
        let of = provider.clone();
        *app = App { provider: of, state: AppState::Open, since: now, probe_at: None, code: None, message: None };
        if was == AppState::Fault {
            tables.tell(Message::of_app(MessageKind::AppRecovered, provider, None, now));
        }
        Ok(true)
    }

    async fn claim_probe(&self, provider: &ProviderName, now: Timestamp, next: Timestamp) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let app = tables.apps.get_mut(provider).filter(|app| app.probe_at.is_some_and(|at| at <= now));
        Ok(app.map(|app| app.probe_at = Some(next)).is_some())
    }
}
