//! Deliveries: claimed, reported and replayed.

use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::ids::{EndpointId, MessageId};
use evergrant_contract::ports::StoreError;
use evergrant_contract::timing::to_millis;
use evergrant_contract::webhook::{
    ClaimedDelivery, DeliveryOutcome, DeliveryReport, DeliveryState, DisabledReason, Message, Reported,
};
use sqlx::PgConnection;

use super::super::PgStore;
use super::super::error::store_error;
use super::super::row::{count, counter, text, word};
use super::super::time::millis;
use super::endpoints::{disable, open};
use crate::store::begin::begin;

impl PgStore {
    pub(super) async fn claim(
        &self,
        now: Timestamp,
        ttl: Duration,
        except: &[EndpointId],
        limit: u32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let rows = sqlx::query_file!(
            "src/store/sql/claim_deliveries.sql",
            now,
            i64::from(limit),
            self.time.now(),
            millis(ttl),
            &except.iter().map(|id| id.uuid()).collect::<Vec<_>>(),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let claimed = rows.into_iter().map(|row| {
            let (id, endpoint) = (MessageId::from(row.message_id), EndpointId::from(row.endpoint_id));
            let former = row.former_secret.zip(row.former_until);
            Ok(ClaimedDelivery {
                message: Message {
                    id,
                    kind: word("webhook_messages", "kind", id, &row.kind)?,
                    at: row.at,
                    payload: row.payload,
                },
                endpoint,
                url: row.url,
                secrets: open(&self.vault, endpoint, row.secret, former, now),
                attempt: count(Some(row.attempts)),
            })
        });
        claimed.collect()
    }

    pub(super) async fn report(&self, report: &DeliveryReport) -> Result<Reported, sqlx::Error> {
        let mut transaction = begin(&self.pool).await?;
        // The endpoint before its deliveries, as whoever removes or disables it: nobody waits for each other in a circle.
        let since = judge(&mut transaction, report).await?;
        if !close(&mut transaction, report).await? {
            return Ok(Reported::Lost);
        }
        let disabled = match report.outcome {
            DeliveryOutcome::Delivered => None,
            DeliveryOutcome::Gone => Some(DisabledReason::Gone),
            DeliveryOutcome::Retry(_) | DeliveryOutcome::GaveUp => {
                since.is_some_and(|since| since <= report.hopeless_since).then_some(DisabledReason::Failing)
            }
        };
        if let Some(reason) = disabled {
            disable(&mut transaction, report.endpoint, reason).await?;
        }
        transaction.commit().await?;
        Ok(Reported::Written(disabled))
    }

    pub(super) async fn replay_one(
        &self,
        endpoint: EndpointId,
        message: MessageId,
        now: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        // One that goes on is only hurried: whoever is at it stays at it.
        let done = sqlx::query!(
            "UPDATE webhook_deliveries d SET
                 attempts = CASE d.state WHEN 'pending' THEN d.attempts ELSE 0 END,
                 claimed_until = CASE d.state WHEN 'pending' THEN d.claimed_until END, state = 'pending', due_at = $3
             FROM webhook_endpoints e
             WHERE d.endpoint_id = $1 AND d.message_id = $2 AND e.id = $1 AND e.state = 'enabled'",
            endpoint.uuid(),
            message.uuid(),
            to_millis(now),
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    pub(super) async fn replay_all_missed(
        &self,
        endpoint: EndpointId,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<u64, sqlx::Error> {
        let mut transaction = begin(&self.pool).await?;
        let failed = sqlx::query!(
            "UPDATE webhook_deliveries d SET state = 'pending', due_at = $3, claimed_until = NULL, attempts = 0
             FROM webhook_endpoints e
             WHERE d.endpoint_id = $1 AND d.state = 'failed' AND d.at >= $2 AND e.id = $1 AND e.state = 'enabled'",
            endpoint.uuid(),
            since,
            to_millis(now),
        )
        .execute(&mut *transaction)
        .await?;
        let missed = sqlx::query!(
            "INSERT INTO webhook_deliveries (endpoint_id, message_id, kind, at, state, due_at)
             SELECT e.id, m.id, m.kind, m.at, 'pending', $3
             FROM webhook_endpoints e
             JOIN webhook_messages m ON m.at >= $2 AND (e.events = '{}' OR m.kind = ANY (e.events))
             WHERE e.id = $1 AND e.state = 'enabled'
             ON CONFLICT (endpoint_id, message_id) DO NOTHING",
            endpoint.uuid(),
            since,
            to_millis(now),
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(failed.rows_affected() + missed.rows_affected())
    }
}

/// Notes success or failure at the endpoint. Since when nothing but failures came of it.
async fn judge(connection: &mut PgConnection, report: &DeliveryReport) -> Result<Option<Timestamp>, sqlx::Error> {
    let since = sqlx::query_scalar!(
        "UPDATE webhook_endpoints SET failing_since = CASE WHEN $2 THEN NULL ELSE coalesce(failing_since, $3) END
         WHERE id = $1 RETURNING failing_since",
        report.endpoint.uuid(),
        report.outcome == DeliveryOutcome::Delivered,
        to_millis(report.result.at),
    )
    .fetch_optional(connection)
    .await?;
    Ok(since.flatten())
}

/// Writes what came of it. `false`: somebody else has it by now.
async fn close(connection: &mut PgConnection, report: &DeliveryReport) -> Result<bool, sqlx::Error> {
    let (state, due_at) = match report.outcome {
        DeliveryOutcome::Delivered => (DeliveryState::Delivered, None),
        DeliveryOutcome::Retry(at) => (DeliveryState::Pending, Some(to_millis(at))),
        DeliveryOutcome::GaveUp | DeliveryOutcome::Gone => (DeliveryState::Failed, None),
    };
    let done = sqlx::query!(
        "UPDATE webhook_deliveries SET
             state = $4, due_at = $5, claimed_until = NULL, last_at = $6, last_status = $7, last_message = $8,
             last_duration_ms = $9
         WHERE endpoint_id = $1 AND message_id = $2 AND attempts = $3 AND state = 'pending'",
        report.endpoint.uuid(),
        report.message.uuid(),
        counter(report.attempt),
        state.as_str(),
        due_at,
        to_millis(report.result.at),
        report.result.status.map(i32::from),
        text(&report.result.message),
        i64::try_from(report.result.duration_ms).unwrap_or(i64::MAX),
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
