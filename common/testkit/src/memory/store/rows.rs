//! What the memory store keeps.

use std::collections::BTreeMap;

use evergrant_contract::Timestamp;
use evergrant_contract::app::App;
use evergrant_contract::connection::{AccessToken, Connection, NewConnection, Settled, Settlement};
use evergrant_contract::controls::{Order, PauseTarget};
use evergrant_contract::failed_job::FailedJob;
use evergrant_contract::ids::{
    ApiKeyId, AuditId, ConnectionId, EndpointId, JobId, MessageId, ProcessId, ProviderName, SessionId, UserId, Version,
};
use evergrant_contract::lease;
use evergrant_contract::operations::{AuditEntry, Series};
use evergrant_contract::people::{ApiKey, Flow, Session, User};
use evergrant_contract::ports::Peer;
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::transition::Standing;
use evergrant_contract::usage::{Counts, Day};
use evergrant_contract::verdict::Attempt;
use evergrant_contract::webhook::{Message, news};

use super::webhooks::{DeliveryRow, EndpointRow};

#[derive(Default)]
pub(super) struct Tables {
    pub(super) connections: BTreeMap<ConnectionId, Row>,
    pub(super) apps: BTreeMap<ProviderName, App>,
    /// Of queues and apps; a connection's is in its row.
    pub(super) pauses: BTreeMap<PauseTarget, Order>,
    pub(super) failed_jobs: BTreeMap<JobId, FailedJob>,
    pub(super) offices: BTreeMap<&'static str, Holder>,
    pub(super) peers: BTreeMap<ProcessId, Peer>,
    pub(super) users: BTreeMap<UserId, User>,
    pub(super) passwords: BTreeMap<UserId, Secret>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) flows: BTreeMap<[u8; 32], Flow>,
    pub(super) api_keys: BTreeMap<ApiKeyId, ApiKey>,
    pub(super) audit_log: BTreeMap<AuditId, AuditEntry>,
    pub(super) activity: BTreeMap<ActivityKey, u64>,
    pub(super) usage: BTreeMap<(Day, ProviderName, UserId), Counts>,
    pub(super) uses: BTreeMap<ConnectionId, Timestamp>,
    pub(super) endpoints: BTreeMap<EndpointId, EndpointRow>,
    pub(super) messages: BTreeMap<MessageId, Message>,
    pub(super) deliveries: BTreeMap<(EndpointId, MessageId), DeliveryRow>,
    pub(super) settlements: Vec<(Settlement, Settled)>,
    pub(super) down: bool,
    pub(super) failing_calls: u32,
}

impl Tables {
    /// How many rows with tokens are under each key.
    pub(super) fn keys_in_use(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for row in self.connections.values().filter(|row| row.has_tokens()) {
            *counts.entry(row.key.clone()).or_default() += 1;
        }
        counts
    }
}

/// What is counted: the minute, the series, the provider app and the label.
pub(super) type ActivityKey = (Timestamp, Series, Option<ProviderName>, String);

/// Who holds a lease or an office, and until when in the store's time.
#[derive(Clone, Copy)]
pub(super) struct Holder {
    pub(super) process: ProcessId,
    pub(super) until: Timestamp,
}

/// One connection, everything in one place.
pub(super) struct Row {
    pub(super) id: ConnectionId,
    pub(super) user: UserId,
    pub(super) provider: ProviderName,
    pub(super) account: String,
    pub(super) label: String,
    pub(super) scopes: String,
    pub(super) standing: Standing,
    pub(super) reason: Option<Reason>,
    pub(super) version: Version,
    pub(super) refresh_at: Option<Timestamp>,
    pub(super) lease: Option<Holder>,
    /// When somebody first found the lease lapsed.
    pub(super) contested_at: Option<Timestamp>,
    pub(super) access_token: Option<Secret>,
    pub(super) refresh_token: Option<Secret>,
    /// The key that a store with ciphertexts would have encrypted them with.
    pub(super) key: String,
    /// Whether they are what was once encrypted.
    pub(super) readable: bool,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) refreshed_at: Option<Timestamp>,
    pub(super) consent_at: Option<Timestamp>,
    pub(super) refresh_expires_at: Option<Timestamp>,
    pub(super) last_error: Option<String>,
    pub(super) unread_answer: Option<Secret>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) paused: Option<Order>,
    pub(super) created_at: Timestamp,
    /// What receivers of webhooks were told last and still holds.
    pub(super) told: Option<State>,
    /// The fewest days before the end of its consent that they were told of.
    pub(super) expiry_told: Option<u16>,
}

