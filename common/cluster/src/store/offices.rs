//! Who is there and who leads, in the store's time.

use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::ids::ProcessId;
use evergrant_contract::ports::{Offices, Peer, StoreError};
use evergrant_contract::timing::to_millis;

use super::PgStore;
use super::controls::drain;
use super::error::store_error;
use super::row::total;
use super::time::millis;

/// A process that has not announced itself for a day did not depart, it died.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(24);

#[async_trait]
impl Offices for PgStore {
    async fn lead(&self, office: &'static str, process: ProcessId, ttl: Duration) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "WITH t AS (SELECT coalesce($4::timestamptz, clock_timestamp()) AS now)
             INSERT INTO offices AS held (office, process_id, held_until)
             SELECT $1, $2, t.now + $3::bigint * interval '1 millisecond' FROM t
             ON CONFLICT (office) DO UPDATE SET process_id = excluded.process_id, held_until = excluded.held_until
             WHERE held.process_id = excluded.process_id OR held.held_until <= (SELECT now FROM t)",
            office,
            process.uuid(),
            millis(ttl),
            self.time.now(),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn resign(&self, office: &'static str, process: ProcessId) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM offices WHERE office = $1 AND process_id = $2", office, process.uuid())
            .execute(&self.pool)
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn announce(&self, peer: &Peer) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH t AS (SELECT coalesce($5::timestamptz, clock_timestamp()) AS now),
             forgotten AS (
                 DELETE FROM peers
                 WHERE seen_at < (SELECT now FROM t) - $6::bigint * interval '1 millisecond' AND process_id <> $1
             )
             INSERT INTO peers (process_id, role, primary_key, keys, seen_at)
             SELECT $1, $2, $3, $4, t.now FROM t
             ON CONFLICT (process_id) DO UPDATE SET
                 role = excluded.role, primary_key = excluded.primary_key, keys = excluded.keys,
                 seen_at = excluded.seen_at",
            peer.process.uuid(),
            peer.role,
            peer.primary_key,
            &peer.keys,
            self.time.now(),
            millis(FORGOTTEN_AFTER),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn depart(&self, process: ProcessId) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM peers WHERE process_id = $1", process.uuid())
            .execute(&self.pool)
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn peers(&self, within: Duration) -> Result<Vec<Peer>, StoreError> {
        let rows = sqlx::query!(
            "SELECT process_id, role, primary_key, keys, seen_at, drain_ordered_by, drain_why, drain_at, drained_at
             FROM peers
             WHERE seen_at >= coalesce($1::timestamptz, clock_timestamp()) - $2::bigint * interval '1 millisecond'
             ORDER BY process_id",
            self.time.now(),
            millis(within),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let peers = rows.into_iter().map(|row| Peer {
            process: row.process_id.into(),
            role: row.role,
            primary_key: row.primary_key,
            keys: row.keys,
            seen_at: to_millis(row.seen_at),
            drain: drain(row.drain_ordered_by, row.drain_why, row.drain_at, row.drained_at),
        });
        Ok(peers.collect())
    }

    async fn keys_in_use(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH counts AS (
                   SELECT key, count(*) AS rows FROM tokens WHERE key IS NOT NULL GROUP BY key
                   UNION ALL
                   SELECT key, count(*) FROM webhook_endpoints GROUP BY key
                   UNION ALL
                   SELECT former_key, count(*) FROM webhook_endpoints WHERE former_key IS NOT NULL GROUP BY former_key
               )
               SELECT key AS "key!", sum(rows)::bigint AS "rows!" FROM counts GROUP BY key ORDER BY key"#
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(rows.into_iter().map(|row| (row.key, total(row.rows))).collect())
    }
}
