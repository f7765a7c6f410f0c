//! Receivers and their secrets.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::EndpointId;
use evergrant_contract::ports::StoreError;
use evergrant_contract::secret::Secret;
use evergrant_contract::webhook::{
    DisabledReason, Endpoint, EndpointChange, EndpointSecrets, EndpointState, MessageKind,
};
use evergrant_vault::{Ciphertext, Keyring, Place};
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::super::SqliteStore;
use super::super::columns::{Row, json_text, millis};
use super::super::error::Explain;
use super::super::writer::{Scope, Write};
use super::maybe_millis;

/// A secret as its columns hold it: the ciphertext and the fingerprint of its key.
pub(super) struct Sealed {
    ciphertext: String,
    key: String,
}

pub(super) fn seal(store: &SqliteStore, id: EndpointId, secret: &Secret) -> Sealed {
    seal_with(&store.keyring, id, secret)
}

fn seal_with(keyring: &Keyring, id: EndpointId, secret: &Secret) -> Sealed {
    Sealed {
        ciphertext: keyring.seal(Place::of_endpoint(id), secret).into(),
        key: keyring.primary().as_str().to_owned(),
    }
}

/// The secrets of an endpoint at `now`; `None`: no key of the keyring opens the present one.
pub(super) fn open(
    keyring: &Keyring,
    id: EndpointId,
    secret: String,
    former: Option<(String, Timestamp)>,
    now: Timestamp,
) -> Option<EndpointSecrets> {
    let opened = |ciphertext: String| keyring.open(Place::of_endpoint(id), &Ciphertext::from(ciphertext)).ok();
    let former = former.filter(|(_, until)| now < *until).and_then(|(ciphertext, _)| opened(ciphertext));
    Some(EndpointSecrets { current: opened(secret)?, former })
}

/// The one list of columns, with the rest of the query behind it.
macro_rules! endpoints {
    ($rest:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            EndpointRow,
            r#"SELECT id AS "id!: Uuid", url AS "url!", description AS "description!", events AS "events!",
                   state AS "state!", disabled_reason AS "disabled_reason?", failing_since AS "failing_since?: i64",
                   former_until AS "former_until?: i64", created_at AS "created_at!: i64"
               FROM webhook_endpoints "#
                + $rest
            $(, $argument)*
        )
    };
}

struct EndpointRow {
    id: Uuid,
    url: String,
    description: String,
    events: String,
    state: String,
    disabled_reason: Option<String>,
    failing_since: Option<i64>,
    former_until: Option<i64>,
    created_at: i64,
}

impl EndpointRow {
    fn read(self) -> Result<Endpoint, StoreError> {
        let cell = Row::of("webhook_endpoints", &self.id);
        let reason = self.disabled_reason.as_deref();
        Ok(Endpoint {
            id: self.id.into(),
            url: self.url,
            description: self.description,
            events: cell.json("events", &self.events)?,
            state: cell.word("state", &self.state)?,
            disabled_reason: reason.map(|reason| cell.word("disabled_reason", reason)).transpose()?,
            failing_since: cell.maybe_time("failing_since", self.failing_since)?,
            former_secret_until: cell.maybe_time("former_until", self.former_until)?,
            created_at: cell.time("created_at", self.created_at)?,
        })
    }
}

pub(super) async fn all(readers: &SqlitePool) -> Result<Vec<Endpoint>, StoreError> {
    let rows = endpoints!("ORDER BY created_at, id").fetch_all(readers).await.explain()?;
    rows.into_iter().map(EndpointRow::read).collect()
}

pub(super) async fn one(readers: &SqlitePool, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
    let id = id.uuid();
    let row = endpoints!("WHERE id = ?", id).fetch_optional(readers).await.explain()?;
    row.map(EndpointRow::read).transpose()
}

pub(super) async fn secrets(
    store: &SqliteStore,
    id: EndpointId,
    now: Timestamp,
) -> Result<Option<EndpointSecrets>, StoreError> {
    let key = id.uuid();
    let row = sqlx::query!(
        r#"SELECT secret AS "secret!", former_secret AS "former_secret?", former_until AS "former_until?: i64"
           FROM webhook_endpoints WHERE id = ?"#,
        key,
    )
    .fetch_optional(&store.readers)
    .await
    .explain()?;
    let Some(row) = row else { return Ok(None) };
    let until = Row::of("webhook_endpoints", &id).maybe_time("former_until", row.former_until)?;
    Ok(open(&store.keyring, id, row.secret, row.former_secret.zip(until), now))
}

/// Brings secrets to the key that encrypts, one by one.
pub(super) async fn reseal(store: &SqliteStore) -> Result<u64, StoreError> {
    let primary = store.keyring.primary().as_str();
    let rows = sqlx::query!(
        r#"SELECT id AS "id!: Uuid", secret AS "secret!", former_secret AS "former_secret?"
           FROM webhook_endpoints WHERE key <> ?1 OR former_key <> ?1"#,
        primary,
    )
    .fetch_all(&store.readers)
    .await
    .explain()?;
    let mut resealed = 0;
    for row in rows {
        let id = EndpointId::from(row.id);
        let anew = |ciphertext: &String| {
            let opened = store.keyring.open(Place::of_endpoint(id), &Ciphertext::from(ciphertext.clone())).ok()?;
            Some(seal_with(&store.keyring, id, &opened))
        };
        let Some(secret) = anew(&row.secret) else { continue };
        // A former one that does not open signs nothing any more: it goes.
        let former = row.former_secret.as_ref().and_then(anew);
        resealed += u64::from(store.writer.write(Reseal { id, seen: row.secret, secret, former }).await?);
    }
    Ok(resealed)
}

