//! What happened, minute by minute, by all processes together.

use evergrant_contract::Timestamp;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::operations::Tally;
use evergrant_contract::ports::StoreError;
use sqlx::{SqliteConnection, SqlitePool};

use super::columns::{Row, integer, millis};
use super::error::Explain;
use super::writer::Scope;

pub(super) async fn add(db: &mut SqliteConnection, tally: &Tally) -> Result<(), StoreError> {
    let (minute, series) = (millis(tally.minute), tally.series.as_str());
    let provider = tally.provider.as_ref().map_or("", ProviderName::as_str);
    let (count, is_level) = (integer(tally.count), tally.series.is_level());
    sqlx::query!(
        "INSERT INTO activity (minute, series, provider, label, count)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (minute, series, provider, label) DO UPDATE
         SET count = CASE WHEN ?6 THEN max(count, excluded.count) ELSE count + excluded.count END",
        minute,
        series,
        provider,
        tally.label,
        count,
        is_level,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}

pub(super) async fn range(readers: &SqlitePool, since: i64, until: i64) -> Result<Vec<Tally>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT minute AS "minute!: i64", series AS "series!", provider AS "provider!", label AS "label!",
               count AS "count!: i64"
           FROM activity WHERE minute >= ? AND minute < ? ORDER BY minute, series, provider, label"#,
        since,
        until,
    )
    .fetch_all(readers)
    .await
    .explain()?;
    rows.into_iter()
        .map(|row| {
            let key = format!("{} {} {} {}", row.minute, row.series, row.provider, row.label);
            let cell = Row::of("activity", &key);
            let provider = (!row.provider.is_empty()).then(|| cell.word("provider", &row.provider));
            Ok(Tally {
                minute: cell.time("minute", row.minute)?,
                series: cell.word("series", &row.series)?,
                provider: provider.transpose()?,
                count: cell.count("count", row.count)?,
                label: row.label,
            })
        })
        .collect()
}

/// Removes the minutes that began before this. How many rows.
pub(super) async fn forget_before(scope: &mut Scope<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let before = millis(before);
    let done = sqlx::query!("DELETE FROM activity WHERE minute < ?", before).execute(&mut *scope.db).await.explain()?;
    Ok(done.rows_affected())
}
