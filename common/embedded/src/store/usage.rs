//! What is done for whom, day by day, and when connections were used.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, UserId};
use evergrant_contract::ports::{StoreError, Usage};
use evergrant_contract::usage::{Counts, Day, DayTotal, DayUse, Left, Rank, UserTotal};
use uuid::Uuid;

use super::SqliteStore;
use super::columns::{Row, integer, millis};
use super::error::Explain;
use super::writer::{Scope, Write};

#[async_trait]
impl Usage for SqliteStore {
    async fn add_usage(&self, uses: &[DayUse]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        self.writer.write(Add(uses.to_vec())).await
    }

    async fn usage_by_day(&self, since: Day, until: Day, user: Option<&UserId>) -> Result<Vec<DayTotal>, StoreError> {
        let user = user.map(UserId::as_str);
        let rows = sqlx::query!(
            r#"SELECT day AS "day!: Day", provider AS "provider!", count(*) AS "users!: i64",
                   sum(refreshes) AS "refreshes!: i64", sum(failures) AS "failures!: i64",
                   sum(forced) AS "forced!: i64", sum(calls) AS "calls!: i64",
                   sum(left_count) AS "left_count!: i64", sum(left_ended) AS "left_ended!: i64",
                   sum(left_sum) AS "left_sum!: i64",
                   coalesce(min(left_least) FILTER (WHERE left_count > 0), 0) AS "left_least!: i64"
               FROM usage_days
               WHERE day BETWEEN ?1 AND ?2 AND (?3 IS NULL OR user_id = ?3)
               GROUP BY day, provider
               ORDER BY day, provider"#,
            since,
            until,
            user,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        rows.into_iter()
            .map(|row| {
                let cell = Row::of("usage_days", &row.day);
                let left = [row.left_count, row.left_ended, row.left_sum, row.left_least];
                Ok(DayTotal {
                    day: row.day,
                    provider: cell.word("provider", &row.provider)?,
                    users: cell.count("users", row.users)?,
                    counts: counts(cell, [row.refreshes, row.failures, row.forced, row.calls], left)?,
                })
            })
            .collect()
    }

    async fn usage_by_user(&self, since: Day, until: Day, by: Rank, limit: u32) -> Result<Vec<UserTotal>, StoreError> {
        let by = by.as_str();
        let rows = sqlx::query!(
            r#"SELECT user_id AS "user_id!", provider AS "provider!",
                   sum(refreshes) AS "refreshes!: i64", sum(failures) AS "failures!: i64",
                   sum(forced) AS "forced!: i64", sum(calls) AS "calls!: i64",
                   sum(left_count) AS "left_count!: i64", sum(left_ended) AS "left_ended!: i64",
                   sum(left_sum) AS "left_sum!: i64",
                   coalesce(min(left_least) FILTER (WHERE left_count > 0), 0) AS "left_least!: i64",
                   sum(CASE ?3 WHEN 'calls' THEN calls WHEN 'refreshes' THEN refreshes
                               WHEN 'failures' THEN failures ELSE forced END) AS "rank!: i64"
               FROM usage_days
               WHERE day BETWEEN ?1 AND ?2
               GROUP BY user_id, provider
               HAVING "rank!: i64" > 0
               ORDER BY "rank!: i64" DESC, user_id, provider
               LIMIT ?4"#,
            since,
            until,
            by,
            limit,
        )
        .fetch_all(&self.readers)
        .await
        .explain()?;
        rows.into_iter()
            .map(|row| {
                let cell = Row::of("usage_days", &row.user_id);
                let left = [row.left_count, row.left_ended, row.left_sum, row.left_least];
                Ok(UserTotal {
                    user: cell.word("user_id", &row.user_id)?,
                    provider: cell.word("provider", &row.provider)?,
                    counts: counts(cell, [row.refreshes, row.failures, row.forced, row.calls], left)?,
                })
            })
            .collect()
    }

    async fn forget_usage_before(&self, before: Day) -> Result<u64, StoreError> {
        self.writer.write(Forget(before)).await
    }

    async fn note_used(&self, uses: &[(ConnectionId, Timestamp)]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        self.writer.write(Note(uses.to_vec())).await
    }

    async fn last_used(&self, id: ConnectionId) -> Result<Option<Timestamp>, StoreError> {
        let (uuid, never) = (id.uuid(), i64::MIN);
        let used = sqlx::query_scalar!(
            r#"SELECT max(coalesce(u.used_at, ?1), coalesce(c.consent_at, ?1), c.created_at) AS "used!: i64"
               FROM connections c LEFT JOIN connection_uses u ON u.connection_id = c.id
               WHERE c.id = ?2"#,
            never,
            uuid,
        )
        .fetch_optional(&self.readers)
        .await
        .explain()?;
        used.map(|used| Row::of("connection_uses", &id).time("used_at", used)).transpose()
    }

    async fn unused_since(&self, since: Timestamp) -> Result<(u64, u64), StoreError> {
        let (since, never) = (millis(since), i64::MIN);
        let row = sqlx::query!(
            r#"SELECT count(*) AS "all!: i64",
                   count(*) FILTER (
                       WHERE max(coalesce(u.used_at, ?1), coalesce(c.consent_at, ?1), c.created_at) < ?2
                   ) AS "unused!: i64"
               FROM schedules s
               JOIN connections c ON c.id = s.connection_id
               LEFT JOIN connection_uses u ON u.connection_id = c.id
               WHERE s.refresh_at IS NOT NULL"#,
            never,
            since,
        )
        .fetch_one(&self.readers)
        .await
        .explain()?;
        let cell = Row::of("schedules", &"all");
        Ok((cell.count("unused", row.unused)?, cell.count("all", row.all)?))
    }
}

fn counts(
    cell: Row<'_>,
    [refreshes, failures, forced, calls]: [i64; 4],
    [count, ended, sum, least]: [i64; 4],
) -> Result<Counts, StoreError> {
    Ok(Counts {
        refreshes: cell.count("refreshes", refreshes)?,
        failures: cell.count("failures", failures)?,
        forced: cell.count("forced", forced)?,
        calls: cell.count("calls", calls)?,
        left: Left { count: cell.count("left_count", count)?, ended: cell.count("left_ended", ended)?, sum, least },
    })
}

struct Add(Vec<DayUse>);

#[async_trait]
impl Write for Add {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        for DayUse { day, provider, user, counts } in &self.0 {
            let (provider, user) = (provider.as_str(), user.as_str());
            let (refreshes, failures) = (integer(counts.refreshes), integer(counts.failures));
            let (forced, calls) = (integer(counts.forced), integer(counts.calls));
            let Left { count, ended, sum, least } = counts.left;
            let (count, ended) = (integer(count), integer(ended));
            sqlx::query!(
                "INSERT INTO usage_days (day, provider, user_id, refreshes, failures, forced, calls,
                                         left_count, left_ended, left_sum, left_least)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (day, provider, user_id) DO UPDATE SET
                     refreshes  = refreshes + excluded.refreshes,
                     failures   = failures + excluded.failures,
                     forced     = forced + excluded.forced,
                     calls      = calls + excluded.calls,
                     left_count = left_count + excluded.left_count,
                     left_ended = left_ended + excluded.left_ended,
                     left_sum   = left_sum + excluded.left_sum,
                     left_least = CASE
                         WHEN left_count = 0 THEN excluded.left_least
                         WHEN excluded.left_count = 0 THEN left_least
                         ELSE min(left_least, excluded.left_least)
                     END",
                day,
                provider,
                user,
                refreshes,
                failures,
                forced,
                calls,
                count,
                ended,
                sum,
                least,
            )
            .execute(&mut *scope.db)
            .await
            .explain()?;
        }
        Ok(())
    }
}

struct Forget(Day);

#[async_trait]
impl Write for Forget {
    type Output = u64;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<u64, StoreError> {
        let done = sqlx::query!("DELETE FROM usage_days WHERE day < ?", self.0).execute(&mut *scope.db).await;
        done.map(|done| done.rows_affected()).explain()
    }
}

struct Note(Vec<(ConnectionId, Timestamp)>);

#[async_trait]
impl Write for Note {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        for (id, at) in &self.0 {
            let (id, at): (Uuid, i64) = (id.uuid(), millis(*at));
            sqlx::query!(
                "INSERT INTO connection_uses (connection_id, used_at)
                 SELECT id, ? FROM connections WHERE id = ?
                 ON CONFLICT (connection_id) DO UPDATE SET used_at = max(used_at, excluded.used_at)",
                at,
                id,
            )
            .execute(&mut *scope.db)
            .await
            .explain()?;
        }
        Ok(())
    }
}
