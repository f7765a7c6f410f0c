//! A job given up on, kept with its whole history until an operator replays or discards it.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{ConnectionId, JobId, ProviderName, UserId};
use crate::state::words;
use crate::verdict::{Attempt, VerdictKind};

words!(
    /// What became of a failed job.
    FailedJobState, "a failed job state (open, replayed, discarded)" {
        /// Nobody has dealt with it.
        Open => "open",
        /// It was published again.
        Replayed => "replayed",
        /// An operator gave it up for good.
        Discarded => "discarded",
    }
);

/// A job given up on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedJob {
    /// The job's id; a fresh one for a message that had none.
    pub id: JobId,
    /// The job's kind as text, or the queue it came from: a message may be of no kind that we know.
    pub kind: String,
    /// The connection, if the message could be read.
    pub connection: Option<ConnectionId>,
    /// The provider app, if known.
    pub provider: Option<ProviderName>,
    /// The whole message body, as text if it is text, else as `base64:…`.
    pub payload: String,
    /// Every attempt, oldest first.
    pub attempts: Vec<Attempt>,
    /// One sentence for people about the last error.
    pub error: String,
    /// W3C trace context of the job.
    pub traceparent: Option<String>,
    /// When it was given up on.
    pub failed_at: Timestamp,
    /// What became of it.
    pub state: FailedJobState,
}

/// Which failed jobs are meant. Everything that is named has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FailedJobFilter {
    /// In one of these states; empty means any.
    pub states: Vec<FailedJobState>,
    /// Of this kind, as the failed job has it.
    pub kind: Option<String>,
    /// Of this provider app.
    pub provider: Option<ProviderName>,
    /// Whose last attempt had this verdict.
    pub verdict: Option<VerdictKind>,
    /// Whose last attempt had this error code.
    pub code: Option<String>,
    /// Of a connection of this user.
    pub user: Option<UserId>,
    /// Of this connection.
    pub connection: Option<ConnectionId>,
    /// Given up on at this time or later.
    pub since: Option<Timestamp>,
    /// Given up on before this time.
    pub until: Option<Timestamp>,
    /// With this text in its error, whatever the case of ASCII letters.
    pub text: Option<String>,
}

/// The place of a failed job in a list that begins with the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailedJobKey {
    /// When it was given up on.
    pub failed_at: Timestamp,
    /// Which, among those of one instant.
    pub id: JobId,
}

impl FailedJob {
    /// Its place in a list.
    pub const fn key(&self) -> FailedJobKey {
        FailedJobKey { failed_at: self.failed_at, id: self.id }
    }
}