struct Reseal {
    id: EndpointId,
    seen: String,
    secret: Sealed,
    former: Option<Sealed>,
}

#[async_trait]
impl Write for Reseal {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let id = self.id.uuid();
        let (former_secret, former_key) =
            self.former.as_ref().map(|former| (former.ciphertext.as_str(), former.key.as_str())).unzip();
        let done = sqlx::query!(
            "UPDATE webhook_endpoints
             SET secret = ?1, key = ?2, former_secret = ?3, former_key = ?4,
                 former_until = CASE WHEN ?3 IS NULL THEN NULL ELSE former_until END
             WHERE id = ?5 AND secret = ?6",
            self.secret.ciphertext,
            self.secret.key,
            former_secret,
            former_key,
            id,
            self.seen,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(done.rows_affected() == 1)
    }
}

pub(super) struct Add {
    pub(super) endpoint: Endpoint,
    pub(super) secret: Sealed,
}

#[async_trait]
impl Write for Add {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        let endpoint = &self.endpoint;
        let (id, events, state) = (endpoint.id.uuid(), json_text(&endpoint.events), endpoint.state.as_str());
        let reason = endpoint.disabled_reason.map(DisabledReason::as_str);
        let (failing_since, created_at) = (maybe_millis(endpoint.failing_since), millis(endpoint.created_at));
        sqlx::query!(
            "INSERT INTO webhook_endpoints
                 (id, url, description, events, state, disabled_reason, failing_since, secret, key, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            id,
            endpoint.url,
            endpoint.description,
            events,
            state,
            reason,
            failing_since,
            self.secret.ciphertext,
            self.secret.key,
            created_at,
        )
        .execute(&mut *scope.db)
        .await
        .map(drop)
        .explain()
    }
}

pub(super) struct ChangeOne {
    pub(super) id: EndpointId,
    pub(super) change: EndpointChange,
}

#[async_trait]
impl Write for ChangeOne {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let (id, change) = (self.id.uuid(), &self.change);
        let events = change.events.as_ref().map(|events: &Vec<MessageKind>| json_text(events));
        let done = sqlx::query!(
            "UPDATE webhook_endpoints
             SET url = coalesce(?, url), description = coalesce(?, description), events = coalesce(?, events)
             WHERE id = ?",
            change.url,
            change.description,
            events,
            id,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        match change.is_enabled {
            Some(true) => enable(scope.db, self.id).await?,
            Some(false) => disable(scope.db, self.id, DisabledReason::ByOperator).await?,
            None => {}
        }
        Ok(done.rows_affected() == 1)
    }
}

async fn enable(db: &mut SqliteConnection, id: EndpointId) -> Result<(), StoreError> {
    let id = id.uuid();
    sqlx::query!(
        "UPDATE webhook_endpoints SET state = 'enabled', disabled_reason = NULL, failing_since = NULL WHERE id = ?",
        id,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}

/// Disables an endpoint, if it is not, and gives up what was on its way.
pub(super) async fn disable(
    db: &mut SqliteConnection,
    id: EndpointId,
    reason: DisabledReason,
) -> Result<(), StoreError> {
    let (id, reason, disabled) = (id.uuid(), reason.as_str(), EndpointState::Disabled.as_str());
    let done = sqlx::query!(
        "UPDATE webhook_endpoints SET state = ?, disabled_reason = ? WHERE id = ? AND state = 'enabled'",
        disabled,
        reason,
        id,
    )
    .execute(&mut *db)
    .await
    .explain()?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE webhook_deliveries SET state = 'failed', due_at = NULL, claimed_until = NULL
         WHERE endpoint_id = ? AND state = 'pending'",
        id,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}

pub(super) struct Remove(pub(super) EndpointId);

#[async_trait]
impl Write for Remove {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let id = self.0.uuid();
        let done =
            sqlx::query!("DELETE FROM webhook_endpoints WHERE id = ?", id).execute(&mut *scope.db).await.explain()?;
        Ok(done.rows_affected() == 1)
    }
}

pub(super) struct Rotate {
    pub(super) id: EndpointId,
    pub(super) secret: Sealed,
    pub(super) former_until: Timestamp,
}

#[async_trait]
impl Write for Rotate {
    type Output = bool;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<bool, StoreError> {
        let (id, until) = (self.id.uuid(), millis(self.former_until));
        let done = sqlx::query!(
            "UPDATE webhook_endpoints
             SET former_secret = secret, former_key = key, former_until = ?, secret = ?, key = ? WHERE id = ?",
            until,
            self.secret.ciphertext,
            self.secret.key,
            id,
        )
        .execute(&mut *scope.db)
        .await
        .explain()?;
        Ok(done.rows_affected() == 1)
    }
}
