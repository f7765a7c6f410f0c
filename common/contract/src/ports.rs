//! The ports: read this file and know the system.
//!
//! ```text
//! scheduler --Schedule, Offices--> due rows --JobQueue--> workers --Leases, Provider, Apps--> rows --EventBus--> waiters
//! ```
//!
//! The row is the truth, a job is a hint, an event is a hint. So [`Schedule`] only reads, [`JobQueue`] may lose, repeat and
//! reorder, [`EventBus`] may lose, and everything that must be right is right in [`Leases::acquire`] and [`Leases::settle`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;

use crate::Timestamp;
use crate::app::{App, Hold};
use crate::census::{Backlog, Headcount, QueueLevel};
use crate::connection::{
    AccessToken, Connection, ConnectionFilter, Due, IfPresent, LeaseRequest, Leased, NewConnection, Reconnected,
    Settled, Settlement, Stats, Stored,
};
use crate::consent::{CodeCall, ConsentRequest, Identity, IdentityError};
use crate::controls::{Drain, Ordered, Pause, PauseTarget, Pauses};
use crate::event::Event;
use crate::failed_job::{FailedJob, FailedJobFilter, FailedJobKey, FailedJobState};
use crate::ids::{
    ApiKeyId, AuditId, ConnectionId, EndpointId, JobId, MessageId, ProcessId, ProviderName, SessionId, UserId,
};
use crate::job::{Job, JobKind};
use crate::keys::{Resealed, SealedRow};
use crate::operations::{AuditEntry, Tally};
use crate::people::{ApiKey, Flow, Saved, Session, SessionEnd, User, UserKey};
use crate::secret::Secret;
use crate::usage::{Day, DayTotal, DayUse, Rank, UserTotal};
use crate::verdict::{Answer, Attempt, ProviderPolicy, RefreshCall};
use crate::webhook::{
    ClaimedDelivery, ConsentLifetime, Delivery, DeliveryBacklog, DeliveryFilter, DeliveryReport, Endpoint,
    EndpointChange, EndpointSecrets, Message, Reported,
};

// ---------------------------------------------------------------------------------------------------------------- time

/// Time, given to everything that needs it, so that tests own it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock, to the millisecond.
    fn now(&self) -> Timestamp;
    /// A clock that never jumps: time since some fixed point, for measuring and for trust windows.
    fn monotonic(&self) -> Duration;
    /// Returns after this long.
    async fn sleep(&self, wait: Duration);
}

/// Chance, given to everything that needs it, so that tests own it.
pub trait Chance: Send + Sync {
    /// A number in 0..1.
    fn roll(&self) -> f64;
}

// --------------------------------------------------------------------------------------------------------------- store

/// Why a store did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or is overloaded: the same call may succeed later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It holds something that should not be there.
    #[error("{table}.{column} of row {row} is corrupt: {problem}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it; never the content.
        problem: String,
    },
    /// It refused, and would again.
    #[error("the store refused: {0}")]
    Refused(String),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// What is due. Reads only: publishing twice is harmless.
#[async_trait]
pub trait Schedule: Send + Sync {
    /// Up to `limit` due connections of one provider app in the order of `(refresh_at, id)`, from behind `after`.
    async fn due(
        &self,
        provider: &ProviderName,
        now: Timestamp,
        after: Option<Due>,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError>;
    /// The earliest `refresh_at` of a provider app's refreshable connections, past or future.
    async fn next_refresh_at(&self, provider: &ProviderName) -> Result<Option<Timestamp>, StoreError>;
}

/// The right to spend refresh tokens, and the writes that it allows.
///
/// Lease deadlines are kept in the store's own time. One call is one connection; adapters group concurrent calls into one
/// statement and one commit.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes the lease if the row stands as the job says and nobody holds it.
    ///
    /// A lapsed lease is first contested and can be taken by a later call, `takeover_grace` after that.
    async fn acquire(&self, request: LeaseRequest) -> Result<Leased, StoreError>;
    /// Writes the result and gives the lease back, in one commit.
    ///
    /// Without new tokens: only if version and holder are those of the lease. With new tokens the version alone decides: a
    /// rotated token is real whoever holds the lease by now, and dropping it could cost the grant.
    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError>;
}