impl Row {
    pub(super) fn new(new: NewConnection, key: &str, created_at: Timestamp) -> Self {
        let mut row = Self {
            id: ConnectionId::generate(),
            user: new.user.clone(),
            provider: new.provider.clone(),
            account: new.account.clone(),
            label: String::new(),
            scopes: String::new(),
            standing: Standing::ACTIVE,
            reason: None,
            version: Version::FIRST,
            refresh_at: None,
            lease: None,
            contested_at: None,
            access_token: None,
            refresh_token: None,
            key: key.to_owned(),
            readable: true,
            expires_at: None,
            refreshed_at: None,
            consent_at: None,
            refresh_expires_at: None,
            last_error: None,
            unread_answer: None,
            attempts: Vec::new(),
            paused: None,
            created_at,
            told: None,
            expiry_told: None,
        };
        row.consent(new, key);
        // How it begins is nobody's news; what becomes of it is.
        row.told = news(None, row.standing.state).0;
        row
    }

    /// Starts over with what a consent brought. Whoever holds the lease holds it for tokens that are gone.
    pub(super) fn consent(&mut self, new: NewConnection, key: &str) {
        self.label = new.label;
        self.scopes = new.scopes;
        self.access_token = present(new.access_token);
        self.refresh_token = present(new.refresh_token);
        key.clone_into(&mut self.key);
        self.readable = true;
        self.expires_at = new.expires_at;
        self.consent_at = new.consent_at;
        self.refresh_expires_at = new.refresh_expires_at;
        self.expiry_told = None;
        self.last_error = None;
        self.unread_answer = None;
        self.give_lease_back();
        if self.refresh_token.is_some() {
            (self.standing, self.reason, self.refresh_at) = (Standing::ACTIVE, None, Some(new.refresh_at));
        } else {
            self.end(State::NeedsReauth, Reason::NoRefreshToken);
        }
    }

    pub(super) fn end(&mut self, state: State, reason: Reason) {
        self.standing = Standing { state, failures: 0, suspicions: 0 };
        self.reason = Some(reason);
        self.refresh_at = None;
    }

    pub(super) fn give_lease_back(&mut self) {
        self.lease = None;
        self.contested_at = None;
    }

    pub(super) const fn is_refreshable(&self) -> bool {
        self.standing.state.is_refreshable()
    }

    /// What the rules of a lease need to know of it.
    pub(super) fn as_leased(&self) -> lease::Row {
        let contested_at = self.contested_at;
        let holder =
            self.lease.map(|holder| lease::Holder { owner: holder.process, until: holder.until, contested_at });
        lease::Row {
            state: self.standing.state,
            version: self.version,
            refresh_at: self.refresh_at,
            is_paused: self.paused.is_some(),
            holder,
        }
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.paused.is_none() && self.refresh_at.is_some_and(|at| at <= now)
    }

    /// An unknown end counts as past.
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at <= now)
    }

    pub(super) const fn has_tokens(&self) -> bool {
        self.access_token.is_some() || self.refresh_token.is_some()
    }

    /// Whether one of these keys opens the tokens.
    pub(super) fn opens(&self, keys: &[String]) -> bool {
        self.readable && keys.contains(&self.key)
    }

    pub(super) fn usable_access_token(&self, keys: &[String]) -> Option<AccessToken> {
        let token = self.access_token.clone().filter(|_| self.is_refreshable() && self.opens(keys))?;
        Some(AccessToken { token, expires_at: self.expires_at.unwrap_or_default(), version: self.version })
    }

    pub(super) fn shown(&self) -> Connection {
        Connection {
            id: self.id,
            user: self.user.clone(),
            provider: self.provider.clone(),
            account: self.account.clone(),
            label: self.label.clone(),
            state: self.standing.state,
            reason: self.reason,
            version: self.version,
            refresh_at: self.refresh_at,
            expires_at: self.expires_at,
            refreshed_at: self.refreshed_at,
            consent_at: self.consent_at,
            refresh_expires_at: self.refresh_expires_at,
            scopes: self.scopes.clone(),
            failures: self.standing.failures,
            last_error: self.last_error.clone(),
            key: self.has_tokens().then(|| self.key.clone()),
            leased_until: self.lease.map(|holder| holder.until),
            paused: self.paused.clone(),
            created_at: self.created_at,
        }
    }
}

/// An empty token is a missing token.
pub(super) fn present(token: Option<Secret>) -> Option<Secret> {
    token.filter(|token| !token.expose().trim().is_empty())
}
