//! *Floor* on SQLite: the same bare loop, with one connection that writes.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{TryStreamExt, stream};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{IN_FLIGHT, Kit, Place, Refreshed};
use crate::rows::PROVIDER;

/// Rows read at once.
const PAGE: i64 = 500;
/// Rows in one commit, at most: as many as are there.
const BATCH: usize = 200;

const DUE: &str = "SELECT s.connection_id, s.refresh_at, t.refresh_token FROM schedules s JOIN tokens t USING (connection_id) \
    WHERE s.provider = ?1 AND s.refresh_at <= ?2 AND s.paused_at IS NULL AND (s.refresh_at, s.connection_id) > (?3, ?4) \
    ORDER BY s.refresh_at, s.connection_id LIMIT ?5";

/// Refreshes all that is due, and ends.
pub async fn run(place: &Place) -> Result<()> {
    // Every commit is on the disk before it counts, as the product has it.
    let options = SqliteConnectOptions::from_str(&place.database)?
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .disable_statement_logging();
    let writer = options.connect().await?;
    let (found, rows) = mpsc::channel(2 * IN_FLIGHT);
    let reader = tokio::spawn(read(options.connect().await?, found));
    let (done, results) = mpsc::channel(2 * BATCH);
    let writing = tokio::spawn(write_all(writer, results));
    let kit = Arc::new(Kit::new(place)?);
    let rows = stream::unfold(rows, |mut rows| async move { rows.recv().await.map(|row| (Ok(row), rows)) });
    let refreshed = rows.map_ok(|(id, refresh_token)| {
        let (kit, done) = (Arc::clone(&kit), done.clone());
        async move {
            let refresh =
                async move { done.send(kit.refresh(id, refresh_token).await?).await.context("nobody writes") };
            tokio::spawn(refresh).await?
        }
    });
    refreshed.try_buffer_unordered(IN_FLIGHT).try_collect::<()>().await?;
    drop(done);
    reader.await??;
    writing.await?
}

async fn read(mut db: SqliteConnection, found: mpsc::Sender<(Uuid, String)>) -> Result<()> {
    let mut behind = (i64::MIN, Uuid::nil());
    #[expect(clippy::disallowed_methods, reason = "a baseline works in real time")]
    let now = chrono::Utc::now().timestamp_millis();
    loop {
        let query = sqlx::query_as(DUE).bind(PROVIDER).bind(now).bind(behind.0).bind(behind.1).bind(PAGE);
        let page: Vec<(Uuid, i64, String)> = query.fetch_all(&mut db).await?;
        let Some((id, at, _)) = page.last() else { return Ok(db.close().await?) };
        behind = (*at, *id);
        for (id, _, refresh_token) in page {
            if found.send((id, refresh_token)).await.is_err() {
                return Ok(());
            }
        }
    }
}

async fn write_all(mut db: SqliteConnection, mut results: mpsc::Receiver<Refreshed>) -> Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    while results.recv_many(&mut batch, BATCH).await > 0 {
        let mut transaction = db.begin().await?;
        for one in batch.drain(..) {
            sqlx::query(
                "UPDATE tokens SET access_token = ?, refresh_token = ?, expires_at = ?, refreshed_at = ? WHERE connection_id = ?",
            )
            .bind(one.sealed.access_token)
            .bind(one.sealed.refresh_token)
            .bind(one.expires_at.timestamp_millis())
            .bind(one.expires_at.timestamp_millis())
            .bind(one.id)
            .execute(&mut *transaction)
            .await?;
            sqlx::query("UPDATE schedules SET version = version + 1, refresh_at = ? WHERE connection_id = ?")
                .bind(one.refresh_at.timestamp_millis())
                .bind(one.id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
    }
    Ok(db.close().await?)
}
