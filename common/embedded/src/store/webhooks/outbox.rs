//! The outbox: messages are written in the commit of the change that they tell of.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, MessageId, Version};
use evergrant_contract::ports::StoreError;
use evergrant_contract::state::State;
use evergrant_contract::webhook::{ConsentLifetime, Message, Subject, news};
use serde_json::{Value, json};
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::super::columns::{Row, integer, millis};
use super::super::error::Explain;
use super::super::writer::{Scope, Write};
use super::read_message;

/// Keeps a message, with a delivery for each endpoint that wants it.
pub(in super::super) async fn tell(db: &mut SqliteConnection, message: &Message) -> Result<(), StoreError> {
    let (id, kind, at) = (message.id.uuid(), message.kind.as_str(), millis(message.at));
    sqlx::query!(
        "INSERT INTO webhook_messages (id, kind, at, payload) VALUES (?, ?, ?, ?)",
        id,
        kind,
        at,
        message.payload,
    )
    .execute(&mut *db)
    .await
    .explain()?;
    sqlx::query!(
        "INSERT INTO webhook_deliveries (endpoint_id, message_id, kind, at, state, due_at)
         SELECT e.id, ?1, ?2, ?3, 'pending', ?3 FROM webhook_endpoints e
         WHERE e.state = 'enabled'
           AND (e.events = '[]' OR EXISTS (SELECT 1 FROM json_each(e.events) k WHERE k.value = ?2))",
        id,
        kind,
        at,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}

/// Tells what there is to tell of a connection that has moved.
pub(in super::super) async fn moved(
    db: &mut SqliteConnection,
    connection: ConnectionId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let id = connection.uuid();
    let row = sqlx::query!(
        r#"SELECT s.told AS "told?", s.state AS "state!", s.reason AS "reason?", s.version AS "version!: i64",
               c.user_id AS "user_id!", c.provider AS "provider!", c.account AS "account!"
           FROM schedules s JOIN connections c ON c.id = s.connection_id
           WHERE s.connection_id = ?"#,
        id,
    )
    .fetch_one(&mut *db)
    .await
    .explain()?;
    let named = Named {
        user: row.user_id,
        provider: row.provider,
        account: row.account,
        version: row.version,
        state: row.state,
        reason: row.reason,
    };
    let subject = named.subject(connection)?;
    let told = row.told.as_deref().map(|told| Row::of("schedules", &connection).word("told", told)).transpose()?;
    let (now_told, kind) = news(told, subject.state);
    if now_told != told {
        let now_told = now_told.map(State::as_str);
        sqlx::query!("UPDATE schedules SET told = ? WHERE connection_id = ?", now_told, id)
            .execute(&mut *db)
            .await
            .explain()?;
    }
    match kind {
        Some(kind) => tell(db, &Message::of_connection(kind, &subject, at)).await,
        None => Ok(()),
    }
}

/// A connection as messages name it, in its columns.
struct Named {
    user: String,
    provider: String,
    account: String,
    version: i64,
    state: String,
    reason: Option<String>,
}

impl Named {
    fn subject(self, connection: ConnectionId) -> Result<Subject, StoreError> {
        let cell = Row::of("connections", &connection);
        Ok(Subject {
            connection,
            user: cell.word("user_id", &self.user)?,
            provider: cell.word("provider", &self.provider)?,
            account: self.account,
            version: Version::new(self.version),
            state: cell.word("state", &self.state)?,
            reason: self.reason.as_deref().map(|reason| cell.word("reason", reason)).transpose()?,
        })
    }
}

pub(super) async fn message(readers: &SqlitePool, id: MessageId) -> Result<Option<Message>, StoreError> {
    let id = id.uuid();
    let row = sqlx::query!(
        r#"SELECT kind AS "kind!", at AS "at!: i64", payload AS "payload!" FROM webhook_messages WHERE id = ?"#,
        id,
    )
    .fetch_optional(readers)
    .await
    .explain()?;
    row.map(|row| read_message(id, &row.kind, row.at, row.payload)).transpose()
}

/// Forgets messages from before then that nobody waits for. How many.
pub(in super::super) async fn forget_before(scope: &mut Scope<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let before = millis(before);
    let done = sqlx::query!(
        "DELETE FROM webhook_messages WHERE at < ? AND NOT EXISTS (
             SELECT 1 FROM webhook_deliveries d WHERE d.message_id = webhook_messages.id AND d.state = 'pending'
         )",
        before,
    )
    .execute(&mut *scope.db)
    .await
    .explain()?;
    Ok(done.rows_affected())
}

