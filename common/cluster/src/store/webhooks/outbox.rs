//! The outbox: messages are written in the commit of the change that they tell of.

use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, ProviderName, Version};
use evergrant_contract::ports::StoreError;
use evergrant_contract::state::State;
use evergrant_contract::timing::to_millis;
use evergrant_contract::webhook::{ConsentLifetime, Message, MessageKind, Subject, news};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::PgStore;
use super::super::error::store_error;
use super::super::row::word;
use super::super::time::millis;
use crate::store::begin::begin;

/// Keeps messages, with a delivery for each endpoint that wants one of them.
async fn tell(connection: &mut PgConnection, messages: &[Message]) -> Result<(), sqlx::Error> {
    if messages.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "WITH told AS (
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[]) AS m (id, kind, at, payload)
         ),
         kept AS (INSERT INTO webhook_messages (id, kind, at, payload) SELECT * FROM told)
         INSERT INTO webhook_deliveries (endpoint_id, message_id, kind, at, state, due_at)
         SELECT e.id, m.id, m.kind, m.at, 'pending', m.at
         FROM told m JOIN webhook_endpoints e ON e.state = 'enabled' AND (e.events = '{}' OR m.kind = ANY (e.events))
         ORDER BY e.id, m.id",
        &messages.iter().map(|message| message.id.uuid()).collect::<Vec<_>>(),
        &messages.iter().map(|message| message.kind.as_str()).collect::<Vec<_>>() as &[&str],
        &messages.iter().map(|message| to_millis(message.at)).collect::<Vec<_>>(),
        &messages.iter().map(|message| message.payload.as_str()).collect::<Vec<_>>() as &[&str],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A connection that has moved, and when; `None` is now.
pub(in super::super) type Moved = (Uuid, Option<Timestamp>);

/// Tells what there is to tell of connections that have moved, at those times or now. Their schedules are locked already.
pub(in super::super) async fn moved(connection: &mut PgConnection, moves: &[Moved]) -> Result<(), StoreError> {
    if moves.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        r#"SELECT s.connection_id, s.told, s.state, s.reason, s.version, c.user_id, c.provider, c.account,
                  coalesce(w.at, clock_timestamp()) AS "at!"
           FROM unnest($1::uuid[], $2::timestamptz[]) AS w (id, at)
           JOIN schedules s ON s.connection_id = w.id
           JOIN connections c ON c.id = w.id
           ORDER BY s.connection_id"#,
        &moves.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        &moves.iter().map(|(_, at)| at.map(to_millis)).collect::<Vec<_>>() as &[Option<Timestamp>],
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(store_error)?;
    let (mut changed, mut messages) = (Vec::new(), Vec::new());
    for row in rows {
        let id = ConnectionId::from(row.connection_id);
        let named = Named {
            user: row.user_id,
            provider: row.provider,
            account: row.account,
            version: row.version,
            state: row.state,
            reason: row.reason,
        };
        let subject = named.subject(id)?;
        let told: Option<State> = row.told.map(|told| word("schedules", "told", id, &told)).transpose()?;
        let (now_told, kind) = news(told, subject.state);
        if now_told != told {
            changed.push((row.connection_id, now_told.map(State::as_str)));
        }
        messages.extend(kind.map(|kind| Message::of_connection(kind, &subject, to_millis(row.at))));
    }
    note(connection, &changed).await.map_err(store_error)?;
    tell(connection, &messages).await.map_err(store_error)
}

async fn note(connection: &mut PgConnection, changed: &[(Uuid, Option<&str>)]) -> Result<(), sqlx::Error> {
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE schedules s SET told = w.told FROM unnest($1::uuid[], $2::text[]) AS w (id, told)
         WHERE s.connection_id = w.id",
        &changed.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        &changed.iter().map(|(_, told)| *told).collect::<Vec<_>>() as &[Option<&str>],
    )
    .execute(connection)
    .await?;
    Ok(())
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
        Ok(Subject {
            connection,
            user: word("connections", "user_id", connection, &self.user)?,
            provider: word("connections", "provider", connection, &self.provider)?,
            account: self.account,
            version: Version::new(self.version),
            state: word("schedules", "state", connection, &self.state)?,
            reason: self.reason.map(|reason| word("schedules", "reason", connection, &reason)).transpose()?,
        })
    }
}

impl PgStore {
    pub(super) async fn tell_of_some_expiring(
        &self,
        lifetimes: &[ConsentLifetime],
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        let apps: Vec<_> = lifetimes.iter().map(|one| one.provider.as_str()).collect();
        let spans: Vec<_> = lifetimes.iter().map(|one| millis(one.lifetime)).collect();
        // A consent that lasts for long again is told of again.
        sqlx::query!(
            "UPDATE connections SET expiry_told = NULL
             WHERE expiry_told IS NOT NULL AND coalesce(refresh_expires_at, consent_at + (
                 SELECT l.ms * interval '1 millisecond' FROM unnest($1::text[], $2::bigint[]) AS l (provider, ms)
                 WHERE l.provider = connections.provider
             )) > $3::timestamptz + interval '720 hours'",
            &apps as &[&str],
            &spans,
            to_millis(now),
        )
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
        let rows =
            sqlx::query_file!("src/store/sql/expiring.sql", &apps as &[&str], &spans, to_millis(now), i64::from(limit))
                .fetch_all(&mut *transaction)
                .await
                .map_err(store_error)?;
        let mut messages = Vec::with_capacity(rows.len());
        for row in rows {
            let named = Named {
                user: row.user_id,
                provider: row.provider,
                account: row.account,
                version: row.version,
                state: row.state,
                reason: row.reason,
            };
            messages.push(Message::of_consent(&named.subject(row.id.into())?, to_millis(row.ends_at), now));
        }
        tell(&mut transaction, &messages).await.map_err(store_error)?;
        transaction.commit().await.map_err(store_error)?;
        Ok(u64::try_from(messages.len()).unwrap_or(u64::MAX))
    }
}

/// Tells of a provider app.
pub(in super::super) async fn tell_of_app(
    connection: &mut PgConnection,
    kind: MessageKind,
    provider: &ProviderName,
    code: Option<&str>,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    tell(connection, &[Message::of_app(kind, provider, code, to_millis(at))]).await
}
