//! Deliveries: claimed, reported and replayed.

use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{EndpointId, MessageId};
use evergrant_contract::ports::StoreError;
use evergrant_contract::timing::after;
use evergrant_contract::webhook::{
    ClaimedDelivery, DeliveryOutcome, DeliveryReport, DeliveryState, DisabledReason, Reported,
};
use serde_json::Value;
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::super::columns::{Row, integer, millis};
use super::super::error::Explain;
use super::super::writer::{Scope, Write};
use super::endpoints::{disable, open};
use super::{maybe_millis, read_message};

/// Whether there is nothing to claim, so that looking every second costs no write.
pub(super) async fn nothing_due(readers: &SqlitePool, now: Timestamp) -> Result<bool, StoreError> {
    let now = millis(now);
    let due = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM webhook_deliveries WHERE state = 'pending' AND due_at <= ?) AS "due!: bool""#,
        now,
    )
    .fetch_one(readers)
    .await
    .explain()?;
    Ok(!due)
}

pub(super) struct Claim {
    pub(super) now: Timestamp,
    pub(super) ttl: Duration,
    pub(super) except: Vec<EndpointId>,
    pub(super) limit: u32,
}

#[async_trait]
impl Write for Claim {
    type Output = Vec<ClaimedDelivery>;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let except: Value = self.except.iter().map(|id| Value::String(id.uuid().simple().to_string())).collect();
        let (except, due, time) = (except.to_string(), millis(self.now), millis(scope.now));
        let rows = sqlx::query!(
            r#"SELECT d.endpoint_id AS "endpoint!: Uuid", d.message_id AS "message!: Uuid", d.attempts + 1 AS "attempt!: i64",
                   m.kind AS "kind!", m.at AS "at!: i64", m.payload AS "payload!", e.url AS "url!", e.secret AS "secret!",
                   e.former_secret AS "former_secret?", e.former_until AS "former_until?: i64"
               FROM webhook_deliveries d
               JOIN webhook_messages m ON m.id = d.message_id
               JOIN webhook_endpoints e ON e.id = d.endpoint_id
               WHERE d.state = 'pending' AND d.due_at <= ?1 AND coalesce(d.claimed_until <= ?2, TRUE)
                 AND d.endpoint_id NOT IN (SELECT unhex(value) FROM json_each(?3))
               ORDER BY d.due_at, d.message_id LIMIT ?4"#,
            due,
            time,
            except,
            self.limit,
        )
        .fetch_all(&mut *scope.db)
        .await
        .explain()?;
        let until = millis(after(scope.now, self.ttl));
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            sqlx::query!(
                "UPDATE webhook_deliveries SET claimed_until = ?, attempts = ? WHERE endpoint_id = ? AND message_id = ?",
                until,
                row.attempt,
                row.endpoint,
                row.message,
            )
            .execute(&mut *scope.db)
            .await
            .explain()?;
            let cell = Row::of("webhook_deliveries", &row.message);
            let (endpoint, former_until) = (row.endpoint.into(), cell.maybe_time("former_until", row.former_until)?);
            let former = row.former_secret.zip(former_until);
            claimed.push(ClaimedDelivery {
                message: read_message(row.message, &row.kind, row.at, row.payload)?,
                endpoint,
                url: row.url,
                secrets: open(scope.keyring, endpoint, row.secret, former, self.now),
                attempt: cell.count("attempts", row.attempt)?,
            });
        }
        Ok(claimed)
    }
}

pub(super) struct Report(pub(super) DeliveryReport);

#[async_trait]
impl Write for Report {
    type Output = Reported;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Reported, StoreError> {
        if !self.close(scope.db).await? {
            return Ok(Reported::Lost);
        }
        let id = self.0.endpoint;
        let disabled = match self.0.outcome {
            DeliveryOutcome::Delivered => {
                forgive(scope.db, id).await?;
                None
            }
            DeliveryOutcome::Gone => Some(DisabledReason::Gone),
            DeliveryOutcome::Retry(_) | DeliveryOutcome::GaveUp => {
                let since = self.blame(scope.db).await?;
                (since <= millis(self.0.hopeless_since)).then_some(DisabledReason::Failing)
            }
        };
        if let Some(reason) = disabled {
            disable(scope.db, id, reason).await?;
        }
        Ok(Reported::Written(disabled))
    }
}

