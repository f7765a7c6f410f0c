//! How much there is: what is counted for metrics now and then, by one process for all.

use crate::Timestamp;
use crate::ids::ProviderName;
use crate::state::{State, words};

/// The due connections of one provider app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many there are, or the limit asked for if there are more.
    pub due: u64,
    /// Since when the oldest is due.
    pub oldest: Option<Timestamp>,
}

/// How many connections of one provider app are in one state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Headcount {
    /// Of which app.
    pub provider: ProviderName,
    /// In which state.
    pub state: State,
    /// How many.
    pub connections: u64,
}

words!(
    /// The queues of the system.
    QueueName, "a queue (refresh_due, force_refresh, dead_letters)" {
        /// Tokens that are about to expire.
        RefreshDue => "refresh_due",
        /// Tokens that somebody saw fail.
        ForceRefresh => "force_refresh",
        /// Messages that no worker can read.
        DeadLetters => "dead_letters",
    }
);

/// What a queue says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLevel {
    /// Which.
    pub queue: QueueName,
    /// Messages waiting, those in hand apart.
    pub waiting: u64,
    /// Workers that take messages from it, each counted once however many it takes at a time.
    pub consumers: u64,
}
