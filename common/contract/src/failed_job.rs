//! A job given up on, kept with its whole history until an operator replays or discards it.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{ConnectionId, JobId, ProviderName};
use crate::state::words;
use crate::verdict::Attempt;

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
