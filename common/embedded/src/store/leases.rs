//! Leases: who may spend a refresh token.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::{Grant, Lease, LeaseRequest, Leased, Settled, Settlement};
use evergrant_contract::ids::{ConnectionId, ProcessId, ProviderName, UserId, Version};
use evergrant_contract::lease::{self, Decision, Holder, decide};
use evergrant_contract::ports::{Leases, StoreError};
use evergrant_contract::state::Reason;
use evergrant_contract::timing::after;
use evergrant_contract::transition::Standing;
use evergrant_vault::{Field, Keyring};
use sqlx::SqliteConnection;

use super::SqliteStore;
use super::columns::{Row, millis};
use super::error::Explain;
use super::sealed;
use super::settle::Settle;
use super::writer::{Scope, Write};

#[async_trait]
impl Leases for SqliteStore {
    async fn acquire(&self, request: LeaseRequest) -> Result<Leased, StoreError> {
        let Some((decision, stored)) = self.writer.write(Acquire(request)).await? else {
            return Ok(Leased::NotRefreshable { state: None });
        };
        Ok(match decision {
            // Decrypted by the caller, so that the writer does not spend its time on it.
            Decision::Take { from } => stored.held(&self.keyring, &request, from),
            Decision::Contest | Decision::Wait => Leased::Busy,
            Decision::MovedOn => Leased::MovedOn { version: stored.version },
            Decision::Paused => Leased::Paused,
            Decision::Ended => Leased::NotRefreshable { state: Some(stored.standing.state) },
        })
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        self.writer.write(Settle::new(&self.keyring, settlement)).await
    }
}

struct Acquire(LeaseRequest);

#[async_trait]
impl Write for Acquire {
    type Output = Option<(Decision, Candidate)>;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Self::Output, StoreError> {
        let request = &self.0;
        let Some(stored) = Candidate::read(scope.db, request.connection).await? else { return Ok(None) };
        let decision = decide(&stored.row(), request, scope.now);
        match decision {
            Decision::Take { .. } => take(scope.db, request, millis(after(scope.now, request.ttl))).await?,
            Decision::Contest => contest(scope.db, request.connection, millis(scope.now)).await?,
            Decision::Wait | Decision::MovedOn | Decision::Paused | Decision::Ended => (),
        }
        Ok(Some((decision, stored)))
    }
}

/// A connection as a request for its lease finds it.
struct Candidate {
    user: UserId,
    provider: ProviderName,
    scopes: String,
    standing: Standing,
    version: Version,
    refresh_at: Option<Timestamp>,
    is_paused: bool,
    holder: Option<Holder>,
    refresh_token: Option<String>,
    expires_at: Option<Timestamp>,
}

impl Candidate {
    async fn read(db: &mut SqliteConnection, id: ConnectionId) -> Result<Option<Self>, StoreError> {
        let key = id.uuid();
        let row = sqlx::query!(
            r#"SELECT c.user_id AS "user_id!", c.provider AS "provider!", c.scopes AS "scopes!", s.state AS "state!",
                   s.version AS "version!: i64", s.refresh_at AS "refresh_at?: i64",
                   s.paused_at IS NOT NULL AS "is_paused!: bool",
                   s.lease_owner AS "lease_owner?: Vec<u8>", s.lease_until AS "lease_until?: i64",
                   s.contested_at AS "contested_at?: i64", s.failures AS "failures!: i64",
                   s.suspicions AS "suspicions!: i64", t.refresh_token AS "refresh_token?", t.expires_at AS "expires_at?: i64"
               FROM schedules s
               JOIN connections c ON c.id = s.connection_id
               JOIN tokens t ON t.connection_id = s.connection_id
               WHERE s.connection_id = ?"#,
            key,
        )
        .fetch_optional(db)
        .await
        .explain()?;
        let Some(row) = row else { return Ok(None) };
        let (connections, schedules) = (Row::of("connections", &id), Row::of("schedules", &id));
        let holder = match (row.lease_owner, row.lease_until) {
            (Some(owner), Some(until)) => Some(Holder {
                owner: schedules.id("lease_owner", &owner)?,
                until: schedules.time("lease_until", until)?,
                contested_at: schedules.maybe_time("contested_at", row.contested_at)?,
            }),
            _ => None,
        };
        Ok(Some(Self {
            user: connections.word("user_id", &row.user_id)?,
            provider: connections.word("provider", &row.provider)?,
            scopes: row.scopes,
            standing: Standing {
                state: schedules.word("state", &row.state)?,
                failures: schedules.count("failures", row.failures)?,
                suspicions: schedules.count("suspicions", row.suspicions)?,
            },
            version: Version::new(row.version),
            refresh_at: schedules.maybe_time("refresh_at", row.refresh_at)?,
            is_paused: row.is_paused,
            holder,
            refresh_token: row.refresh_token,
            expires_at: Row::of("tokens", &id).maybe_time("expires_at", row.expires_at)?,
        }))
    }

    /// What the rules need to know of it.
    const fn row(&self) -> lease::Row {
        let Self { standing, version, refresh_at, is_paused, holder, .. } = self;
        lease::Row {
            state: standing.state,
            version: *version,
            refresh_at: *refresh_at,
            is_paused: *is_paused,
            holder: *holder,
        }
    }

    /// What the new holder is told.
    fn held(self, keyring: &Keyring, request: &LeaseRequest, from: Option<ProcessId>) -> Leased {
        let lease = Lease {
            connection: request.connection,
            version: self.version,
            owner: request.owner,
            is_awaited: request.is_awaited,
        };
        let opened = match self.refresh_token {
            None => Err(Reason::NoRefreshToken),
            Some(ciphertext) => sealed::open(keyring, request.connection, Field::RefreshToken, ciphertext)
                .map_err(|_| Reason::Undecryptable),
        };
        match opened {
            Ok(refresh_token) => Leased::Held(Box::new(Grant {
                lease,
                user: self.user,
                provider: self.provider,
                standing: self.standing,
                refresh_token,
                expires_at: self.expires_at,
                scopes: self.scopes,
                taken_over_from: from,
            })),
            Err(reason) => {
                Leased::Unspendable { lease, user: self.user, provider: self.provider, standing: self.standing, reason }
            }
        }
    }
}

async fn take(db: &mut SqliteConnection, request: &LeaseRequest, until: i64) -> Result<(), StoreError> {
    let (id, owner) = (request.connection.uuid(), request.owner.uuid());
    sqlx::query!(
        "UPDATE schedules SET lease_owner = ?, lease_until = ?, contested_at = NULL WHERE connection_id = ?",
        owner,
        until,
        id,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}

async fn contest(db: &mut SqliteConnection, id: ConnectionId, now: i64) -> Result<(), StoreError> {
    let id = id.uuid();
    sqlx::query!("UPDATE schedules SET contested_at = ? WHERE connection_id = ?", now, id)
        .execute(db)
        .await
        .map(drop)
        .explain()
}
