//! The right to spend refresh tokens, and the writes that it allows.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::{Grant, Lease, LeaseRequest, Leased, Settled, Settlement};
use evergrant_contract::lease::{self, Decision};
use evergrant_contract::ports::{Leases, StoreError};
use evergrant_contract::state::Reason;
use evergrant_contract::timing::after;

use super::MemoryStore;
use super::rows::{Holder, Row, Tables, present};

#[async_trait]
impl Leases for MemoryStore {
    async fn acquire(&self, request: LeaseRequest) -> Result<Leased, StoreError> {
        let mut tables = self.tables()?;
        Ok(match tables.connections.get_mut(&request.connection) {
            Some(row) => acquire(row, request, self.keys(), self.time()),
            None => Leased::NotRefreshable { state: None },
        })
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        let mut tables = self.tables()?;
        let settled = settle(&mut tables, settlement.clone(), self.keys());
        tables.settlements.push((settlement, settled));
        Ok(settled)
    }
}

fn acquire(row: &mut Row, request: LeaseRequest, keys: &[String], time: Timestamp) -> Leased {
    let taken_over_from = match lease::decide(&row.as_leased(), &request, time) {
        Decision::Take { from } => from,
        Decision::Contest => {
            row.contested_at = Some(time);
            return Leased::Busy;
        }
        Decision::Wait => return Leased::Busy,
        Decision::MovedOn => return Leased::MovedOn { version: row.version },
        Decision::Paused => return Leased::Paused,
        Decision::Ended => return Leased::NotRefreshable { state: Some(row.standing.state) },
    };
    row.lease = Some(Holder { process: request.owner, until: after(time, request.ttl) });
    row.contested_at = None;
    let lease =
        Lease { connection: row.id, version: row.version, owner: request.owner, is_awaited: request.is_awaited };
    let opens = row.opens(keys);
    let reason = if opens { Reason::NoRefreshToken } else { Reason::Undecryptable };
    match row.refresh_token.clone().filter(|_| opens) {
        Some(refresh_token) => Leased::Held(Box::new(Grant {
            lease,
            user: row.user.clone(),
            provider: row.provider.clone(),
            standing: row.standing,
            refresh_token,
            expires_at: row.expires_at,
            scopes: row.scopes.clone(),
            taken_over_from,
        })),
        None => Leased::Unspendable {
            lease,
            user: row.user.clone(),
            provider: row.provider.clone(),
            standing: row.standing,
            reason,
        },
    }
}

fn settle(tables: &mut Tables, settlement: Settlement, keys: &[String]) -> Settled {
    let given = settlement.lease;
    let Some(row) = tables.connections.get_mut(&given.connection) else { return Settled::Lost };
    let holder = row.lease.map(|holder| holder.process);
    let brings_tokens = settlement.tokens.is_some();
    if !lease::may_settle(row.standing.state, row.version, holder, &given, brings_tokens) {
        return Settled::Lost;
    }
    write(row, &settlement, keys);
    let version = row.version;
    tables.moved(given.connection, settlement.decided_at);
    if let Some(job) = settlement.failed_job {
        tables.failed_jobs.entry(job.id).or_insert(job);
    }
    Settled::Written(version)
}

fn write(row: &mut Row, settlement: &Settlement, keys: &[String]) {
    row.give_lease_back();
    let brings = settlement.tokens.as_ref().is_some_and(|(tokens, _)| present(tokens.refresh_token.clone()).is_some());
    let carries = (settlement.tokens.is_some() || settlement.unread_answer.is_some()) && row.opens(keys);
    if let Some(primary) = keys.first().filter(|_| brings || carries) {
        row.key.clone_from(primary);
    }
    row.attempts.extend(settlement.attempts.iter().cloned());
    if let Some(change) = settlement.change {
        row.standing = change.standing;
        row.reason = change.reason;
        row.refresh_at = change.refresh_at;
        row.last_error.clone_from(&settlement.last_error);
    }
    if let Some(answer) = &settlement.unread_answer {
        row.unread_answer = Some(answer.clone());
    }
    if let Some((tokens, sent_at)) = &settlement.tokens {
        row.version = row.version.next();
        row.access_token = Some(tokens.access_token.clone());
        row.refresh_token = present(tokens.refresh_token.clone()).or(row.refresh_token.take());
        row.expires_at = Some(after(*sent_at, tokens.lifetime));
        row.refresh_expires_at = tokens.refresh_expires_at.or(row.refresh_expires_at);
        row.refreshed_at = Some(settlement.decided_at);
        row.unread_answer = None;
        if let Some(scopes) = &tokens.scopes {
            row.scopes.clone_from(scopes);
        }
    }
}
