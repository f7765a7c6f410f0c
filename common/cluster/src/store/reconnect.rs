//! A new consent for a connection that exists.

use evergrant_contract::connection::{NewConnection, Reconnected};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::StoreError;

use super::PgStore;
use super::begin::begin;
use super::error::{is_unique_violation, store_error};
use super::put::{Identity, replace_identities, write_tokens};
use super::webhooks;

impl PgStore {
    pub(super) async fn reconnect_one(
        &self,
        id: ConnectionId,
        consent: &NewConnection,
    ) -> Result<Reconnected, StoreError> {
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        let version = sqlx::query_scalar!(
            "SELECT s.version FROM schedules s JOIN connections c ON c.id = s.connection_id
             WHERE c.id = $1 AND c.user_id = $2 AND c.provider = $3
             FOR NO KEY UPDATE OF s",
            id.uuid(),
            consent.user.as_str(),
            consent.provider.as_str(),
        )
        .fetch_optional(&mut *transaction)
        .await
        .map_err(store_error)?;
        let Some(version) = version else { return Ok(Reconnected::NotFound) };

        // From here on every way out but the commit takes all of it back.
        let row = (id, &Identity::new(consent));
        write_tokens(&mut transaction, &self.vault, &[row]).await.map_err(store_error)?;
        match replace_identities(&mut transaction, &[row]).await {
            Ok(1) => {}
            Ok(_) => return Ok(Reconnected::OtherAccount),
            Err(error) if is_unique_violation(&error) => return Ok(Reconnected::OtherAccount),
            Err(error) => return Err(store_error(error)),
        }
        webhooks::moved(&mut transaction, &[(id.uuid(), self.time.now())]).await?;
        transaction.commit().await.map_err(store_error)?;
        Ok(Reconnected::Done(Version::new(version).next()))
    }
}
