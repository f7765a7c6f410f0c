//! What is asked of [`Waits`](super::Waits), and what comes of it.

use std::time::Duration;

use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::job::ForceReason;
use evergrant_contract::state::Reason;

/// A forced refresh to be waited for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Of which connection.
    pub connection: ConnectionId,
    /// The version that the caller saw fail. A newer one in the store is the answer, without any call.
    pub observed: Version,
    /// Why.
    pub reason: ForceReason,
    /// How long this caller waits, if less than `force.wait_ms`. It shortens nobody else's wait.
    pub patience: Option<Duration>,
    /// W3C trace context of the caller: it goes with the job.
    pub traceparent: Option<String>,
}

/// What came of a forced refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited {
    /// This version is stored, newer than the one observed.
    Refreshed(Version),
    /// The grant has ended, or the user took it away.
    NeedsReauth(Reason),
    /// Not now: the provider does not answer, asks for a pause or refuses our app. The connection keeps its tokens.
    Unavailable {
        /// How long to wait before asking again.
        retry_after: Duration,
        /// One sentence for people.
        message: String,
        /// The provider refuses our own credentials: waiting does not help, an operator has to act.
        is_app_fault: bool,
    },
    /// An operator has paused it: no call is made until it is resumed.
    Paused {
        /// How long to wait before asking again.
        retry_after: Duration,
        /// One sentence for people: what is paused, and why.
        message: String,
    },
    /// The refresh was asked for and goes on; its outcome did not come in time.
    Pending {
        /// How long to wait before asking again.
        retry_after: Duration,
    },
    /// The token that was refused had just been issued: another one would be refused too. No call was made.
    Rejected,
    /// There is no such connection.
    NotFound,
    /// Too many requests wait already.
    Overloaded,
    /// The store or the queue was away all the time: nothing could be asked for.
    Away {
        /// How long to wait before asking again.
        retry_after: Duration,
    },
}

impl Waited {
    /// The word for metrics, logs, the audit log and programs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Refreshed(_) => "refreshed",
            Self::NeedsReauth(_) => "needs_reauth",
            Self::Unavailable { .. } => "unavailable",
            Self::Paused { .. } => "paused",
            Self::Pending { .. } => "pending",
            Self::Rejected => "rejected",
            Self::NotFound => "not_found",
            Self::Overloaded => "overloaded",
            Self::Away { .. } => "away",
        }
    }
}
