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

pub(super) use self::outbox::{forget_before, moved, tell};

use super::SqliteStore;
use super::columns::{Row, millis};
use super::error::Explain;

#[async_trait]
impl Webhooks for SqliteStore {
    async fn add_endpoint(&self, endpoint: &Endpoint, secret: &Secret) -> Result<(), StoreError> {
        let add = endpoints::Add { endpoint: endpoint.clone(), secret: endpoints::seal(self, endpoint.id, secret) };
        self.writer.write(add).await
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        endpoints::all(&self.readers).await
    }

    async fn endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        endpoints::one(&self.readers, id).await
    }

    async fn change_endpoint(&self, id: EndpointId, change: &EndpointChange) -> Result<bool, StoreError> {
        self.writer.write(endpoints::ChangeOne { id, change: change.clone() }).await
    }

    async fn remove_endpoint(&self, id: EndpointId) -> Result<bool, StoreError> {
        self.writer.write(endpoints::Remove(id)).await
    }

    async fn rotate_endpoint_secret(
        &self,
        id: EndpointId,
        secret: &Secret,
        former_until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.writer.write(endpoints::Rotate { id, secret: endpoints::seal(self, id, secret), former_until }).await
    }

    async fn endpoint_secrets(&self, id: EndpointId, now: Timestamp) -> Result<Option<EndpointSecrets>, StoreError> {
        endpoints::secrets(self, id, now).await
    }

    async fn reseal_endpoint_secrets(&self) -> Result<u64, StoreError> {
        endpoints::reseal(self).await
    }

    async fn deliveries(
        &self,
        endpoint: EndpointId,
        filter: &DeliveryFilter,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let (endpoint, before) = (endpoint.uuid(), after.map_or(Uuid::max(), MessageId::uuid));
        let (state, kind) = (filter.state.map(DeliveryState::as_str), filter.kind.map(MessageKind::as_str));
        let rows = sqlx::query_as!(
            DeliveryRow,
            r#"SELECT endpoint_id AS "endpoint_id!: Uuid", message_id AS "message_id!: Uuid", kind AS "kind!",
                   at AS "at!: i64", state AS "state!", attempts AS "attempts!: i64", due_at AS "due_at?: i64",
                   last_at AS "last_at?: i64", last_status AS "last_status?: i64", last_message AS "last_message?",
                   last_duration_ms AS "last_duration_ms?: i64"
               FROM webhook_deliveries
               WHERE endpoint_id = ?1 AND message_id < ?2 AND (?3 IS NULL OR state = ?3) AND (?4 IS NULL OR kind = ?4)
               ORDER BY message_id DESC LIMIT ?5"#,
            endpoint,
            before,
            state,
            kind,
            limit,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        rows.into_iter().map(DeliveryRow::read).collect()
    }

    async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        outbox::message(&self.readers, id).await
    }

    async fn claim_deliveries(
        &self,
        now: Timestamp,
        ttl: Duration,
        except: &[EndpointId],
        limit: u32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        if sending::nothing_due(&self.readers, now).await? {
            return Ok(Vec::new());
        }
        self.writer.write(sending::Claim { now, ttl, except: except.to_vec(), limit }).await
    }

    async fn report_delivery(&self, report: &DeliveryReport) -> Result<Reported, StoreError> {
        self.writer.write(sending::Report(report.clone())).await
    }

    async fn replay_delivery(
        &self,
        endpoint: EndpointId,
        message: MessageId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.writer.write(sending::Replay { endpoint, message, now }).await
    }

    async fn replay_missed(&self, endpoint: EndpointId, since: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        self.writer.write(sending::ReplayMissed { endpoint, since, now }).await
    }

    async fn tell_of_expiring(
        &self,
        lifetimes: &[ConsentLifetime],
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.writer.write(outbox::TellOfExpiring { lifetimes: lifetimes.to_vec(), now, limit }).await
    }

    async fn delivery_backlog(&self) -> Result<DeliveryBacklog, StoreError> {
        let row = sqlx::query!(
            r#"SELECT count(*) AS "pending!: u64", min(at) AS "oldest_at?: i64"
               FROM webhook_deliveries WHERE state = 'pending'"#,
        )
        .fetch_one(&self.readers)
        .await
        .explain()?;
        let oldest_at = Row::of("webhook_deliveries", &"(oldest)").maybe_time("at", row.oldest_at)?;
        Ok(DeliveryBacklog { pending: row.pending, oldest_at })
    }
}

/// A delivery as its row holds it.
struct DeliveryRow {
    endpoint_id: Uuid,
    message_id: Uuid,
    kind: String,
    at: i64,
    state: String,
    attempts: i64,
    due_at: Option<i64>,
    last_at: Option<i64>,
    last_status: Option<i64>,
    last_message: Option<String>,
    last_duration_ms: Option<i64>,
}

impl DeliveryRow {
    fn read(self) -> Result<Delivery, StoreError> {
        let cell = Row::of("webhook_deliveries", &self.message_id);
        let last = match cell.maybe_time("last_at", self.last_at)? {
            None => None,
            Some(at) => Some(DeliveryAttempt {
                at,
                status: self.last_status.map(|status| cell.count("last_status", status)).transpose()?,
                message: self.last_message.unwrap_or_default(),
                duration_ms: cell.count("last_duration_ms", self.last_duration_ms.unwrap_or_default())?,
            }),
        };
        Ok(Delivery {
            message: self.message_id.into(),
            endpoint: self.endpoint_id.into(),
            kind: cell.word("kind", &self.kind)?,
            at: cell.time("at", self.at)?,
            state: cell.word("state", &self.state)?,
            attempts: cell.count("attempts", self.attempts)?,
            due_at: cell.maybe_time("due_at", self.due_at)?,
            last,
        })
    }
}

/// A message out of its columns.
fn read_message(id: Uuid, kind: &str, at: i64, payload: String) -> Result<Message, StoreError> {
    let cell = Row::of("webhook_messages", &id);
    Ok(Message { id: id.into(), kind: cell.word("kind", kind)?, at: cell.time("at", at)?, payload })
}

/// A time that may be missing.
fn maybe_millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(millis)
}