pub(super) struct TellOfExpiring {
    pub(super) lifetimes: Vec<ConsentLifetime>,
    pub(super) now: Timestamp,
    pub(super) limit: u32,
}

#[async_trait]
impl Write for TellOfExpiring {
    type Output = u64;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<u64, StoreError> {
        let lifetimes: Value = self
            .lifetimes
            .iter()
            .map(|one| json!({ "provider": one.provider.as_str(), "ms": integer(one.lifetime.as_millis()) }))
            .collect();
        let (lifetimes, now) = (lifetimes.to_string(), millis(self.now));
        forget_what_was_told(scope.db, &lifetimes, now).await?;
        let rows = sqlx::query!(
            r#"WITH ends AS (
                   SELECT c.id, c.user_id, c.provider, c.account, c.expiry_told, s.version, s.state, s.reason,
                       coalesce(c.refresh_expires_at, c.consent_at + l.value ->> 'ms') AS ends_at
                   FROM connections c
                   JOIN schedules s ON s.connection_id = c.id
                   LEFT JOIN json_each(?1) l ON l.value ->> 'provider' = c.provider
                   WHERE s.refresh_at IS NOT NULL
               ),
               due AS (
                   SELECT *, CASE WHEN ends_at <= ?2 THEN NULL WHEN ends_at <= ?2 + 86400000 THEN 1
                       WHEN ends_at <= ?2 + 7 * 86400000 THEN 7 WHEN ends_at <= ?2 + 14 * 86400000 THEN 14
                       WHEN ends_at <= ?2 + 30 * 86400000 THEN 30 END AS days
                   FROM ends
               )
               SELECT id AS "id!: Uuid", user_id AS "user_id!", provider AS "provider!", account AS "account!",
                   version AS "version!: i64", state AS "state!", reason AS "reason?", ends_at AS "ends_at!: i64",
                   days AS "days!: i64"
               FROM due WHERE days < coalesce(expiry_told, 31) ORDER BY id LIMIT ?3"#,
            lifetimes,
            now,
            self.limit,
        )
        .fetch_all(&mut *scope.db)
        .await
        .explain()?;
        let told = integer(rows.len());
        for row in rows {
            let named = Named {
                user: row.user_id,
                provider: row.provider,
                account: row.account,
                version: row.version,
                state: row.state,
                reason: row.reason,
            };
            let ends_at = Row::of("connections", &row.id).time("refresh_expires_at", row.ends_at)?;
            let message = Message::of_consent(&named.subject(row.id.into())?, ends_at, self.now);
            sqlx::query!("UPDATE connections SET expiry_told = ? WHERE id = ?", row.days, row.id)
                .execute(&mut *scope.db)
                .await
                .explain()?;
            tell(scope.db, &message).await?;
        }
        Ok(told.unsigned_abs())
    }
}

/// A consent that lasts for long again is told of again.
async fn forget_what_was_told(db: &mut SqliteConnection, lifetimes: &str, now: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE connections SET expiry_told = NULL
         WHERE expiry_told IS NOT NULL AND coalesce(refresh_expires_at, consent_at + (
             SELECT l.value ->> 'ms' FROM json_each(?1) l WHERE l.value ->> 'provider' = connections.provider
         )) > ?2 + 30 * 86400000",
        lifetimes,
        now,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}