impl Report {
    /// Writes what came of it. `false`: somebody else has it by now.
    async fn close(&self, db: &mut SqliteConnection) -> Result<bool, StoreError> {
        let Self(report) = self;
        let (state, due_at) = match report.outcome {
            DeliveryOutcome::Delivered => (DeliveryState::Delivered, None),
            DeliveryOutcome::Retry(at) => (DeliveryState::Pending, Some(at)),
            DeliveryOutcome::GaveUp | DeliveryOutcome::Gone => (DeliveryState::Failed, None),
        };
        let (state, due_at, last_at) = (state.as_str(), maybe_millis(due_at), millis(report.result.at));
        let (endpoint, message) = (report.endpoint.uuid(), report.message.uuid());
        let duration_ms = integer(report.result.duration_ms);
        let done = sqlx::query!(
            "UPDATE webhook_deliveries SET state = ?, due_at = ?, claimed_until = NULL, last_at = ?, last_status = ?,
                 last_message = ?, last_duration_ms = ?
             WHERE endpoint_id = ? AND message_id = ? AND attempts = ? AND state = 'pending'",
            state,
            due_at,
            last_at,
            report.result.status,
            report.result.message,
            duration_ms,
            endpoint,
            message,
            report.attempt,
        )
        .execute(db)
        .await
        .explain()?;
        Ok(done.rows_affected() == 1)
    }

    /// Since when nothing but failures came of the endpoint.
    async fn blame(&self, db: &mut SqliteConnection) -> Result<i64, StoreError> {
        let (id, at) = (self.0.endpoint.uuid(), millis(self.0.result.at));
        sqlx::query_scalar!(
            r#"UPDATE webhook_endpoints SET failing_since = coalesce(failing_since, ?) WHERE id = ?
               RETURNING failing_since AS "since!: i64""#,
            at,
            id,
        )
        .fetch_one(db)
        .await
        .explain()
    }
}

async fn forgive(db: &mut SqliteConnection, id: EndpointId) -> Result<(), StoreError> {
    let id = id.uuid();
    sqlx::query!("UPDATE webhook_endpoints SET failing_since = NULL WHERE id = ? AND failing_since IS NOT NULL", id)
        .execute(db)
        .await
        .map(drop)
        .explain()
}

pub(super) struct Replay {
    pub(super) endpoint: EndpointId,
    pub(super) message: MessageId,
    pub(super) now: Timestamp,
}

#[async_trait]
impl Write for Replay {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let (endpoint, message, now) = (self.endpoint.uuid(), self.message.uuid(), millis(self.now));
        // One that goes on is only hurried: whoever is at it stays at it.
        let done = sqlx::query!(
            "UPDATE webhook_deliveries
             SET attempts = CASE state WHEN 'pending' THEN attempts ELSE 0 END,
                 claimed_until = CASE state WHEN 'pending' THEN claimed_until END, state = 'pending', due_at = ?1
             WHERE endpoint_id = ?2 AND message_id = ?3
               AND EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.id = ?2 AND e.state = 'enabled')",
            now,
            endpoint,
            message,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(done.rows_affected() == 1)
    }
}

pub(super) struct ReplayMissed {
    pub(super) endpoint: EndpointId,
    pub(super) since: Timestamp,
    pub(super) now: Timestamp,
}

#[async_trait]
impl Write for ReplayMissed {
    type Output = u64;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<u64, StoreError> {
        let (endpoint, since, now) = (self.endpoint.uuid(), millis(self.since), millis(self.now));
        let failed = sqlx::query!(
            "UPDATE webhook_deliveries SET state = 'pending', due_at = ?1, claimed_until = NULL, attempts = 0
             WHERE endpoint_id = ?2 AND state = 'failed' AND at >= ?3
               AND EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.id = ?2 AND e.state = 'enabled')",
            now,
            endpoint,
            since,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        let missed = sqlx::query!(
            "INSERT INTO webhook_deliveries (endpoint_id, message_id, kind, at, state, due_at)
             SELECT e.id, m.id, m.kind, m.at, 'pending', ?1
             FROM webhook_endpoints e JOIN webhook_messages m ON m.at >= ?3
             WHERE e.id = ?2 AND e.state = 'enabled'
               AND (e.events = '[]' OR EXISTS (SELECT 1 FROM json_each(e.events) k WHERE k.value = m.kind))
             ON CONFLICT (endpoint_id, message_id) DO NOTHING",
            now,
            endpoint,
            since,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(failed.rows_affected() + missed.rows_affected())
    }
}
