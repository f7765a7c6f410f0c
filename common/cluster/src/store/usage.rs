//! What is done for whom, day by day, and when connections were used.

use std::collections::BTreeMap;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, UserId};
use evergrant_contract::ports::{StoreError, Usage};
use evergrant_contract::timing::to_millis;
use evergrant_contract::usage::{Counts, Day, DayTotal, DayUse, Left, Rank, UserTotal};

use super::PgStore;
use super::begin::begin;
use super::error::store_error;
use super::row::{total, word};

/// Rows in one statement at most.
const CHUNK: usize = 1_000;

#[async_trait]
impl Usage for PgStore {
    async fn add_usage(&self, uses: &[DayUse]) -> Result<(), StoreError> {
        // One statement cannot add to a row twice.
        let mut sums = BTreeMap::<_, Counts>::new();
        for day in uses {
            let sum = sums.entry((day.day, day.provider.as_str(), day.user.as_str())).or_default();
            *sum = sum.plus(day.counts);
        }
        let sums: Vec<_> = sums.into_iter().collect();
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        for chunk in sums.chunks(CHUNK) {
            let column = |of: fn(&Counts) -> i64| chunk.iter().map(|(_, counts)| of(counts)).collect::<Vec<_>>();
            sqlx::query_file!(
                "src/store/sql/add_usage.sql",
                &chunk.iter().map(|((day, ..), _)| *day).collect::<Vec<_>>(),
                &chunk.iter().map(|((_, provider, _), _)| *provider).collect::<Vec<_>>() as &[&str],
                &chunk.iter().map(|((.., user), _)| *user).collect::<Vec<_>>() as &[&str],
                &column(|counts| bigint(counts.refreshes)),
                &column(|counts| bigint(counts.failures)),
                &column(|counts| bigint(counts.forced)),
                &column(|counts| bigint(counts.calls)),
                &column(|counts| bigint(counts.left.count)),
                &column(|counts| bigint(counts.left.ended)),
                &column(|counts| counts.left.sum),
                &column(|counts| counts.left.least),
            )
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        }
        transaction.commit().await.map_err(store_error)
    }