/// Connections as people and services use them.
#[async_trait]
pub trait Connections: Send + Sync {
    /// Makes connections, in one commit; the answers are in the order of the questions.
    async fn put(&self, connections: Vec<NewConnection>, if_present: IfPresent) -> Result<Vec<Stored>, StoreError>;
    /// Puts a new consent's tokens into a connection of the same user and provider, version + 1, whatever its state. Its
    /// account must be the same, or unknown until now; an account that another connection of the user has is another's.
    async fn reconnect(&self, id: ConnectionId, consent: NewConnection) -> Result<Reconnected, StoreError>;
    /// One connection.
    async fn find(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError>;
    /// A page of connections in the order of their ids, from behind `after`.
    async fn list(
        &self,
        filter: &ConnectionFilter,
        after: Option<ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Connection>, StoreError>;
    /// The stored access token of a refreshable connection, expired or not.
    async fn access_token(&self, id: ConnectionId) -> Result<Option<AccessToken>, StoreError>;
    /// Makes a refreshable connection due now. `false`: there is none.
    async fn make_due(&self, id: ConnectionId, now: Timestamp) -> Result<bool, StoreError>;
    /// Removes the tokens, version + 1. `false`: there is none, or it was disconnected already.
    async fn disconnect(&self, id: ConnectionId) -> Result<bool, StoreError>;
    /// Takes `undecryptable` connections that the present keyring opens back into use, due now. How many.
    async fn restore_decryptable(&self, now: Timestamp) -> Result<u64, StoreError>;
    /// The kept attempts of a connection, newest first.
    async fn attempts(&self, id: ConnectionId, limit: u32) -> Result<Vec<Attempt>, StoreError>;
    /// Totals; `refreshed` counts those refreshed at or after `since`.
    async fn stats(&self, now: Timestamp, since: Timestamp) -> Result<Stats, StoreError>;
}

/// The state of provider apps, shared by the whole cluster.
#[async_trait]
pub trait Apps: Send + Sync {
    /// Every app that was ever held.
    async fn apps(&self) -> Result<Vec<App>, StoreError>;
    /// Holds an app. `true`: it was open, or an outage became a fault; exactly one caller is told so, and announces it.
    async fn hold(&self, provider: &ProviderName, hold: Hold, now: Timestamp) -> Result<bool, StoreError>;
    /// Opens an app. `true`: it was held; exactly one caller is told so, and announces it.
    async fn open(&self, provider: &ProviderName, now: Timestamp) -> Result<bool, StoreError>;
    /// Takes the turn to probe a held app, if it is due; the next turn comes at `next`. At most one caller gets it.
    async fn claim_probe(&self, provider: &ProviderName, now: Timestamp, next: Timestamp) -> Result<bool, StoreError>;
}

/// Jobs given up on.
#[async_trait]
pub trait FailedJobs: Send + Sync {
    /// Keeps a failed job; one that is kept already stays as it is.
    async fn record(&self, job: FailedJob) -> Result<(), StoreError>;
    /// Removes what nobody needs any more and is older than this: dealt-with jobs, kept attempts, sessions that were over
    /// and consents under way that had expired by then. How many rows.
    async fn forget_before(&self, before: Timestamp) -> Result<u64, StoreError>;
}

/// A running process, as it tells the others.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Peer {
    /// Which.
    pub process: ProcessId,
    /// What it runs, such as `worker`.
    pub role: String,
    /// Fingerprint of the key that it encrypts with.
    pub primary_key: String,
    /// Fingerprints of all keys that it decrypts with.
    pub keys: Vec<String>,
    /// The last time it said so, in the store's time.
    pub seen_at: Timestamp,
    /// The order to take no new jobs, if one stands. No process tells this of itself: announcing leaves it alone.
    pub drain: Option<Drain>,
}

impl Peer {
    /// Whether it takes jobs.
    pub fn runs_workers(&self) -> bool {
        matches!(self.role.as_str(), "worker" | "serve")
    }
}

/// Who is there and who leads.
#[async_trait]
pub trait Offices: Send + Sync {
    /// Takes or keeps an office, such as `scheduler`, for so long in the store's time. `false`: another process has it.
    async fn lead(&self, office: &'static str, process: ProcessId, ttl: Duration) -> Result<bool, StoreError>;
    /// Gives an office back, if this process has it.
    async fn resign(&self, office: &'static str, process: ProcessId) -> Result<(), StoreError>;
    /// Tells the others that this process lives; `seen_at` is set by the store.
    async fn announce(&self, peer: &Peer) -> Result<(), StoreError>;
    /// Tells the others that this process ends.
    async fn depart(&self, process: ProcessId) -> Result<(), StoreError>;
    /// Processes that have announced themselves within this time.
    async fn peers(&self, within: Duration) -> Result<Vec<Peer>, StoreError>;
    /// Fingerprints of the keys that stored rows are encrypted with, and how many rows each: tokens and what signs webhooks.
    async fn keys_in_use(&self) -> Result<Vec<(String, u64)>, StoreError>;
}

/// From one encryption key to another, beside everything that refreshes.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Up to `limit` rows that are under another key than the one that encrypts, in the order of `(key, id)`, from behind
    /// `after`. Reads only.
    async fn sealed_under_other_keys(
        &self,
        after: Option<&SealedRow>,
        limit: u32,
    ) -> Result<Vec<SealedRow>, StoreError>;
    /// How many rows are under each of those other keys. Costs what is left to do, and next to nothing once it is done.
    async fn rows_under_other_keys(&self) -> Result<Vec<(String, u64)>, StoreError>;
    /// Encrypts rows again, each only if it stands as it was read, version and ciphertexts alike: a refresh in between
    /// wins, always. Waits for nobody's lock. What does not open is left as it is.
    async fn reseal(&self, rows: Vec<SealedRow>) -> Result<Resealed, StoreError>;
}

/// Where settlements wait that a process could not store before it had to end. Encrypted, on a disk of its own.
#[async_trait]
pub trait Spool: Send + Sync {
    /// Keeps a settlement until [`Spool::forget`].
    async fn keep(&self, settlement: &Settlement) -> Result<(), StoreError>;
    /// Every kept settlement that can be read, with the name to forget it by.
    async fn kept(&self) -> Result<Vec<(String, Settlement)>, StoreError>;
    /// Removes one that is stored, or that the row has moved past.
    async fn forget(&self, name: &str) -> Result<(), StoreError>;
}

/// The people who may sign in.
#[async_trait]
pub trait Users: Send + Sync {
    /// One user.
    async fn user(&self, key: UserKey<'_>) -> Result<Option<User>, StoreError>;
    /// Makes a user, or replaces everything but the password of the one with this id. `created_at` stays what it was.
    async fn save_user(&self, user: &User) -> Result<Saved, StoreError>;
    /// A page of users in the order of their ids, from behind `after`.
    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError>;
    /// The argon2 hash of a user's password, if they have one.
    async fn password(&self, id: &UserId) -> Result<Option<Secret>, StoreError>;
    /// Sets or removes that hash. `false`: there is no such user.
    async fn set_password(&self, id: &UserId, hash: Option<&Secret>) -> Result<bool, StoreError>;
}

/// Signed-in browsers, and consents under way.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Keeps a new session.
    async fn open_session(&self, session: &Session) -> Result<(), StoreError>;
    /// One session, ended or not.
    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError>;
    /// Moves a session on from this generation to the next, issued at `now` and idle until then. `false`: it is not at that
    /// generation any more, or has ended; look again.
    async fn advance_session(
        &self,
        id: SessionId,
        from_generation: i64,
        now: Timestamp,
        idle_until: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Ends one session. `false`: there is none, or it had ended.
    async fn end_session(&self, id: SessionId, reason: SessionEnd, now: Timestamp) -> Result<bool, StoreError>;
    /// Ends every session of a user that has not ended. How many.
    async fn end_sessions(&self, user: &UserId, reason: SessionEnd, now: Timestamp) -> Result<u64, StoreError>;
    /// Keeps a consent under way, and forgets those that expired before `now`.
    async fn keep_flow(&self, flow: &Flow, now: Timestamp) -> Result<(), StoreError>;
    /// Takes a consent under way out of the store: at most one caller gets it, and only before it expires.
    async fn take_flow(&self, state: &[u8; 32], now: Timestamp) -> Result<Option<Flow>, StoreError>;
}

/// The keys of services.
#[async_trait]
pub trait ApiKeys: Send + Sync {
    /// Keeps a new key. `false`: one that is not revoked has this name.
    async fn keep_api_key(&self, key: &ApiKey) -> Result<bool, StoreError>;
    /// One key, revoked or not.
    async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;
    /// Every key, newest first.
    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError>;
    /// Revokes a key. `false`: there is none, or it was revoked.
    async fn revoke_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<bool, StoreError>;
    /// Notes that a key was used. Callers do so at most once a minute.
    async fn api_key_used(&self, id: ApiKeyId, now: Timestamp) -> Result<(), StoreError>;
}

/// What operators look at and what they do: failed jobs, the audit log, and what happened minute by minute.
#[async_trait]
pub trait Operations: Send + Sync {
    /// A page of failed jobs, newest first, from behind `after`.
    async fn failed_jobs(
        &self,
        filter: &FailedJobFilter,
        after: Option<FailedJobKey>,
        limit: u32,
    ) -> Result<Vec<FailedJob>, StoreError>;
    /// One failed job, dealt with or not.
    async fn failed_job(&self, id: JobId) -> Result<Option<FailedJob>, StoreError>;
    /// How many there are; counting stops at `at_most`.
    async fn count_failed_jobs(&self, filter: &FailedJobFilter, at_most: u64) -> Result<u64, StoreError>;
    /// Says that an open failed job was dealt with, with the line of the audit log in the same commit. `false`: it is not
    /// open any more, and nothing was written.
    async fn close_failed_job(&self, id: JobId, state: FailedJobState, audit: &AuditEntry) -> Result<bool, StoreError>;
    /// Adds a line to the audit log.
    async fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError>;
    /// A page of the audit log, newest first, from behind `after`; of one subject, if named.
    async fn audit_log(
        &self,
        subject: Option<&str>,
        after: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError>;
    /// Adds to what is counted of these minutes. Of levels the highest stays.
    async fn add_activity(&self, tallies: &[Tally]) -> Result<(), StoreError>;
    /// What was counted from `since` until before `until`, in the order of the minutes.
    async fn activity(&self, since: Timestamp, until: Timestamp) -> Result<Vec<Tally>, StoreError>;
}

/// What is done for whom, day by day.
#[async_trait]
pub trait Usage: Send + Sync {
    /// Adds to what is counted of these days.
    async fn add_usage(&self, uses: &[DayUse]) -> Result<(), StoreError>;
    /// Totals by day and provider app from `since` to `until`, both included, in their order; of one user, if named.
    async fn usage_by_day(&self, since: Day, until: Day, user: Option<&UserId>) -> Result<Vec<DayTotal>, StoreError>;
    /// The users with the most from `since` to `until`, most first; those with none of it are not among them.
    async fn usage_by_user(&self, since: Day, until: Day, by: Rank, limit: u32) -> Result<Vec<UserTotal>, StoreError>;
    /// Forgets the days before this. How many rows.
    async fn forget_usage_before(&self, before: Day) -> Result<u64, StoreError>;
    /// Notes that connections were used. An earlier time than the one noted changes nothing, and an id that is gone neither.
    async fn note_used(&self, uses: &[(ConnectionId, Timestamp)]) -> Result<(), StoreError>;
    /// When somebody used a connection last; consenting and importing are uses too. `None`: there is no such connection.
    async fn last_used(&self, id: ConnectionId) -> Result<Option<Timestamp>, StoreError>;
    /// Of how many refreshable connections (the second) how many were used by nobody since (the first).
    async fn unused_since(&self, since: Timestamp) -> Result<(u64, u64), StoreError>;
}

/// How much there is, for metrics. One process asks now and then: never once per request or per scrape.
#[async_trait]
pub trait Census: Send + Sync {
    /// The due connections of a provider app. Counting stops at `at_most`, and costs no more than reading so many entries of
    /// the index that the scheduler looks at.
    async fn backlog(&self, provider: &ProviderName, now: Timestamp, at_most: u32) -> Result<Backlog, StoreError>;
    /// Of the `at_most` connections of a provider app that have been due the longest, those whose access token has ended.
    async fn expired(&self, provider: &ProviderName, now: Timestamp, at_most: u32) -> Result<u64, StoreError>;
    /// Connections by provider app and state; what nobody is in is not named. Reads the whole schedule, which is narrow, and
    /// gives up after `patience` where the store can: ask rarely.
    async fn headcount(&self, patience: Duration) -> Result<Vec<Headcount>, StoreError>;
}

/// What operators hold back by hand. Everything here is a row: processes look at it again and again, and a restart changes
/// nothing.
#[async_trait]
pub trait Controls: Send + Sync {
    /// The pauses of queues and provider apps. Paused connections show in their own rows.
    async fn pauses(&self) -> Result<Pauses, StoreError>;
    /// A page of the pauses of connections, in the order of the connections' ids, from behind `after`.
    async fn paused_connections(&self, after: Option<ConnectionId>, limit: u32) -> Result<Vec<Pause>, StoreError>;
    /// How many connections are paused.
    async fn count_paused_connections(&self) -> Result<u64, StoreError>;
    /// Pauses, with the line of the audit log in the same commit. Only [`Ordered::Done`] has written anything. A refresh that
    /// is in hand is finished.
    async fn pause(&self, pause: &Pause, audit: &AuditEntry) -> Result<Ordered<Pause>, StoreError>;
    /// Ends a pause, with the line of the audit log in the same commit, and says which it was. `None`: there was none, and
    /// nothing was written. What fell due meanwhile is due at once, the longest overdue first.
    async fn resume(&self, target: &PauseTarget, audit: &AuditEntry) -> Result<Option<Pause>, StoreError>;
    /// Asks a process that has announced itself to take no new jobs, as [`Controls::pause`] does. Its end is the order's end.
    async fn drain(&self, process: ProcessId, drain: &Drain, audit: &AuditEntry) -> Result<Ordered<Drain>, StoreError>;
    /// Lets a process take jobs again, as [`Controls::resume`] does.
    async fn undrain(&self, process: ProcessId, audit: &AuditEntry) -> Result<Option<Drain>, StoreError>;
    /// Whether a process is to take no new jobs.
    async fn drain_of(&self, process: ProcessId) -> Result<Option<Drain>, StoreError>;
    /// Notes that a drained process has nothing in hand any more.
    async fn drained(&self, process: ProcessId, at: Timestamp) -> Result<(), StoreError>;
}

/// Receivers of webhooks and what they are told.
///
/// The messages themselves are written by whatever changes a state: [`Leases::settle`], [`Connections::put`],
/// [`Connections::reconnect`], [`Connections::restore_decryptable`], [`Apps::hold`] and [`Apps::open`], in their own commit.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Keeps a new endpoint, enabled, with its secret encrypted.
    async fn add_endpoint(&self, endpoint: &Endpoint, secret: &Secret) -> Result<(), StoreError>;
    /// Every endpoint, oldest first. There are few.
    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError>;
    /// One endpoint.
    async fn endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError>;
    /// Changes an endpoint. `false`: there is none.
    async fn change_endpoint(&self, id: EndpointId, change: &EndpointChange) -> Result<bool, StoreError>;
    /// Removes an endpoint with its deliveries. `false`: there is none.
    async fn remove_endpoint(&self, id: EndpointId) -> Result<bool, StoreError>;
    /// Puts a new secret in the place of the present one, which signs beside it until `former_until`. `false`: there is none.
    async fn rotate_endpoint_secret(
        &self,
        id: EndpointId,
        secret: &Secret,
        former_until: Timestamp,
    ) -> Result<bool, StoreError>;
    /// What messages to an endpoint are signed with at `now`. `None`: there is none, or no key of the keyring opens it.
    async fn endpoint_secrets(&self, id: EndpointId, now: Timestamp) -> Result<Option<EndpointSecrets>, StoreError>;
    /// Encrypts secrets of endpoints anew that are not under the key that encrypts now. There are few; one that is rotated
    /// meanwhile is left alone, and so is one that no key opens. How many.
    async fn reseal_endpoint_secrets(&self) -> Result<u64, StoreError>;
    /// A page of an endpoint's deliveries, newest message first, from behind `after`.
    async fn deliveries(
        &self,
        endpoint: EndpointId,
        filter: &DeliveryFilter,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;
    /// One message, as it is sent.
    async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError>;
    /// Claims up to `limit` deliveries that are due, the longest due first, for `ttl` in the store's time; none of the
    /// endpoints in `except`. Nobody else gets them before that has passed.
    async fn claim_deliveries(
        &self,
        now: Timestamp,
        ttl: Duration,
        except: &[EndpointId],
        limit: u32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError>;
    /// Writes what came of a claimed delivery.
    async fn report_delivery(&self, report: &DeliveryReport) -> Result<Reported, StoreError>;
    /// Makes one delivery due again, whatever became of it; its message keeps its id. `false`: there is none, or its endpoint
    /// is disabled.
    async fn replay_delivery(
        &self,
        endpoint: EndpointId,
        message: MessageId,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Makes due again what an enabled endpoint missed since then: deliveries that were given up, and messages of its kinds
    /// that came while it was disabled. How many.
    async fn replay_missed(&self, endpoint: EndpointId, since: Timestamp, now: Timestamp) -> Result<u64, StoreError>;
    /// Tells of consents that end, each once for each threshold; of those that a provider gave no end, by these lifetimes. Up
    /// to `limit` at a time: how many.
    async fn tell_of_expiring(
        &self,
        lifetimes: &[ConsentLifetime],
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;
    /// How much there is to deliver.
    async fn delivery_backlog(&self) -> Result<DeliveryBacklog, StoreError>;
}

/// Everything that a store does. An adapter implements the parts and gets this for nothing.
pub trait Store:
    Schedule
    + Census
    + Leases
    + Connections
    + Apps
    + Controls
    + FailedJobs
    + Offices
    + Users
    + Sessions
    + ApiKeys
    + Keys
    + Operations
    + Usage
    + Webhooks
{
}

impl<T> Store for T where
    T: Schedule
        + Census
        + Leases
        + Connections
        + Apps
        + Controls
        + FailedJobs
        + Offices
        + Users
        + Sessions
        + ApiKeys
        + Keys
        + Operations
        + Usage
        + Webhooks
{
}

// --------------------------------------------------------------------------------------------------------------- queue

/// Why a queue did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// It cannot be reached, or did not confirm in time: some of the jobs may be in it. Publishing again is harmless.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
    /// It takes no more for now.
    #[error("the queue is full")]
    Full,
    /// It refused, and would again.
    #[error("the queue refused: {0}")]
    Refused(String),
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is dealt with, or the row says that there is nothing to deal with.
    Done,
    /// This process could not deal with it, and another may: it goes back to the queue. Never a retry: those live in the row.
    PutBack,
}

/// Does one job. Called concurrently.
#[async_trait]
pub trait JobHandler: Send + Sync + 'static {
    /// Does the job and says what becomes of its delivery.
    async fn handle(&self, job: Job) -> Fate;
}

/// Carries jobs from those who find work to those who do it. May lose, repeat and reorder.
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Returns when the queue has taken all of them.
    async fn publish(&self, jobs: Vec<Job>) -> Result<(), QueueError>;
    /// Hands jobs of one kind to the handler, up to `concurrency` at a time, until `stop`; then finishes those in hand and
    /// returns. Survives the loss of its connection. An error means that it cannot go on.
    async fn work(
        &self,
        kind: JobKind,
        concurrency: u32,
        handler: Arc<dyn JobHandler>,
        stop: CancellationToken,
    ) -> Result<(), QueueError>;
    /// Messages waiting, those in hand apart. One may carry several jobs.
    async fn depth(&self, kind: JobKind) -> Result<u64, QueueError>;
    /// What every queue says of itself, that of dead letters last.
    async fn levels(&self) -> Result<Vec<QueueLevel>, QueueError>;
    /// Moves every message that could not be read, whole, into failed jobs, until `stop`.
    async fn drain_dead_letters(&self, into: Arc<dyn FailedJobs>, stop: CancellationToken) -> Result<(), QueueError>;
}

// -------------------------------------------------------------------------------------------------------------- events

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Something happened.
    Event(Event),
    /// Events may have been missed: whoever waits should look at the rows.
    Gap,
}

/// Tells every instance what happened. May lose; a [`Heard::Gap`] says so where it is known.
#[async_trait]
pub trait EventBus: Send + Sync {
    /// Sends, or gives up: an event is a hint, so its loss is nobody's failure.
    async fn publish(&self, events: Vec<Event>);
    /// Everything from now on, until dropped.
    async fn subscribe(&self) -> BoxStream<'static, Heard>;
}

// ------------------------------------------------------------------------------------------------------------ provider

/// One provider app's token endpoint.
#[async_trait]
pub trait Provider: Send + Sync {
    /// How this provider treats tokens.
    fn policy(&self) -> &ProviderPolicy;
    /// Waits, no longer than `patience`, for the app's rate limit to let one call through. `Err` is how long it would take.
    /// Forced refreshes go ahead of those that are due: somebody waits for them.
    async fn admit(&self, kind: JobKind, patience: Duration) -> Result<(), Duration>;
    /// Makes one call and says what its answer means. Never fails: no answer is a verdict too.
    async fn refresh(&self, call: RefreshCall<'_>) -> Answer;
}

/// How grants of one provider app begin.
#[async_trait]
pub trait Consents: Send + Sync {
    /// The page where a person consents.
    fn consent_url(&self, request: &ConsentRequest<'_>) -> String;
    /// The scopes that a consent asks for.
    fn scopes(&self) -> &[String];
    /// When a consent given at `at` ends, if it does.
    fn consent_ends(&self, at: Timestamp) -> Option<Timestamp>;
    /// Exchanges a code for tokens. Never fails: no answer is a verdict too. `GrantInvalid` is about the code.
    async fn exchange(&self, call: CodeCall<'_>) -> Answer;
    /// Asks the provider whose token this is.
    async fn identify(&self, access_token: &Secret) -> Result<Identity, IdentityError>;
}
