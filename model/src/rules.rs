//! What is explored: how many faults, of which provider, and which rule is broken to see that the properties notice.

use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, ProcessId};
use evergrant_contract::timing::{BackOff, after};
use evergrant_contract::verdict::{Confirmation, ProviderPolicy, Rotation};
use evergrant_workers::WorkerSettings;
use uuid::Uuid;

/// A second of the model's time. A byte, so that a world is small.
pub(crate) type Tick = u8;

/// How long access tokens live. The margin is a quarter.
pub(crate) const LIFETIME: Tick = 40;
/// A job that has not moved its row for so long is published again.
pub(crate) const REPUBLISH_AFTER: Tick = 2;
/// A worker that holds a result tries at least so often to write it.
pub(crate) const WRITE_EVERY: Tick = 1;
/// How far the scheduler's clock may be ahead.
pub(crate) const SCHEDULER_AHEAD: Tick = 2;
/// How far the clock of each worker is ahead.
pub(crate) const WORKERS_AHEAD: [Tick; 2] = [0, 1];
/// Faults happen before this.
pub(crate) const STORM: Tick = 14;
/// A connection that is not refreshed before this never will be.
pub(crate) const END: Tick = STORM + 30;

/// A rule that is left out, so that the properties can be seen to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A lease is given to whoever asks, held or not.
    LeaseIsNotExclusive,
    /// A lapsed lease is taken over at once instead of being contested first.
    LapsedLeaseIsNotContested,
    /// A lapsed lease is never taken over.
    LapsedLeaseIsKept,
    /// A job is not compared with the `refresh_at` of its row.
    JobIsNotFenced,
    /// A call is made without asking whether it still fits into the lease: also what a process does that is stopped between
    /// the asking and the calling.
    CallDoesNotFitTheLease,
    /// A result is written whatever version the row has by now.
    VersionIsNotCompared,
    /// A result with tokens is written by the holder of the lease only.
    TokensNeedTheHolder,
    /// The first `invalid_grant` is believed.
    FirstInvalidGrantIsBelieved,
    /// The holder before that never reported is not mentioned.
    TakeoverIsSilent,
    /// The job is acknowledged before its result is written.
    AcknowledgedFirst,
    /// The scheduler never publishes again what it has published.
    PublishedOnce,
}

/// A fault that no rule helps against: see the known limits in docs/ARCHITECTURE.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// A process may be stopped with an answer in hand.
    StoppedWithAnAnswer,
    /// The store may go away while a lapsed lease is contested.
    StoreLostInAContest,
    /// The clock of the store may be stepped forwards by as much as a lease.
    StoreClockJumps,
    /// A process may be told to end while the store is away: its answer waits in the spool.
    AnswerInTheSpool,
}

/// The protocol, with as many faults as are to be explored.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// How the provider treats refresh tokens that were spent.
    pub rotation: Rotation,
    /// How many faults may happen, of whichever kinds.
    pub faults: u8,
    /// How many times somebody forces a refresh.
    pub forces: u8,
    /// How many times the user consents anew.
    pub consents: u8,
    /// The limit that may be met.
    pub limit: Option<Limit>,
    /// The rule that is left out.
    pub broken: Option<Broken>,
}

impl Protocol {
    /// So many faults and nothing else, with a provider of this kind.
    pub const fn new(rotation: Rotation, faults: u8) -> Self {
        Self { rotation, faults, forces: 0, consents: 0, limit: None, broken: None }
    }

    pub(crate) fn meets(&self, limit: Limit) -> bool {
        self.limit == Some(limit)
    }

    pub(crate) fn breaks(&self, rule: Broken) -> bool {
        self.broken == Some(rule)
    }

    /// The provider's ways.
    pub fn policy(&self) -> ProviderPolicy {
        ProviderPolicy {
            // A word of letters is a name.
            name: "model".parse().unwrap_or_else(|_| unreachable!("a name")),
            rotation: self.rotation,
            confirmation: Confirmation::InJob { after_ms: 1_000 },
            margin_share_percent: 25,
            call_timeout: Duration::from_secs(1),
        }
    }

    /// The settings of a worker, in seconds that are as few as the product takes.
    pub const fn settings() -> WorkerSettings {
        WorkerSettings {
            concurrency_due: 1,
            concurrency_force: 1,
            lease: Duration::from_secs(8),
            takeover_grace: Duration::from_secs(3),
            tries: 2,
            commit_budget: Duration::from_secs(1),
            admit_patience: Duration::ZERO,
            rest_after: None,
            buffer: Duration::from_mins(15),
            back_off: BackOff { first: Duration::from_secs(2), cap: Duration::from_secs(4) },
            max_attempts: 2,
            outage_probe_every: Duration::from_secs(5),
            fault_probe_every: Duration::from_mins(1),
        }
    }
}

const EPOCH_SECS: i64 = 1_800_000_000;

/// A time of the model as the product writes it.
pub(crate) fn time(tick: Tick) -> Timestamp {
    after(Timestamp::from_timestamp(EPOCH_SECS, 0).unwrap_or_default(), Duration::from_secs(tick.into()))
}

/// A time of the product as the model counts it.
pub(crate) fn tick(at: Timestamp) -> Tick {
    Tick::try_from((at.timestamp_millis() - EPOCH_SECS * 1_000).div_euclid(1_000)).unwrap_or(Tick::MAX)
}

/// The only connection there is: no rule looks at two.
pub(crate) fn connection() -> ConnectionId {
    Uuid::from_u128(1).into()
}

/// The name of a process.
pub(crate) fn process(number: u8) -> ProcessId {
    Uuid::from_u128(number.into()).into()
}