    async fn usage_by_day(&self, since: Day, until: Day, user: Option<&UserId>) -> Result<Vec<DayTotal>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT day, provider, count(*) AS "users!",
                   sum(refreshes)::bigint AS "refreshes!", sum(failures)::bigint AS "failures!",
                   sum(forced)::bigint AS "forced!", sum(calls)::bigint AS "calls!",
                   sum(left_count)::bigint AS "left_count!", sum(left_ended)::bigint AS "left_ended!",
                   sum(left_sum)::bigint AS "left_sum!",
                   coalesce(min(left_least) FILTER (WHERE left_count > 0), 0) AS "left_least!"
               FROM usage_days
               WHERE day BETWEEN $1 AND $2 AND ($3::text IS NULL OR user_id = $3)
               GROUP BY day, provider
               ORDER BY day, provider COLLATE "C""#,
            since,
            until,
            user.map(UserId::as_str),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter()
            .map(|row| {
                let left = left(row.left_count, row.left_ended, row.left_sum, row.left_least);
                Ok(DayTotal {
                    day: row.day,
                    provider: word("usage_days", "provider", row.day, &row.provider)?,
                    users: total(row.users),
                    counts: counts([row.refreshes, row.failures, row.forced, row.calls], left),
                })
            })
            .collect()
    }

    async fn usage_by_user(&self, since: Day, until: Day, by: Rank, limit: u32) -> Result<Vec<UserTotal>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT * FROM (
                   SELECT user_id, provider,
                       sum(refreshes)::bigint AS "refreshes!", sum(failures)::bigint AS "failures!",
                       sum(forced)::bigint AS "forced!", sum(calls)::bigint AS "calls!",
                       sum(left_count)::bigint AS "left_count!", sum(left_ended)::bigint AS "left_ended!",
                       sum(left_sum)::bigint AS "left_sum!",
                       coalesce(min(left_least) FILTER (WHERE left_count > 0), 0) AS "left_least!",
                       sum(CASE $3 WHEN 'calls' THEN calls WHEN 'refreshes' THEN refreshes
                                   WHEN 'failures' THEN failures ELSE forced END)::bigint AS "rank!"
                   FROM usage_days
                   WHERE day BETWEEN $1 AND $2
                   GROUP BY user_id, provider
               ) AS users
               WHERE "rank!" > 0
               ORDER BY "rank!" DESC, user_id COLLATE "C", provider COLLATE "C"
               LIMIT $4"#,
            since,
            until,
            by.as_str(),
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter()
            .map(|row| {
                let left = left(row.left_count, row.left_ended, row.left_sum, row.left_least);
                Ok(UserTotal {
                    user: word("usage_days", "user_id", since, &row.user_id)?,
                    provider: word("usage_days", "provider", since, &row.provider)?,
                    counts: counts([row.refreshes, row.failures, row.forced, row.calls], left),
                })
            })
            .collect()
    }

    async fn forget_usage_before(&self, before: Day) -> Result<u64, StoreError> {
        let done = sqlx::query!("DELETE FROM usage_days WHERE day < $1", before).execute(&self.pool).await;
        done.map(|done| done.rows_affected()).map_err(store_error)
    }

    async fn note_used(&self, uses: &[(ConnectionId, Timestamp)]) -> Result<(), StoreError> {
        let mut last = BTreeMap::new();
        for (id, at) in uses {
            let noted = last.entry(id.uuid()).or_insert(*at);
            *noted = (*at).max(*noted);
        }
        let last: Vec<_> = last.into_iter().collect();
        for chunk in last.chunks(CHUNK) {
            let (ids, times): (Vec<_>, Vec<_>) = chunk.iter().copied().unzip();
            sqlx::query!(
                "INSERT INTO connection_uses AS kept (connection_id, used_at)
                 SELECT c.id, u.used_at
                 FROM unnest($1::uuid[], $2::timestamptz[]) AS u (id, used_at) JOIN connections c USING (id)
                 ORDER BY c.id
                 ON CONFLICT (connection_id) DO UPDATE SET used_at = excluded.used_at
                 WHERE kept.used_at < excluded.used_at",
                &ids,
                &times,
            )
            .execute(&self.pool)
            .await
            .map_err(store_error)?;
        }
        Ok(())
    }

    async fn last_used(&self, id: ConnectionId) -> Result<Option<Timestamp>, StoreError> {
        let used = sqlx::query_scalar!(
            r#"SELECT greatest(u.used_at, c.consent_at, c.created_at) AS "used!"
               FROM connections c LEFT JOIN connection_uses u ON u.connection_id = c.id
               WHERE c.id = $1"#,
            id.uuid(),
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(used.map(to_millis))
    }

    async fn unused_since(&self, since: Timestamp) -> Result<(u64, u64), StoreError> {
        let row = sqlx::query!(
            r#"SELECT count(*) AS "all!",
                   count(*) FILTER (WHERE greatest(u.used_at, c.consent_at, c.created_at) < $1) AS "unused!"
               FROM schedules s
               JOIN connections c ON c.id = s.connection_id
               LEFT JOIN connection_uses u ON u.connection_id = c.id
               WHERE s.refresh_at IS NOT NULL"#,
            since,
        )
        .fetch_one(&self.pool)
        .await
        .map_err(store_error)?;
        Ok((total(row.unused), total(row.all)))
    }
}

fn bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn counts([refreshes, failures, forced, calls]: [i64; 4], left: Left) -> Counts {
    let (refreshes, failures, forced, calls) = (total(refreshes), total(failures), total(forced), total(calls));
    Counts { refreshes, failures, forced, calls, left }
}

fn left(count: i64, ended: i64, sum: i64, least: i64) -> Left {
    Left { count: total(count), ended: total(ended), sum, least }
}
