//! A new consent for a connection that exists.

use async_trait::async_trait;
use evergrant_contract::connection::{NewConnection, Reconnected};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::StoreError;
use uuid::Uuid;

use super::error::Explain;
use super::put::replace;
use super::writer::{Scope, Write};

/// Puts a consent's tokens into this very connection, if it is of the same user, provider and account.
pub(super) struct Reconnect {
    pub(super) id: ConnectionId,
    pub(super) consent: NewConnection,
}

#[async_trait]
impl Write for Reconnect {
    type Output = Reconnected;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Reconnected, StoreError> {
        let id = self.id.uuid();
        let (user, provider) = (self.consent.user.as_str(), self.consent.provider.as_str());
        let account = sqlx::query_scalar!(
            r#"SELECT account AS "account!" FROM connections WHERE id = ? AND user_id = ? AND provider = ?"#,
            id,
            user,
            provider,
        )
        .fetch_optional(&mut *scope.db)
        .await
        .explain()?;
        match account {
            None => Ok(Reconnected::NotFound),
            Some(account) if account == self.consent.account => self.replace(scope).await,
            Some(account) if account.is_empty() && self.name_account(scope, id).await? => self.replace(scope).await,
            Some(_) => Ok(Reconnected::OtherAccount),
        }
    }
}

impl Reconnect {
    async fn replace(&self, scope: &mut Scope<'_>) -> Result<Reconnected, StoreError> {
        replace(scope, self.id, &self.consent).await.map(Reconnected::Done)
    }

    /// Writes whose connection it turns out to be. `false`: another one of the same user and provider is.
    async fn name_account(&self, scope: &mut Scope<'_>, id: Uuid) -> Result<bool, StoreError> {
        let named = sqlx::query!("UPDATE OR IGNORE connections SET account = ? WHERE id = ?", self.consent.account, id)
            .execute(&mut *scope.db)
            .await
            .explain()?;
        Ok(named.rows_affected() == 1)
    }
}
