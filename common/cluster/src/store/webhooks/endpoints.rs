//! Receivers and their secrets.

use evergrant_contract::Timestamp;
use evergrant_contract::ids::EndpointId;
use evergrant_contract::ports::StoreError;
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::to_millis;
use evergrant_contract::webhook::{
    DisabledReason, Endpoint, EndpointChange, EndpointSecrets, EndpointState, MessageKind,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::PgStore;
use super::super::error::store_error;
use super::super::row::{text, word};
use super::super::seal::Vault;
use crate::store::begin::begin;

struct EndpointRow {
    id: Uuid,
    url: String,
    description: String,
    events: Vec<String>,
    state: String,
    disabled_reason: Option<String>,
    failing_since: Option<Timestamp>,
    former_until: Option<Timestamp>,
    created_at: Timestamp,
}

impl TryFrom<EndpointRow> for Endpoint {
    type Error = StoreError;

    fn try_from(row: EndpointRow) -> Result<Self, StoreError> {
        let id = EndpointId::from(row.id);
        let events = row.events.iter().map(|event| word("webhook_endpoints", "events", id, event));
        let reason = row.disabled_reason.as_deref();
        Ok(Self {
            id,
            url: row.url,
            description: row.description,
            events: events.collect::<Result<_, _>>()?,
            state: word("webhook_endpoints", "state", id, &row.state)?,
            disabled_reason: reason.map(|why| word("webhook_endpoints", "disabled_reason", id, why)).transpose()?,
            failing_since: row.failing_since,
            former_secret_until: row.former_until,
            created_at: row.created_at,
        })
    }
}

/// The secrets of an endpoint at `now`; `None`: no key of the keyring opens the present one.
pub(super) fn open(
    vault: &Vault,
    id: EndpointId,
    secret: String,
    former: Option<(String, Timestamp)>,
    now: Timestamp,
) -> Option<EndpointSecrets> {
    let former = former.filter(|(_, until)| now < *until);
    let former = former.and_then(|(ciphertext, _)| vault.open_endpoint(id, ciphertext).ok());
    Some(EndpointSecrets { current: vault.open_endpoint(id, secret).ok()?, former })
}

fn words(events: &[MessageKind]) -> Vec<String> {
    events.iter().map(|event| event.as_str().to_owned()).collect()
}

impl PgStore {
    pub(super) async fn insert_endpoint(&self, endpoint: &Endpoint, secret: &Secret) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "INSERT INTO webhook_endpoints
                 (id, url, description, events, state, disabled_reason, failing_since, secret, key, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            endpoint.id.uuid(),
            text(&endpoint.url),
            text(&endpoint.description),
            &words(&endpoint.events),
            endpoint.state.as_str(),
            endpoint.disabled_reason.map(DisabledReason::as_str),
            endpoint.failing_since.map(to_millis),
            self.vault.seal_endpoint(endpoint.id, secret),
            self.vault.primary(),
            to_millis(endpoint.created_at),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub(super) async fn all_endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        let rows = sqlx::query_as!(
            EndpointRow,
            "SELECT id, url, description, events, state, disabled_reason, failing_since, former_until, created_at
             FROM webhook_endpoints ORDER BY webhook_endpoints.created_at, webhook_endpoints.id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter().map(Endpoint::try_from).collect()
    }

    pub(super) async fn one_endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let row = sqlx::query_as!(
            EndpointRow,
            "SELECT id, url, description, events, state, disabled_reason, failing_since, former_until, created_at
             FROM webhook_endpoints WHERE id = $1",
            id.uuid(),
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        row.map(Endpoint::try_from).transpose()
    }

    pub(super) async fn update_endpoint(&self, id: EndpointId, change: &EndpointChange) -> Result<bool, sqlx::Error> {
        let events = change.events.as_deref().map(words);
        let mut transaction = begin(&self.pool).await?;
        let done = sqlx::query!(
            "UPDATE webhook_endpoints SET
                 url = coalesce($2, url), description = coalesce($3, description), events = coalesce($4, events),
                 failing_since = CASE WHEN $5 THEN NULL ELSE failing_since END,
                 disabled_reason = CASE WHEN $5 THEN NULL ELSE disabled_reason END,
                 state = CASE WHEN $5 THEN 'enabled' ELSE state END
             WHERE id = $1",
            id.uuid(),
            change.url.as_deref().map(text),
            change.description.as_deref().map(text),
            events.as_deref(),
            change.is_enabled == Some(true),
        )
        .execute(&mut *transaction)
        .await?;
        if change.is_enabled == Some(false) {
            disable(&mut transaction, id, DisabledReason::ByOperator).await?;
        }
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    pub(super) async fn replace_endpoint_secret(
        &self,
        id: EndpointId,
        secret: &Secret,
        former_until: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        let done = sqlx::query!(
            "UPDATE webhook_endpoints SET
                 former_secret = secret, former_key = key, former_until = $2, secret = $3, key = $4
             WHERE id = $1",
            id.uuid(),
            to_millis(former_until),
            self.vault.seal_endpoint(id, secret),
            self.vault.primary(),
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    pub(super) async fn open_endpoint_secrets(
        &self,
        id: EndpointId,
        now: Timestamp,
    ) -> Result<Option<EndpointSecrets>, sqlx::Error> {
        let row =
            sqlx::query!("SELECT secret, former_secret, former_until FROM webhook_endpoints WHERE id = $1", id.uuid(),)
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.and_then(|row| open(&self.vault, id, row.secret, row.former_secret.zip(row.former_until), now)))
    }

    pub(super) async fn reseal_all_endpoint_secrets(&self) -> Result<u64, sqlx::Error> {
        let primary = self.vault.primary();
        let rows = sqlx::query!(
            "SELECT id, secret, former_secret FROM webhook_endpoints WHERE key <> $1 OR former_key <> $1",
            primary,
        )
        .fetch_all(&self.pool)
        .await?;
        let mut resealed = 0;
        for row in rows {
            let id = EndpointId::from(row.id);
            let anew = |ciphertext: String| {
                let opened = self.vault.open_endpoint(id, ciphertext).ok()?;
                Some(self.vault.seal_endpoint(id, &opened))
            };
            let Some(secret) = anew(row.secret.clone()) else { continue };
            // A former one that does not open signs nothing any more: it goes.
            let former = row.former_secret.and_then(anew);
            let done = sqlx::query!(
                "UPDATE webhook_endpoints SET
                     secret = $3, key = $4, former_secret = $5, former_key = CASE WHEN $5::text IS NOT NULL THEN $4 END,
                     former_until = CASE WHEN $5::text IS NOT NULL THEN former_until END
                 WHERE id = $1 AND secret = $2",
                row.id,
                row.secret,
                secret,
                primary,
                former,
            )
            .execute(&self.pool)
            .await?;
            resealed += done.rows_affected();
        }
        Ok(resealed)
    }
}

/// Disables an endpoint, if it is not, and gives up what was on its way.
pub(super) async fn disable(
    connection: &mut PgConnection,
    id: EndpointId,
    reason: DisabledReason,
) -> Result<(), sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE webhook_endpoints SET state = $2, disabled_reason = $3 WHERE id = $1 AND state = 'enabled'",
        id.uuid(),
        EndpointState::Disabled.as_str(),
        reason.as_str(),
    )
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE webhook_deliveries SET state = 'failed', due_at = NULL, claimed_until = NULL
         WHERE endpoint_id = $1 AND state = 'pending'",
        id.uuid(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
