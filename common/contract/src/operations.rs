//! What operators look at and what they do.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{AuditId, ProviderName};
use crate::state::words;

// -------------------------------------------------------------------------------------------------------------- audit

words!(
    /// What somebody did.
    Action, "an action (replay_job, discard_job, refresh_connection, disconnect_connection)" {
        /// A failed job was replayed.
        ReplayJob => "replay_job",
        /// A failed job was given up for good.
        DiscardJob => "discard_job",
        /// A connection was refreshed by hand.
        RefreshConnection => "refresh_connection",
        /// A queue, a provider app or a connection was paused.
        Pause => "pause",
        /// A pause was ended.
        Resume => "resume",
        /// A worker was told to take no new jobs.
        DrainWorker => "drain_worker",
        /// A drained worker was told to take jobs again.
        ResumeWorker => "resume_worker",
        /// A new encryption key was made the first, or the steps towards it were checked.
        RotateKey => "rotate_key",
        /// Rows were encrypted again under the present key, by hand.
        Reencrypt => "reencrypt",
        /// An encryption key was found to be needed no more.
        RetireKey => "retire_key",
        /// A receiver of webhooks was made.
        CreateWebhook => "create_webhook",
        /// A receiver of webhooks was changed, enabled or disabled.
        UpdateWebhook => "update_webhook",
        /// A receiver of webhooks was removed.
        DeleteWebhook => "delete_webhook",
        /// A receiver of webhooks was given a new secret.
        RotateWebhookSecret => "rotate_webhook_secret",
        /// A receiver of webhooks was sent a test.
        TestWebhook => "test_webhook",
        /// Messages for a receiver of webhooks were made due again.
        ReplayWebhook => "replay_webhook",
        /// A connection was taken away.
        DisconnectConnection => "disconnect_connection",
    }
);

/// Who did what, when and why. Written once, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Sorts by time.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who: `user <e-mail or id>`, `key <name>` or `cli <name>`.
    pub actor: String,
    /// What.
    pub action: Action,
    /// To what: the id of a failed job, a connection or a process, or what was paused, such as `app amazon-na`.
    pub subject: String,
    /// Why, in the words of whoever did it; may be empty.
    pub reason: String,
    /// What came of it, in a word such as `published` or `moved_on`.
    pub outcome: String,
}

// ----------------------------------------------------------------------------------------------------------- activity

words!(
    /// What is counted minute by minute, for charts.
    Series, "a series (attempts, seconds_left, force_seconds, due, queue_depth)" {
        /// Calls of the token endpoint; labels are verdicts.
        Attempts => "attempts",
        /// Scheduled refreshes by what was left of the token's life; labels are upper bounds in seconds, `+Inf` the last.
        SecondsLeft => "seconds_left",
        /// Forced refreshes by how long callers waited; labels are upper bounds in seconds, `+Inf` the last.
        ForceSeconds => "force_seconds",
        /// Connections that are due: a level, the highest of the minute.
        Due => "due",
        /// Jobs that wait in a queue: a level, the highest of the minute; labels are kinds of job.
        QueueDepth => "queue_depth",
    }
);

impl Series {
    /// Whether it is a level, of which the highest counts, or a count, of which the sum does.
    pub const fn is_level(self) -> bool {
        matches!(self, Self::Due | Self::QueueDepth)
    }
}

/// What happened in one minute, by all processes together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The minute's begin.
    pub minute: Timestamp,
    /// What is counted.
    pub series: Series,
    /// Of which provider app, where the series is by provider app.
    pub provider: Option<ProviderName>,
    /// Which part of the series; may be empty.
    pub label: String,
    /// How many, or how high.
    pub count: u64,
}
