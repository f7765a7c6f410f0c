//! Settlements: what a worker writes when it is done with a lease.

use async_trait::async_trait;
use evergrant_contract::connection::{Lease, Settled, Settlement};
use evergrant_contract::ids::{ProcessId, Version};
use evergrant_contract::lease::may_settle;
use evergrant_contract::ports::StoreError;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::{after, to_millis};
use evergrant_contract::transition::Change;
use evergrant_contract::verdict::Attempt;
use evergrant_vault::{Field, Keyring};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::columns::{Row, integer, millis};
use super::error::Explain;
use super::failed_jobs;
use super::sealed::{self, Pair};
use super::webhooks;
use super::writer::{Scope, Write};

/// A settlement with its secrets encrypted: that is done by its caller, so that the writer does not spend its time on it.
pub(super) struct Settle {
    settlement: Settlement,
    fresh: Option<Fresh>,
    unread_answer: Option<String>,
}

/// New tokens, ready to be written.
struct Fresh {
    sealed: Pair,
    expires_at: i64,
    refreshed_at: i64,
    refresh_expires_at: Option<i64>,
    scopes: Option<String>,
}

impl Settle {
    pub(super) fn new(keyring: &Keyring, settlement: Settlement) -> Self {
        let id = settlement.lease.connection;
        let fresh = settlement.tokens.as_ref().map(|(tokens, sent_at)| Fresh {
            sealed: Pair::seal(keyring, id, Some(&tokens.access_token), tokens.refresh_token.as_ref()),
            expires_at: millis(to_millis(after(*sent_at, tokens.lifetime))),
            refreshed_at: millis(settlement.decided_at),
            refresh_expires_at: tokens.refresh_expires_at.map(millis),
            scopes: tokens.scopes.clone(),
        });
        let unread_answer =
            settlement.unread_answer.as_ref().map(|answer| sealed::seal(keyring, id, Field::UnreadAnswer, answer));
        Self { settlement, fresh, unread_answer }
    }

    fn may_write(&self, stored: &Stored) -> bool {
        may_settle(stored.state, stored.version, stored.lease_owner, &self.settlement.lease, self.fresh.is_some())
    }
}

#[async_trait]
impl Write for Settle {
    type Output = Settled;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Settled, StoreError> {
        let lease = self.settlement.lease;
        let Some(stored) = Stored::read(scope.db, &lease).await?.filter(|stored| self.may_write(stored)) else {
            return Ok(Settled::Lost);
        };
        let version = if self.fresh.is_some() { lease.version.next() } else { lease.version };
        release(scope.db, lease.connection.uuid(), version).await?;
        if let Some(change) = &self.settlement.change {
            move_on(scope.db, lease.connection.uuid(), change).await?;
        }
        // A refresh that changes nothing of an active connection is no news, and costs no look.
        let may_be_news =
            self.settlement.change.is_some_and(|change| stored.told || change.standing.state != State::Active);
        self.write_tokens(scope, stored).await?;
        if may_be_news {
            webhooks::moved(scope.db, lease.connection, self.settlement.decided_at).await?;
        }
        for attempt in &self.settlement.attempts {
            keep_attempt(scope.db, lease.connection.uuid(), attempt).await?;
        }
        if let Some(job) = &self.settlement.failed_job {
            failed_jobs::insert(scope.db, job).await?;
        }
        Ok(Settled::Written(version))
    }
}

impl Settle {
    /// Writes the wide half, if anything in it changes.
    async fn write_tokens(&self, scope: &mut Scope<'_>, stored: Stored) -> Result<(), StoreError> {
        let connection = self.settlement.lease.connection;
        let id = connection.uuid();
        let last_error = self.settlement.last_error.as_deref();
        if let Some(fresh) = &self.fresh {
            let pair = stored.pair.renewed(scope.keyring, connection, fresh.sealed.clone());
            write_fresh(scope.db, id, fresh, &pair, last_error, self.unread_answer.as_deref()).await?;
            return describe(scope.db, id, fresh).await;
        }
        if let Some(unread_answer) = &self.unread_answer {
            // The answer is under the primary key, and a row has one key: the tokens follow.
            let pair = stored.pair.renewed(scope.keyring, connection, Pair::default());
            keep_answer(scope.db, id, &pair, unread_answer).await?;
        }
        if self.settlement.change.is_some() {
            sqlx::query!("UPDATE tokens SET last_error = ? WHERE connection_id = ?", last_error, id)
                .execute(&mut *scope.db)
                .await
                .explain()?;
        }
        Ok(())
    }
}

