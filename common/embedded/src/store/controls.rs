//! What operators hold back by hand. Each order is written together with its line of the audit log.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::controls::{Drain, Order, Ordered, Pause, PauseTarget, Pauses};
use evergrant_contract::ids::{ConnectionId, ProcessId};
use evergrant_contract::operations::AuditEntry;
use evergrant_contract::ports::{Controls, StoreError};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::columns::{Row, millis};
use super::error::Explain;
use super::writer::{Scope, Write};
use super::{SqliteStore, audit};

#[async_trait]
impl Controls for SqliteStore {
    async fn pauses(&self) -> Result<Pauses, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT kind AS "kind!", name AS "name!", ordered_by AS "ordered_by!", why AS "why!", at AS "at!: i64"
               FROM pauses ORDER BY kind, name"#,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        let pauses = rows.into_iter().map(|row| {
            let cell = Row::of("pauses", &row.name);
            let target =
                PauseTarget::named(&row.kind, &row.name).map_err(|why| cell.corrupt("name", why.to_string()))?;
            Ok(Pause { target, order: Order { by: row.ordered_by, why: row.why, at: cell.time("at", row.at)? } })
        });
        pauses.collect::<Result<Vec<_>, StoreError>>().map(Pauses::from)
    }

    async fn paused_connections(&self, after: Option<ConnectionId>, limit: u32) -> Result<Vec<Pause>, StoreError> {
        let after = after.map_or(Uuid::nil(), ConnectionId::uuid);
        let rows = sqlx::query!(
            r#"SELECT connection_id AS "id!: Uuid", ordered_by AS "ordered_by!", why AS "why!", at AS "at!: i64"
               FROM connection_pauses WHERE connection_id > ? ORDER BY connection_id LIMIT ?"#,
            after,
            limit,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        let pauses = rows.into_iter().map(|row| {
            let at = Row::of("connection_pauses", &row.id).time("at", row.at)?;
            let target = PauseTarget::Connection(row.id.into());
            Ok(Pause { target, order: Order { by: row.ordered_by, why: row.why, at } })
        });
        pauses.collect()
    }

    async fn count_paused_connections(&self) -> Result<u64, StoreError> {
        sqlx::query_scalar!(r#"SELECT count(*) AS "n!: u64" FROM connection_pauses"#)
            .fetch_one(&self.readers)
            .await
            .explain()
    }

    async fn pause(&self, pause: &Pause, audit: &AuditEntry) -> Result<Ordered<Pause>, StoreError> {
        self.writer.write(Begin { pause: pause.clone(), audit: audit.clone() }).await
    }

    async fn resume(&self, target: &PauseTarget, audit: &AuditEntry) -> Result<Option<Pause>, StoreError> {
        self.writer.write(End { target: target.clone(), audit: audit.clone() }).await
    }

    async fn drain(&self, process: ProcessId, drain: &Drain, audit: &AuditEntry) -> Result<Ordered<Drain>, StoreError> {
        self.writer.write(BeginDrain { process, order: drain.order.clone(), audit: audit.clone() }).await
    }

    async fn undrain(&self, process: ProcessId, audit: &AuditEntry) -> Result<Option<Drain>, StoreError> {
        self.writer.write(EndDrain { process, audit: audit.clone() }).await
    }

    async fn drain_of(&self, process: ProcessId) -> Result<Option<Drain>, StoreError> {
        let mut reader = self.readers.acquire().await.explain()?;
        Ok(peer(&mut reader, process).await?.flatten())
    }

    async fn drained(&self, process: ProcessId, at: Timestamp) -> Result<(), StoreError> {
        self.writer.write(Drained { process, at }).await
    }
}

struct Begin {
    pause: Pause,
    audit: AuditEntry,
}

#[async_trait]
impl Write for Begin {
    type Output = Ordered<Pause>;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Ordered<Pause>, StoreError> {
        let Pause { target, order } = &self.pause;
        if let Some(order) = standing(scope.db, target).await? {
            return Ok(Ordered::Already(Pause { target: target.clone(), order }));
        }
        let written = match target {
            PauseTarget::Connection(id) => pause_connection(scope.db, *id, order).await?,
            PauseTarget::Queue(_) | PauseTarget::App(_) => pause_by_name(scope.db, target, order).await?,
        };
        if !written {
            return Ok(Ordered::NotFound);
        }
        audit::insert(scope.db, &self.audit).await?;
        Ok(Ordered::Done)
    }
}

struct End {
    target: PauseTarget,
    audit: AuditEntry,
}

#[async_trait]
impl Write for End {
    type Output = Option<Pause>;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Option<Pause>, StoreError> {
        let Some(order) = standing(scope.db, &self.target).await? else { return Ok(None) };
        match &self.target {
            PauseTarget::Connection(id) => resume_connection(scope.db, *id).await?,
            PauseTarget::Queue(_) | PauseTarget::App(_) => resume_by_name(scope.db, &self.target).await?,
        }
        audit::insert(scope.db, &self.audit).await?;
        Ok(Some(Pause { target: self.target.clone(), order }))
    }
}

/// The order that pauses this, if one stands.
async fn standing(db: &mut SqliteConnection, target: &PauseTarget) -> Result<Option<Order>, StoreError> {
    if let PauseTarget::Connection(id) = target {
        let key = id.uuid();
        let row = sqlx::query!(
            r#"SELECT ordered_by AS "ordered_by!", why AS "why!", at AS "at!: i64"
               FROM connection_pauses WHERE connection_id = ?"#,
            key,
        )
        .fetch_optional(db)
        .await
        .explain()?;
        let order = row.map(|row| {
            let at = Row::of("connection_pauses", id).time("at", row.at)?;
            Ok(Order { by: row.ordered_by, why: row.why, at })
        });
        return order.transpose();
    }
    let (kind, name) = (target.kind(), target.name());
    let row = sqlx::query!(
        r#"SELECT ordered_by AS "ordered_by!", why AS "why!", at AS "at!: i64" FROM pauses WHERE kind = ? AND name = ?"#,
        kind,
        name,
    )
    .fetch_optional(db)
    .await
    .explain()?;
    let order = row.map(|row| {
        let at = Row::of("pauses", &name).time("at", row.at)?;
        Ok(Order { by: row.ordered_by, why: row.why, at })
    });
    order.transpose()
}

/// `false`: there is no such connection.
async fn pause_connection(db: &mut SqliteConnection, id: ConnectionId, order: &Order) -> Result<bool, StoreError> {
    let (id, at) = (id.uuid(), millis(order.at));
    let paused = sqlx::query!("UPDATE schedules SET paused_at = ? WHERE connection_id = ?", at, id)
        .execute(&mut *db)
        .await
        .explain()?;
    if paused.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "INSERT INTO connection_pauses (connection_id, ordered_by, why, at) VALUES (?, ?, ?, ?)",
        id,
        order.by,
        order.why,
        at,
    )
    .execute(db)
    .await
    .explain()?;
    Ok(true)
}

