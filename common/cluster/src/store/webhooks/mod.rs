//! Receivers of webhooks and what they are told.

mod endpoints;
mod outbox;
mod sending;

use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{EndpointId, MessageId};
use evergrant_contract::ports::{StoreError, Webhooks};
use evergrant_contract::secret::Secret;
use evergrant_contract::webhook::{
    ClaimedDelivery, ConsentLifetime, Delivery, DeliveryAttempt, DeliveryBacklog, DeliveryFilter, DeliveryReport,
    DeliveryState, Endpoint, EndpointChange, EndpointSecrets, Message, MessageKind, Reported,
};
use uuid::Uuid;

pub(super) use self::outbox::{Moved, moved, tell_of_app};

use super::PgStore;
use super::error::store_error;
use super::row::{count, total, word};

#[async_trait]
impl Webhooks for PgStore {
    async fn add_endpoint(&self, endpoint: &Endpoint, secret: &Secret) -> Result<(), StoreError> {
        self.insert_endpoint(endpoint, secret).await.map_err(store_error)
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.all_endpoints().await
    }

    async fn endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        self.one_endpoint(id).await
    }

    async fn change_endpoint(&self, id: EndpointId, change: &EndpointChange) -> Result<bool, StoreError> {
        self.update_endpoint(id, change).await.map_err(store_error)
    }

    async fn remove_endpoint(&self, id: EndpointId) -> Result<bool, StoreError> {
        let done = sqlx::query!("DELETE FROM webhook_endpoints WHERE id = $1", id.uuid())
            .execute(&self.pool)
            .await
            .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn rotate_endpoint_secret(
        &self,
        id: EndpointId,
        secret: &Secret,
        former_until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.replace_endpoint_secret(id, secret, former_until).await.map_err(store_error)
    }

    async fn endpoint_secrets(&self, id: EndpointId, now: Timestamp) -> Result<Option<EndpointSecrets>, StoreError> {
        self.open_endpoint_secrets(id, now).await.map_err(store_error)
    }

    async fn reseal_endpoint_secrets(&self) -> Result<u64, StoreError> {
        self.reseal_all_endpoint_secrets().await.map_err(store_error)
    }

    async fn deliveries(
        &self,
        endpoint: EndpointId,
        filter: &DeliveryFilter,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query_as!(
            DeliveryRow,
            "SELECT endpoint_id, message_id, kind, at, state, attempts, due_at, last_at, last_status, last_message,
                    last_duration_ms
             FROM webhook_deliveries
             WHERE endpoint_id = $1 AND message_id < $2 AND ($3::text IS NULL OR state = $3)
               AND ($4::text IS NULL OR kind = $4)
             ORDER BY message_id DESC LIMIT $5",
            endpoint.uuid(),
            after.map_or(Uuid::max(), MessageId::uuid),
            filter.state.map(DeliveryState::as_str),
            filter.kind.map(MessageKind::as_str),
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter().map(Delivery::try_from).collect()
    }

    async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        let row = sqlx::query!("SELECT kind, at, payload FROM webhook_messages WHERE id = $1", id.uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(store_error)?;
        row.map(|row| {
            let kind = word("webhook_messages", "kind", id, &row.kind)?;
            Ok(Message { id, kind, at: row.at, payload: row.payload })
        })
        .transpose()
    }

    async fn claim_deliveries(
        &self,
        now: Timestamp,
        ttl: Duration,
        except: &[EndpointId],
        limit: u32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        self.claim(now, ttl, except, limit).await
    }

    async fn report_delivery(&self, report: &DeliveryReport) -> Result<Reported, StoreError> {
        self.report(report).await.map_err(store_error)
    }

    async fn replay_delivery(
        &self,
        endpoint: EndpointId,
        message: MessageId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.replay_one(endpoint, message, now).await.map_err(store_error)
    }

    async fn replay_missed(&self, endpoint: EndpointId, since: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        self.replay_all_missed(endpoint, since, now).await.map_err(store_error)
    }

    async fn tell_of_expiring(
        &self,
        lifetimes: &[ConsentLifetime],
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.tell_of_some_expiring(lifetimes, now, limit).await
    }

    async fn delivery_backlog(&self) -> Result<DeliveryBacklog, StoreError> {
        let row = sqlx::query!(
            r#"SELECT count(*) AS "pending!", min(at) AS oldest_at FROM webhook_deliveries WHERE state = 'pending'"#
        )
        .fetch_one(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(DeliveryBacklog { pending: total(row.pending), oldest_at: row.oldest_at })
    }
}

/// A delivery as its row holds it.
struct DeliveryRow {
    endpoint_id: Uuid,
    message_id: Uuid,
    kind: String,
    at: Timestamp,
    state: String,
    attempts: i32,
    due_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    last_status: Option<i32>,
    last_message: Option<String>,
    last_duration_ms: Option<i64>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        let message = MessageId::from(row.message_id);
        let (last_message, duration_ms) = (row.last_message, row.last_duration_ms);
        let last = row.last_at.map(|at| DeliveryAttempt {
            at,
            status: row.last_status.and_then(|status| u16::try_from(status).ok()),
            message: last_message.unwrap_or_default(),
            duration_ms: total(duration_ms.unwrap_or_default()),
        });
        Ok(Self {
            message,
            endpoint: row.endpoint_id.into(),
            kind: word("webhook_deliveries", "kind", message, &row.kind)?,
            at: row.at,
            state: word("webhook_deliveries", "state", message, &row.state)?,
            attempts: count(Some(row.attempts)),
            due_at: row.due_at,
            last,
        })
    }
}
