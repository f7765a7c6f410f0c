//! What the store keeps of a connection.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::controls::Order;
use crate::failed_job::FailedJob;
use crate::ids::{ConnectionId, ProcessId, ProviderName, UserId, Version};
use crate::secret::Secret;
use crate::state::{Reason, State};
use crate::transition::{Change, Standing};
use crate::verdict::{Attempt, Tokens};

/// A connection as people and services see it: everything but its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Its owner.
    pub user: UserId,
    /// Its provider app.
    pub provider: ProviderName,
    /// The account at the provider; empty if unknown.
    pub account: String,
    /// A name for people, such as an e-mail address; empty if unknown.
    pub label: String,
    /// Where it stands.
    pub state: State,
    /// Why it is not `active`.
    pub reason: Option<Reason>,
    /// The number of its tokens.
    pub version: Version,
    /// When the scheduler looks next.
    pub refresh_at: Option<Timestamp>,
    /// When its access token ends.
    pub expires_at: Option<Timestamp>,
    /// When it was last refreshed: when the answer was turned into what is stored.
    pub refreshed_at: Option<Timestamp>,
    /// When the user consented.
    pub consent_at: Option<Timestamp>,
    /// When the consent ends, if it does.
    pub refresh_expires_at: Option<Timestamp>,
    /// Space-separated scopes; empty if unknown.
    pub scopes: String,
    /// Jobs in a row that ended without an answer about the grant.
    pub failures: u32,
    /// One sentence about the last failure.
    pub last_error: Option<String>,
    /// Fingerprint of the key that its tokens are encrypted with.
    pub key: Option<String>,
    /// Until when a worker holds its lease.
    pub leased_until: Option<Timestamp>,
    /// The order that keeps it from being refreshed, if one stands. Its state is what it was.
    pub paused: Option<Order>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A connection to be made, by an import or a consent.
#[derive(Clone)]
pub struct NewConnection {
    /// Its owner.
    pub user: UserId,
    /// Its provider app.
    pub provider: ProviderName,
    /// The account at the provider; empty if unknown. Owner, provider and account together are unique.
    pub account: String,
    /// A name for people.
    pub label: String,
    /// Space-separated scopes.
    pub scopes: String,
    /// An access token, if there is one.
    pub access_token: Option<Secret>,
    /// The refresh token. Without one the connection starts as `needs_reauth`.
    pub refresh_token: Option<Secret>,
    /// When the access token ends; `None` counts as expired.
    pub expires_at: Option<Timestamp>,
    /// When the scheduler looks first.
    pub refresh_at: Timestamp,
    /// When the user consented.
    pub consent_at: Option<Timestamp>,
    /// When the consent ends, if it does.
    pub refresh_expires_at: Option<Timestamp>,
}

/// What to do with a connection that exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfPresent {
    /// Leave it alone: its tokens may be newer than those offered. What an import does.
    Keep,
    /// Put the new tokens in its place, version + 1. What a consent does.
    Replace,
}

/// What became of a connection to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is new.
    Inserted(ConnectionId),
    /// It existed and was left alone.
    Kept(ConnectionId),
    /// It existed and has the new tokens.
    Replaced(ConnectionId),
}

/// What became of a new consent for a connection that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnected {
    /// It has the new tokens, and this version.
    Done(Version),
    /// It is connected to another account: nothing was written.
    OtherAccount,
    /// There is no such connection of this user and provider: nothing was written.
    NotFound,
}

/// A connection that is due: what a scheduler needs to publish `RefreshDue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub connection: ConnectionId,
    /// Its version.
    pub version: Version,
    /// Since when it is due. With the id, the key of the next page.
    pub refresh_at: Timestamp,
}

/// The right to spend a connection's refresh token: one holder in the whole cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Of which connection.
    pub connection: ConnectionId,
    /// The version whose refresh token may be spent.
    pub version: Version,
    /// The holder.
    pub owner: ProcessId,
    /// Somebody waits for the result: a store that groups its writes does not let this one wait for others.
    #[serde(default)]
    pub is_awaited: bool,
}

