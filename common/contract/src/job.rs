//! Jobs and their wire format.
//!
//! A job is a hint: ids, versions and times, never a token. The format is JSON with a version number, so that a queue can be
//! read by people and by the release before and after this one.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{ConnectionId, JobId, Version};
use crate::state::words;

words!(
    /// The kinds of job; each has a queue and a worker capacity of its own.
    JobKind, "a job kind (refresh_due, force_refresh)" {
        /// A token is about to expire.
        RefreshDue => "refresh_due",
        /// Somebody saw a token fail and waits.
        ForceRefresh => "force_refresh",
    }
);

words!(
    /// Why a refresh is forced.
    ForceReason, "a reason to force a refresh" {
        /// An API answered 401 to the observed token.
        Unauthorized => "unauthorized",
        /// The stored token is good, but not for as long as its taker needs it.
        Expiring => "expiring",
        /// A person asked for it.
        Operator => "operator",
    }
);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Payload {
    /// Refresh, if nothing has happened to the row since the scheduler looked at it.
    RefreshDue {
        /// The connection to refresh.
        connection: ConnectionId,
        /// Its version when the scheduler looked.
        version: Version,
        /// Its `refresh_at` when the scheduler looked: a row that was moved since is left alone, whatever any clock says.
        refresh_at: Timestamp,
    },
    /// Refresh, unless a version newer than the observed one is stored, or somebody else's attempt has moved the row.
    ForceRefresh {
        /// The connection to refresh.
        connection: ConnectionId,
        /// The version that the caller saw fail.
        observed_version: Version,
        /// The row's `refresh_at` when the caller asked: of many who ask at once, one attempt answers all, even if it fails.
        refresh_at: Timestamp,
        /// Why.
        reason: ForceReason,
        /// Nobody waits any more after this: the job is dropped.
        deadline: Timestamp,
    },
}

impl Payload {
    /// Which kind of job this is.
    pub const fn kind(&self) -> JobKind {
        match self {
            Self::RefreshDue { .. } => JobKind::RefreshDue,
            Self::ForceRefresh { .. } => JobKind::ForceRefresh,
        }
    }

    /// The connection that it is about.
    pub const fn connection(&self) -> ConnectionId {
        match self {
            Self::RefreshDue { connection, .. } | Self::ForceRefresh { connection, .. } => *connection,
        }
    }

    /// The row's `refresh_at` when the job was made.
    pub const fn refresh_at(&self) -> Timestamp {
        match self {
            Self::RefreshDue { refresh_at, .. } | Self::ForceRefresh { refresh_at, .. } => *refresh_at,
        }
    }

    /// The version that the job was made for.
    pub const fn version(&self) -> Version {
        match self {
            Self::RefreshDue { version, .. } => *version,
            Self::ForceRefresh { observed_version, .. } => *observed_version,
        }
    }
}

/// A payload with its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The same through all deliveries.
    pub id: JobId,
    /// What is to be done.
    #[serde(flatten)]
    pub payload: Payload,
    /// W3C trace context of whoever published it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The version of the format that [`Job::encode`] writes.
const FORMAT: u32 = 1;

/// A message that is not a job that this release knows.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is not JSON of the right shape. The text names the place, never the content.
    #[error("not a job: {0}")]
    Malformed(String),
    /// It was written by another release.
    #[error("job format {0} is unknown to this release, which reads format {FORMAT}")]
    UnknownFormat(u32),
}

#[derive(Serialize, Deserialize)]
struct Wire<T> {
    v: u32,
    #[serde(flatten)]
    job: T,
}

#[derive(Deserialize)]
struct FormatOnly {
    v: u32,
}

impl Job {
    /// A new job.
    pub fn new(payload: Payload) -> Self {
        Self { id: JobId::generate(), payload, traceparent: None }
    }

    /// The message body.
    pub fn encode(&self) -> Vec<u8> {
        // Plain structs with string keys: serialization cannot fail.
        serde_json::to_vec(&Wire { v: FORMAT, job: self }).unwrap_or_default()
    }

    /// Reads a message body.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let place = |error: serde_json::Error| {
            let what = if error.is_data() { "unexpected content" } else { "invalid JSON" };
            DecodeError::Malformed(format!("{what} at line {} column {}", error.line(), error.column()))
        };
        let format: FormatOnly = serde_json::from_slice(body).map_err(place)?;
        if format.v != FORMAT {
            return Err(DecodeError::UnknownFormat(format.v));
        }
        serde_json::from_slice::<Wire<Self>>(body).map(|wire| wire.job).map_err(place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn due() -> Job {
        Job::new(Payload::RefreshDue {
            connection: ConnectionId::generate(),
            version: Version::new(7),
            refresh_at: Timestamp::from_timestamp_millis(1_800_000_000_123).unwrap(),
        })
    }

    #[test]
    fn a_job_reads_back() {
        let job = due();
        assert_eq!(Job::decode(&job.encode()).unwrap(), job);
    }

    #[test]
    fn the_format_is_pinned() {
        let text = r#"{"v":1,"id":"0197b0a0-0000-7000-8000-000000000001","kind":"force_refresh",
            "connection":"0197b0a0-0000-7000-8000-000000000002","observed_version":3,"refresh_at":"2027-01-15T07:59:00Z","reason":"unauthorized",
            "deadline":"2027-01-15T08:00:00.123Z"}"#;
        let job = Job::decode(text.as_bytes()).unwrap();
        assert_eq!(job.payload.kind(), JobKind::ForceRefresh);
        assert_eq!(job.payload.version(), Version::new(3));
    }

    #[test]
    fn errors_tell_the_place_and_not_the_content() {
        let error = Job::decode(br#"{"v":1,"kind":"Atza|secret"}"#).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        let newer = Job::decode(br#"{"v":2,"anything":true}"#).unwrap_err();
        assert!(matches!(newer, DecodeError::UnknownFormat(2)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Job::decode(&bytes);
        }

        #[test]
        fn a_damaged_job_is_an_error_or_another_job(at in 0_usize..200, byte: u8) {
            let mut body = due().encode();
            let at = at % body.len();
            body[at] = byte;
            let _ = Job::decode(&body);
        }
    }
}