async fn pause_by_name(db: &mut SqliteConnection, target: &PauseTarget, order: &Order) -> Result<bool, StoreError> {
    let (kind, name, at) = (target.kind(), target.name(), millis(order.at));
    let done = sqlx::query!(
        "INSERT INTO pauses (kind, name, ordered_by, why, at) VALUES (?, ?, ?, ?, ?)",
        kind,
        name,
        order.by,
        order.why,
        at,
    )
    .execute(db)
    .await
    .explain()?;
    Ok(done.rows_affected() == 1)
}

async fn resume_connection(db: &mut SqliteConnection, id: ConnectionId) -> Result<(), StoreError> {
    let id = id.uuid();
    sqlx::query!("UPDATE schedules SET paused_at = NULL WHERE connection_id = ?", id)
        .execute(&mut *db)
        .await
        .explain()?;
    sqlx::query!("DELETE FROM connection_pauses WHERE connection_id = ?", id).execute(db).await.map(drop).explain()
}

async fn resume_by_name(db: &mut SqliteConnection, target: &PauseTarget) -> Result<(), StoreError> {
    let (kind, name) = (target.kind(), target.name());
    sqlx::query!("DELETE FROM pauses WHERE kind = ? AND name = ?", kind, name).execute(db).await.map(drop).explain()
}

struct BeginDrain {
    process: ProcessId,
    order: Order,
    audit: AuditEntry,
}

#[async_trait]
impl Write for BeginDrain {
    type Output = Ordered<Drain>;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Ordered<Drain>, StoreError> {
        match peer(scope.db, self.process).await? {
            None => return Ok(Ordered::NotFound),
            Some(Some(drain)) => return Ok(Ordered::Already(drain)),
            Some(None) => {}
        }
        let (process, at) = (self.process.uuid(), millis(self.order.at));
        sqlx::query!(
            "UPDATE peers SET drain_ordered_by = ?, drain_why = ?, drain_at = ?, drained_at = NULL WHERE process_id = ?",
            self.order.by,
            self.order.why,
            at,
            process,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        audit::insert(scope.db, &self.audit).await?;
        Ok(Ordered::Done)
    }
}

struct EndDrain {
    process: ProcessId,
    audit: AuditEntry,
}

#[async_trait]
impl Write for EndDrain {
    type Output = Option<Drain>;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Option<Drain>, StoreError> {
        let Some(drain) = peer(scope.db, self.process).await?.flatten() else { return Ok(None) };
        let process = self.process.uuid();
        sqlx::query!(
            "UPDATE peers SET drain_ordered_by = NULL, drain_why = NULL, drain_at = NULL, drained_at = NULL
             WHERE process_id = ?",
            process,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        audit::insert(scope.db, &self.audit).await?;
        Ok(Some(drain))
    }
}

struct Drained {
    process: ProcessId,
    at: Timestamp,
}

#[async_trait]
impl Write for Drained {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        let (process, at) = (self.process.uuid(), millis(self.at));
        sqlx::query!(
            "UPDATE peers SET drained_at = coalesce(drained_at, ?) WHERE process_id = ? AND drain_at IS NOT NULL",
            at,
            process,
        )
        .execute(&mut *scope.db)
        .await
        .map(drop)
        .explain()
    }
}

/// A process and the order to drain it, if there is such a process and such an order.
async fn peer(db: &mut SqliteConnection, process: ProcessId) -> Result<Option<Option<Drain>>, StoreError> {
    let id = process.uuid();
    let row = sqlx::query!(
        r#"SELECT drain_ordered_by AS "drain_ordered_by?", drain_why AS "drain_why?", drain_at AS "drain_at?: i64",
               drained_at AS "drained_at?: i64"
           FROM peers WHERE process_id = ?"#,
        id,
    )
    .fetch_optional(db)
    .await
    .explain()?;
    row.map(|row| drain(&process, row.drain_ordered_by, row.drain_why, row.drain_at, row.drained_at)).transpose()
}

/// The order that stands in the columns of a process, if one does.
pub(super) fn drain(
    process: &ProcessId,
    by: Option<String>,
    why: Option<String>,
    at: Option<i64>,
    done_at: Option<i64>,
) -> Result<Option<Drain>, StoreError> {
    let cell = Row::of("peers", process);
    let (Some(by), Some(why), Some(at)) = (by, why, cell.maybe_time("drain_at", at)?) else { return Ok(None) };
    let done_at = cell.maybe_time("drained_at", done_at)?;
    Ok(Some(Drain { order: Order { by, why, at }, done_at }))
}
