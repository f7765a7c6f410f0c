//! Taking quarantined connections back into use once their key is back.

use evergrant_contract::Timestamp;
use evergrant_contract::ports::StoreError;
use evergrant_contract::timing::to_millis;
use evergrant_vault::Field;
use uuid::Uuid;

use super::PgStore;
use super::begin::begin;
use super::error::store_error;
use super::webhooks;

/// Rows that are read, and tried, at a time.
const PAGE: i64 = 500;

impl PgStore {
    pub(super) async fn restore_all(&self, now: Timestamp) -> Result<u64, StoreError> {
        let (mut after, mut restored) = (Uuid::nil(), 0);
        loop {
            let page = self.quarantined(after).await?;
            let Some(last) = page.last() else { return Ok(restored) };
            after = last.0;
            let openable: Vec<_> =
                page.into_iter().filter_map(|(id, version, opens)| opens.then_some((id, version))).collect();
            restored += self.restore(openable, now).await?;
        }
    }

    /// A page of quarantined rows, their versions, and whether the keyring opens their refresh tokens now.
    async fn quarantined(&self, after: Uuid) -> Result<Vec<(Uuid, i64, bool)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT s.connection_id, s.version, t.refresh_token AS "refresh_token!"
               FROM schedules s JOIN tokens t USING (connection_id)
               WHERE s.connection_id > $1 AND s.state = 'needs_reauth' AND s.reason = 'undecryptable'
                 AND t.refresh_token IS NOT NULL
               ORDER BY s.connection_id LIMIT $2"#,
            after,
            PAGE,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let opens = |id: Uuid, ciphertext| self.vault.open(id.into(), Field::RefreshToken, ciphertext).is_ok();
        Ok(rows
            .into_iter()
            .map(|row| (row.connection_id, row.version, opens(row.connection_id, row.refresh_token)))
            .collect())
    }

    async fn restore(&self, rows: Vec<(Uuid, i64)>, now: Timestamp) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let (ids, versions): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        let restored = sqlx::query_scalar!(
            r#"WITH locked AS MATERIALIZED (
                   SELECT s.connection_id
                   FROM unnest($1::uuid[], $2::bigint[]) AS r (connection_id, version)
                   JOIN schedules s USING (connection_id, version)
                   WHERE s.state = 'needs_reauth' AND s.reason = 'undecryptable'
                   ORDER BY s.connection_id
                   FOR NO KEY UPDATE OF s
               ),
               healed AS (
                   UPDATE schedules s SET
                       state = 'active', reason = NULL, refresh_at = $3, failures = 0, suspicions = 0,
                       lease_owner = NULL, lease_until = NULL, contested_at = NULL
                   FROM locked l WHERE s.connection_id = l.connection_id
               ),
               cleared AS (
                   UPDATE tokens t SET last_error = NULL FROM locked l WHERE t.connection_id = l.connection_id
               )
               SELECT connection_id FROM locked"#,
            &ids,
            &versions,
            to_millis(now),
        )
        .fetch_all(&mut *transaction)
        .await
        .map_err(store_error)?;
        let moves: Vec<_> = restored.iter().map(|id| (*id, Some(now))).collect();
        webhooks::moved(&mut transaction, &moves).await?;
        transaction.commit().await.map_err(store_error)?;
        Ok(restored.len() as u64)
    }
}
