//! What operators hold back by hand. Each order is one statement, which writes its line of the audit log too.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::controls::{Drain, Order, Ordered, Pause, PauseTarget, Pauses};
use evergrant_contract::ids::{ConnectionId, ProcessId};
use evergrant_contract::operations::AuditEntry;
use evergrant_contract::ports::{Controls, StoreError};
use evergrant_contract::timing::to_millis;
use uuid::Uuid;

use super::PgStore;
use super::error::store_error;
use super::row::{corrupt, text, total};

#[async_trait]
impl Controls for PgStore {
    async fn pauses(&self) -> Result<Pauses, StoreError> {
        let rows = sqlx::query!("SELECT kind, name, ordered_by, why, at FROM pauses ORDER BY kind, name COLLATE \"C\"")
            .fetch_all(&self.pool)
            .await
            .map_err(store_error)?;
        let pauses = rows.into_iter().map(|row| {
            let target = PauseTarget::named(&row.kind, &row.name)
                .map_err(|problem| corrupt("pauses", "name", &row.name, problem))?;
            Ok(Pause { target, order: Order { by: row.ordered_by, why: row.why, at: row.at } })
        });
        pauses.collect::<Result<Vec<_>, StoreError>>().map(Pauses::from)
    }

    async fn paused_connections(&self, after: Option<ConnectionId>, limit: u32) -> Result<Vec<Pause>, StoreError> {
        let rows = sqlx::query!(
            "SELECT connection_id, ordered_by, why, at FROM connection_pauses
             WHERE connection_id > $1 ORDER BY connection_id LIMIT $2",
            after.map_or(Uuid::nil(), ConnectionId::uuid),
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let pauses = rows.into_iter().map(|row| Pause {
            target: PauseTarget::Connection(row.connection_id.into()),
            order: Order { by: row.ordered_by, why: row.why, at: row.at },
        });
        Ok(pauses.collect())
    }

    async fn count_paused_connections(&self) -> Result<u64, StoreError> {
        sqlx::query_scalar!(r#"SELECT count(*) AS "paused!" FROM connection_pauses"#)
            .fetch_one(&self.pool)
            .await
            .map(total)
            .map_err(store_error)
    }

    async fn pause(&self, pause: &Pause, audit: &AuditEntry) -> Result<Ordered<Pause>, StoreError> {
        loop {
            let written = match &pause.target {
                PauseTarget::Connection(id) => self.pause_connection(*id, &pause.order, audit).await?,
                PauseTarget::Queue(_) | PauseTarget::App(_) => self.pause_by_name(pause, audit).await?,
            };
            if written {
                return Ok(Ordered::Done);
            }
            if let Some(order) = self.standing(&pause.target).await? {
                return Ok(Ordered::Already(Pause { target: pause.target.clone(), order }));
            }
            // Unless somebody has just resumed it.
            if let PauseTarget::Connection(id) = &pause.target
                && !self.exists(*id).await?
            {
                return Ok(Ordered::NotFound);
            }
        }
    }

    async fn resume(&self, target: &PauseTarget, audit: &AuditEntry) -> Result<Option<Pause>, StoreError> {
        let ended = match target {
            PauseTarget::Connection(id) => self.resume_connection(*id, audit).await?,
            PauseTarget::Queue(_) | PauseTarget::App(_) => self.resume_by_name(target, audit).await?,
        };
        Ok(ended.map(|order| Pause { target: target.clone(), order }))
    }

    async fn drain(&self, process: ProcessId, drain: &Drain, audit: &AuditEntry) -> Result<Ordered<Drain>, StoreError> {
        loop {
            if self.begin_drain(process, &drain.order, audit).await? {
                return Ok(Ordered::Done);
            }
            match self.peer(process).await? {
                None => return Ok(Ordered::NotFound),
                Some(Some(drain)) => return Ok(Ordered::Already(drain)),
                // Somebody has just resumed it.
                Some(None) => {}
            }
        }
    }

    async fn undrain(&self, process: ProcessId, audit: &AuditEntry) -> Result<Option<Drain>, StoreError> {
        let ended = sqlx::query_file!(
            "src/store/sql/undrain.sql",
            process.uuid(),
            audit.id.uuid(),
            to_millis(audit.at),
            text(&audit.actor),
            audit.action.as_str(),
            text(&audit.subject),
            text(&audit.reason),
            text(&audit.outcome),
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(ended.and_then(|row| drain(row.drain_ordered_by, row.drain_why, row.drain_at, row.drained_at)))
    }

    async fn drain_of(&self, process: ProcessId) -> Result<Option<Drain>, StoreError> {
        Ok(self.peer(process).await?.flatten())
    }

    async fn drained(&self, process: ProcessId, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE peers SET drained_at = coalesce(drained_at, $2) WHERE process_id = $1 AND drain_at IS NOT NULL",
            process.uuid(),
            to_millis(at),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }
}

impl PgStore {
    async fn pause_connection(&self, id: ConnectionId, order: &Order, audit: &AuditEntry) -> Result<bool, StoreError> {
        let done = sqlx::query_file!(
            "src/store/sql/pause_connection.sql",
            id.uuid(),
            text(&order.by),
            text(&order.why),
            to_millis(order.at),
            audit.id.uuid(),
            to_millis(audit.at),
            text(&audit.actor),
            audit.action.as_str(),
            text(&audit.subject),
            text(&audit.reason),
            text(&audit.outcome),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn pause_by_name(&self, pause: &Pause, audit: &AuditEntry) -> Result<bool, StoreError> {
        let done = sqlx::query_file!(
            "src/store/sql/pause.sql",
            pause.target.kind(),
            pause.target.name(),
            text(&pause.order.by),
            text(&pause.order.why),
            to_millis(pause.order.at),
            audit.id.uuid(),
            to_millis(audit.at),
            text(&audit.actor),
            audit.action.as_str(),
            text(&audit.subject),
            text(&audit.reason),
            text(&audit.outcome),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn resume_connection(&self, id: ConnectionId, audit: &AuditEntry) -> Result<Option<Order>, StoreError> {
        let ended = sqlx::query_file!(
            "src/store/sql/resume_connection.sql",
            id.uuid(),
            audit.id.uuid(),
            to_millis(audit.at),
            text(&audit.actor),
            audit.action.as_str(),
            text(&audit.subject),
            text(&audit.reason),
            text(&audit.outcome),
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(ended.map(|row| Order { by: row.ordered_by, why: row.why, at: row.at }))
    }

    async fn resume_by_name(&self, target: &PauseTarget, audit: &AuditEntry) -> Result<Option<Order>, StoreError> {
        let ended = sqlx::query_file!(
            "src/store/sql/resume.sql",
            target.kind(),
            target.name(),
            audit.id.uuid(),
            to_millis(audit.at),
            text(&audit.actor),
            audit.action.as_str(),
            text(&audit.subject),
            text(&audit.reason),
            text(&audit.outcome),
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(ended.map(|row| Order { by: row.ordered_by, why: row.why, at: row.at }))
    }

    async fn begin_drain(&self, process: ProcessId, order: &Order, audit: &AuditEntry) -> Result<bool, StoreError> {
        let done = sqlx::query_file!(
            "src/store/sql/drain.sql",
            process.uuid(),
            text(&order.by),
            text(&order.why),
            to_millis(order.at),
            audit.id.uuid(),
            to_millis(audit.at),
            text(&audit.actor),
            audit.action.as_str(),
            text(&audit.subject),
            text(&audit.reason),
            text(&audit.outcome),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    /// The order that pauses this, if one stands.
    async fn standing(&self, target: &PauseTarget) -> Result<Option<Order>, StoreError> {
        if let PauseTarget::Connection(id) = target {
            let row =
                sqlx::query!("SELECT ordered_by, why, at FROM connection_pauses WHERE connection_id = $1", id.uuid())
                    .fetch_optional(&self.pool)
                    .await
                    .map_err(store_error)?;
            return Ok(row.map(|row| Order { by: row.ordered_by, why: row.why, at: row.at }));
        }
        let row = sqlx::query!(
            "SELECT ordered_by, why, at FROM pauses WHERE kind = $1 AND name = $2",
            target.kind(),
            target.name(),
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(row.map(|row| Order { by: row.ordered_by, why: row.why, at: row.at }))
    }

    async fn exists(&self, id: ConnectionId) -> Result<bool, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM schedules WHERE connection_id = $1) AS "exists!""#,
            id.uuid()
        )
        .fetch_one(&self.pool)
        .await
        .map_err(store_error)
    }

    /// A process and the order to drain it, if there is such a process and such an order.
    async fn peer(&self, process: ProcessId) -> Result<Option<Option<Drain>>, StoreError> {
        let row = sqlx::query!(
            "SELECT drain_ordered_by, drain_why, drain_at, drained_at FROM peers WHERE process_id = $1",
            process.uuid(),
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(row.map(|row| drain(row.drain_ordered_by, row.drain_why, row.drain_at, row.drained_at)))
    }
}

/// The order that stands in the columns of a process, if one does.
pub(super) fn drain(
    by: Option<String>,
    why: Option<String>,
    at: Option<Timestamp>,
    done_at: Option<Timestamp>,
) -> Option<Drain> {
    Some(Drain { order: Order { by: by?, why: why?, at: at? }, done_at })
}
