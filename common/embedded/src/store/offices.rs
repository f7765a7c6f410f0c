//! Who is there and who leads.

use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::ids::ProcessId;
use evergrant_contract::ports::{Offices, Peer, StoreError};
use evergrant_contract::timing::{after, before};
use uuid::Uuid;

use super::SqliteStore;
use super::columns::{Row, json_text, millis};
use super::controls::drain;
use super::error::Explain;
use super::writer::{Scope, Write};

/// A process that has not announced itself for a day did not depart, it died.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(24);

#[async_trait]
impl Offices for SqliteStore {
    async fn lead(&self, office: &'static str, process: ProcessId, ttl: Duration) -> Result<bool, StoreError> {
        self.writer.write(Lead { office, process, ttl }).await
    }

    async fn resign(&self, office: &'static str, process: ProcessId) -> Result<(), StoreError> {
        self.writer.write(Resign { office, process }).await
    }

    async fn announce(&self, peer: &Peer) -> Result<(), StoreError> {
        self.writer.write(Announce(peer.clone())).await
    }

    async fn depart(&self, process: ProcessId) -> Result<(), StoreError> {
        self.writer.write(Depart(process)).await
    }

    async fn peers(&self, within: Duration) -> Result<Vec<Peer>, StoreError> {
        let since = millis(before(self.now(), within));
        let rows = sqlx::query!(
            r#"SELECT process_id AS "process_id!: Uuid", role AS "role!", primary_key AS "primary_key!", keys AS "keys!",
                   seen_at AS "seen_at!: i64", drain_ordered_by AS "drain_ordered_by?", drain_why AS "drain_why?",
                   drain_at AS "drain_at?: i64", drained_at AS "drained_at?: i64"
               FROM peers WHERE seen_at >= ? ORDER BY process_id"#,
            since,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        rows.into_iter()
            .map(|row| {
                let cell = Row::of("peers", &row.process_id);
                let process = row.process_id.into();
                Ok(Peer {
                    drain: drain(&process, row.drain_ordered_by, row.drain_why, row.drain_at, row.drained_at)?,
                    process,
                    role: row.role,
                    primary_key: row.primary_key,
                    keys: cell.json("keys", &row.keys)?,
                    seen_at: cell.time("seen_at", row.seen_at)?,
                })
            })
            .collect()
    }

    async fn keys_in_use(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT key AS "key!: String", sum(rows) AS "rows!: u64" FROM (
                   SELECT key, count(*) AS rows FROM tokens WHERE key IS NOT NULL GROUP BY key
                   UNION ALL
                   SELECT key, count(*) FROM webhook_endpoints GROUP BY key
                   UNION ALL
                   SELECT former_key, count(*) FROM webhook_endpoints WHERE former_key IS NOT NULL GROUP BY former_key
               ) GROUP BY key ORDER BY key"#,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        Ok(rows.into_iter().map(|row| (row.key, row.rows)).collect())
    }
}

struct Lead {
    office: &'static str,
    process: ProcessId,
    ttl: Duration,
}

#[async_trait]
impl Write for Lead {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let process = self.process.uuid();
        let (now, until) = (millis(scope.now), millis(after(scope.now, self.ttl)));
        let done = sqlx::query!(
            "INSERT INTO offices (office, process_id, held_until) VALUES (?1, ?2, ?3)
             ON CONFLICT (office) DO UPDATE SET process_id = excluded.process_id, held_until = excluded.held_until
             WHERE offices.process_id = excluded.process_id OR offices.held_until <= ?4",
            self.office,
            process,
            until,
            now,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(done.rows_affected() == 1)
    }
}

struct Resign {
    office: &'static str,
    process: ProcessId,
}

#[async_trait]
impl Write for Resign {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        let process = self.process.uuid();
        sqlx::query!("DELETE FROM offices WHERE office = ? AND process_id = ?", self.office, process)
            .execute(&mut *scope.db)
            .await
            .map(drop)
            .explain()
    }
}

struct Announce(Peer);

#[async_trait]
impl Write for Announce {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        let Peer { process, role, primary_key, keys, seen_at: _, drain: _ } = &self.0;
        let (process, keys, now) = (process.uuid(), json_text(keys), millis(scope.now));
        let forgotten = millis(before(scope.now, FORGOTTEN_AFTER));
        sqlx::query!("DELETE FROM peers WHERE seen_at < ?", forgotten).execute(&mut *scope.db).await.explain()?;
        sqlx::query!(
            "INSERT INTO peers (process_id, role, primary_key, keys, seen_at) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (process_id) DO UPDATE
             SET role = excluded.role, primary_key = excluded.primary_key, keys = excluded.keys,
                 seen_at = excluded.seen_at",
            process,
            role,
            primary_key,
            keys,
            now,
        )
        .execute(&mut *scope.db)
        .await
        .map(drop)
        .explain()
    }
}

struct Depart(ProcessId);

#[async_trait]
impl Write for Depart {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        let process = self.0.uuid();
        sqlx::query!("DELETE FROM peers WHERE process_id = ?", process)
            .execute(&mut *scope.db)
            .await
            .map(drop)
            .explain()
    }
}