/// A request for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Of which connection.
    pub connection: ConnectionId,
    /// The version that the job was made for. Another one in the store means that the row was dealt with since: `MovedOn`.
    pub version: Version,
    /// The `refresh_at` that the publisher saw. Any other one in the store, earlier or later, means that the row was dealt
    /// with since: `MovedOn`. A fence that needs no two clocks to agree. `None` does not ask.
    pub seen_refresh_at: Option<Timestamp>,
    /// Who asks.
    pub owner: ProcessId,
    /// How long the lease is good for.
    pub ttl: Duration,
    /// How long a lapsed lease is contested before it is taken over, so that a holder that waits for the store to come
    /// back writes its answer first.
    pub takeover_grace: Duration,
    /// Somebody waits for what the lease is taken for, as [`Lease::is_awaited`].
    pub is_awaited: bool,
}

/// What a lease gives: everything that a refresh needs.
#[derive(Clone)]
pub struct Grant {
    /// The lease itself.
    pub lease: Lease,
    /// The owner of the connection.
    pub user: UserId,
    /// The provider app to call.
    pub provider: ProviderName,
    /// Where the connection stands.
    pub standing: Standing,
    /// The token to spend.
    pub refresh_token: Secret,
    /// When the stored access token ends.
    pub expires_at: Option<Timestamp>,
    /// Scopes of the grant; empty if unknown.
    pub scopes: String,
    /// The holder before never reported: its call may have spent the refresh token and its reply never arrived.
    pub taken_over_from: Option<ProcessId>,
}

/// The answer to a request for a lease.
#[derive(Clone)]
pub enum Leased {
    /// The lease is held.
    Held(Box<Grant>),
    /// Nothing to do: the row has moved on since the job was made.
    MovedOn {
        /// The version stored now.
        version: Version,
    },
    /// Another process holds the lease, or a lapsed one is being contested.
    Busy,
    /// An operator has paused the connection: nobody gets its lease until it is resumed.
    Paused,
    /// The connection is not to be refreshed: it has ended, or it does not exist.
    NotRefreshable {
        /// Its state, if it exists.
        state: Option<State>,
    },
    /// The lease is held and the refresh token cannot be opened, or there is none.
    Unspendable {
        /// The lease, to be settled with the reason.
        lease: Lease,
        /// Its owner.
        user: UserId,
        /// Its provider app.
        provider: ProviderName,
        /// Where it stands.
        standing: Standing,
        /// `Undecryptable` or `NoRefreshToken`.
        reason: Reason,
    },
}

/// What a worker writes when it is done with a lease.
#[derive(Clone)]
pub struct Settlement {
    /// The lease, given back by this write.
    pub lease: Lease,
    /// What changes of the connection; `None` only gives the lease back.
    pub change: Option<Change>,
    /// New tokens, if the provider issued any, with the time the request was sent.
    pub tokens: Option<(Tokens, Timestamp)>,
    /// The raw body of a success that could not be used: kept, encrypted.
    pub unread_answer: Option<Secret>,
    /// Attempts worth keeping: all that did not succeed at once.
    pub attempts: Vec<Attempt>,
    /// One sentence about the failure; `None` clears the former one.
    pub last_error: Option<String>,
    /// The failed job, when the job is given up on.
    pub failed_job: Option<FailedJob>,
    /// When the decision was made.
    pub decided_at: Timestamp,
}

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Written. The connection's version from now on.
    Written(Version),
    /// The row has moved on or is another holder's: nothing was written and nobody is judged.
    Lost,
}

/// Which connections to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// In one of these states; empty means any.
    pub states: Vec<State>,
    /// Of this provider app.
    pub provider: Option<ProviderName>,
    /// Of this user.
    pub user: Option<UserId>,
    /// Whose access token ended before this.
    pub expired_before: Option<Timestamp>,
    /// With this reason.
    pub reason: Option<Reason>,
    /// Whose user, account or label begins with this, whatever the case of its letters, or whose id this is.
    pub text: Option<String>,
}

/// Totals over all connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// All connections.
    pub total: u64,
    /// How many in each state; every state is named.
    pub by_state: BTreeMap<State, u64>,
    /// Refreshable and due now; not those that are paused.
    pub due: u64,
    /// Refreshable and past the end of their access token, paused ones too.
    pub expired: u64,
    /// Paused one by one.
    pub paused: u64,
    /// Refreshed since the time asked about.
    pub refreshed: u64,
    /// Failed jobs that nobody has dealt with.
    pub failed_jobs: u64,
}

/// An access token to be used.
#[derive(Clone)]
pub struct AccessToken {
    /// The token.
    pub token: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Its version, to be named when it is refused.
    pub version: Version,
}