/// What a settlement is checked against, and what it carries over.
struct Stored {
    state: State,
    version: Version,
    lease_owner: Option<ProcessId>,
    /// Receivers of webhooks were told of trouble that still holds.
    told: bool,
    pair: Pair,
}

impl Stored {
    async fn read(db: &mut SqliteConnection, lease: &Lease) -> Result<Option<Self>, StoreError> {
        let id = lease.connection.uuid();
        let row = sqlx::query!(
            r#"SELECT s.state AS "state!", s.version AS "version!: i64", s.lease_owner AS "lease_owner?: Vec<u8>",
                   s.told IS NOT NULL AS "told!: bool",
                   t.access_token AS "access_token?", t.refresh_token AS "refresh_token?", t.key AS "key?"
               FROM schedules s
               JOIN tokens t ON t.connection_id = s.connection_id
               WHERE s.connection_id = ?"#,
            id,
        )
        .fetch_optional(db)
        .await
        .explain()?;
        let Some(row) = row else { return Ok(None) };
        let schedules = Row::of("schedules", &lease.connection);
        Ok(Some(Self {
            state: schedules.word("state", &row.state)?,
            version: Version::new(row.version),
            told: row.told,
            lease_owner: row.lease_owner.map(|owner| schedules.id("lease_owner", &owner)).transpose()?,
            pair: Pair { access_token: row.access_token, refresh_token: row.refresh_token, key: row.key },
        }))
    }
}

async fn release(db: &mut SqliteConnection, id: Uuid, version: Version) -> Result<(), StoreError> {
    let version = version.number();
    sqlx::query!(
        "UPDATE schedules SET version = ?, lease_owner = NULL, lease_until = NULL, contested_at = NULL
         WHERE connection_id = ?",
        version,
        id,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}

async fn move_on(db: &mut SqliteConnection, id: Uuid, change: &Change) -> Result<(), StoreError> {
    let (state, reason) = (change.standing.state.as_str(), change.reason.map(Reason::as_str));
    let refresh_at = change.refresh_at.map(millis);
    let (failures, suspicions) = (change.standing.failures, change.standing.suspicions);
    sqlx::query!(
        "UPDATE schedules SET state = ?, reason = ?, refresh_at = ?, failures = ?, suspicions = ?
         WHERE connection_id = ?",
        state,
        reason,
        refresh_at,
        failures,
        suspicions,
        id,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}

async fn write_fresh(
    db: &mut SqliteConnection,
    id: Uuid,
    fresh: &Fresh,
    pair: &Pair,
    last_error: Option<&str>,
    unread_answer: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE tokens SET access_token = ?, refresh_token = ?, key = ?, expires_at = ?, refreshed_at = ?,
             last_error = ?, unread_answer = ?
         WHERE connection_id = ?",
        pair.access_token,
        pair.refresh_token,
        pair.key,
        fresh.expires_at,
        fresh.refreshed_at,
        last_error,
        unread_answer,
        id,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}

/// Writes what a provider said about the grant besides its tokens. Most say nothing.
async fn describe(db: &mut SqliteConnection, id: Uuid, fresh: &Fresh) -> Result<(), StoreError> {
    if fresh.scopes.is_none() && fresh.refresh_expires_at.is_none() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE connections
         SET scopes = coalesce(?, scopes), refresh_expires_at = coalesce(?, refresh_expires_at)
         WHERE id = ?",
        fresh.scopes,
        fresh.refresh_expires_at,
        id,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}

async fn keep_answer(db: &mut SqliteConnection, id: Uuid, pair: &Pair, unread_answer: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE tokens SET access_token = ?, refresh_token = ?, key = ?, unread_answer = ? WHERE connection_id = ?",
        pair.access_token,
        pair.refresh_token,
        pair.key,
        unread_answer,
        id,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}

async fn keep_attempt(db: &mut SqliteConnection, id: Uuid, attempt: &Attempt) -> Result<(), StoreError> {
    let (at, verdict): (i64, &str) = (millis(attempt.at), attempt.verdict.as_str());
    let trace = &attempt.trace;
    let duration_ms = integer(trace.duration_ms);
    sqlx::query!(
        "INSERT INTO attempts (connection_id, at, verdict, status, code, message, request_id, duration_ms, ambiguous)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        id,
        at,
        verdict,
        trace.status,
        trace.code,
        trace.message,
        trace.request_id,
        duration_ms,
        trace.ambiguous,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}
