//! Transactions that nobody leaves open.

use sqlx::{PgPool, Postgres, Transaction};

/// Begins a transaction, in a task of its own. Whoever asks may stop waiting at any moment, as when a browser goes away; if that
/// happened while `BEGIN` was under way, sqlx would give the connection back with the transaction open, and whoever got it
/// next would write into it without ever committing. The task goes on to the end, and rolls back what nobody takes.
pub(super) async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    tokio::spawn(async move { pool.begin().await }).await.map_err(|_| sqlx::Error::WorkerCrashed)?
}

/// The same with a statement of the caller's own.
pub(super) async fn begin_with(
    pool: &PgPool,
    statement: &'static str,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    tokio::spawn(async move { pool.begin_with(statement).await }).await.map_err(|_| sqlx::Error::WorkerCrashed)?
}
