//! *Floor* on PostgreSQL: a bare loop. Reads due rows in batches, decrypts, asks, encrypts, writes in batches. No queue, no
//! lease, no version, no history: nothing that could be left out.

use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, Utc};
use futures::{TryStreamExt, stream};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use super::{IN_FLIGHT, Kit, Place, Refreshed};
use crate::rows::PROVIDER;

/// Rows read at once.
const PAGE: i64 = 500;
/// Rows written at once: more gains nothing.
const BATCH: usize = 100;
/// Batches written at the same time.
const WRITERS: usize = 2;

const DUE: &str = "SELECT s.connection_id, s.refresh_at, t.refresh_token FROM schedules s JOIN tokens t USING (connection_id) \
    WHERE s.provider = $1 AND s.refresh_at <= now() AND s.paused_at IS NULL AND (s.refresh_at, s.connection_id) > ($2, $3) \
    ORDER BY s.refresh_at, s.connection_id LIMIT $4";

const WRITE: &str = "WITH w AS (SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], \
    $5::timestamptz[]) AS w (id, access_token, refresh_token, expires_at, refresh_at)), \
    written AS (UPDATE tokens t SET access_token = w.access_token, refresh_token = w.refresh_token, \
        expires_at = w.expires_at, refreshed_at = now() FROM w WHERE t.connection_id = w.id) \
    UPDATE schedules s SET version = s.version + 1, refresh_at = w.refresh_at FROM w WHERE s.connection_id = w.id";

/// Refreshes all that is due, and ends.
pub async fn run(place: &Place) -> Result<()> {
    let pool = PgPoolOptions::new().max_connections(4).connect(&place.database).await?;
    let kit = Arc::new(Kit::new(place)?);
    let refreshed = due(pool.clone())
        .map_ok(|(id, refresh_token)| {
            let kit = Arc::clone(&kit);
            async move { tokio::spawn(async move { kit.refresh(id, refresh_token).await }).await? }
        })
        .try_buffer_unordered(IN_FLIGHT);
    refreshed
        .try_chunks(BATCH)
        .map_err(anyhow::Error::from)
        .map_ok(|batch| {
            let pool = pool.clone();
            async move { tokio::spawn(write(pool, batch)).await? }
        })
        .try_buffer_unordered(WRITERS)
        .try_collect()
        .await
}

/// What is due, page by page; the next one is read while this one is worked on.
fn due(pool: PgPool) -> impl futures::Stream<Item = Result<(Uuid, String)>> {
    let pages = stream::try_unfold((DateTime::<Utc>::UNIX_EPOCH, Uuid::nil()), move |behind| {
        let pool = pool.clone();
        async move {
            let page: Vec<(Uuid, DateTime<Utc>, String)> =
                sqlx::query_as(DUE).bind(PROVIDER).bind(behind.0).bind(behind.1).bind(PAGE).fetch_all(&pool).await?;
            let last = page.last().map(|(id, at, _)| (*at, *id));
            let rows = page.into_iter().map(|(id, _, refresh_token)| Ok((id, refresh_token)));
            Ok::<_, anyhow::Error>(last.map(|last| (stream::iter(rows.collect::<Vec<_>>()), last)))
        }
    });
    pages.try_flatten()
}

async fn write(pool: PgPool, batch: Vec<Refreshed>) -> Result<()> {
    let ids: Vec<_> = batch.iter().map(|one| one.id).collect();
    let expires_at: Vec<_> = batch.iter().map(|one| one.expires_at).collect();
    let refresh_at: Vec<_> = batch.iter().map(|one| one.refresh_at).collect();
    let (access, refresh): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|one| (one.sealed.access_token, one.sealed.refresh_token)).unzip();
    sqlx::query(WRITE).bind(ids).bind(access).bind(refresh).bind(expires_at).bind(refresh_at).execute(&pool).await?;
    Ok(())
}
