//! Events and their wire format. An event is a hint that a row is worth reading again; it carries no token.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::app::AppState;
use crate::ids::{ConnectionId, ProviderName, Version};
use crate::state::{Reason, words};

words!(
    /// What a job meant for those who wait on it.
    Outcome, "an outcome" {
        /// A newer version is stored.
        Refreshed => "refreshed",
        /// Not now: try again later. The connection keeps its tokens.
        Unavailable => "unavailable",
        /// The grant has ended.
        NeedsReauth => "needs_reauth",
        /// The user disconnected.
        Disconnected => "disconnected",
    }
);

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A job on a connection ended, or the user changed the connection.
    Connection {
        /// Which.
        connection: ConnectionId,
        /// Its version from now on.
        version: Version,
        /// What it means.
        outcome: Outcome,
        /// Why, when it did not succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
        /// When the next attempt is due, if there will be one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
        /// W3C trace context of the job, so that whoever waits can tell which refresh answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<String>,
    },
    /// A provider app was held or opened again.
    App {
        /// Which.
        provider: ProviderName,
        /// Its state from now on.
        state: AppState,
    },
}

impl Event {
    /// The routing key: `connection.<outcome>` or `app.<state>`.
    pub const fn topic(&self) -> (&'static str, &'static str) {
        match self {
            Self::Connection { outcome, .. } => ("connection", outcome.as_str()),
            Self::App { state, .. } => ("app", state.as_str()),
        }
    }

    /// The message body.
    pub fn encode(&self) -> Vec<u8> {
        // Plain structs with string keys: serialization cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a message body. An event that cannot be read is dropped by the caller: it was only a hint.
    pub fn decode(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_back_and_rubbish_does_not() {
        let event = Event::Connection {
            connection: ConnectionId::generate(),
            version: Version::new(3),
            outcome: Outcome::Unavailable,
            reason: Some(Reason::AttemptsExhausted),
            retry_at: Timestamp::from_timestamp_millis(1_800_000_000_000),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        };
        assert_eq!(Event::decode(&event.encode()), Some(event));
        assert_eq!(Event::decode(b"\xff{"), None);
    }

    #[test]
    fn an_event_of_the_release_before_has_no_trace_and_reads_all_the_same() {
        let body = br#"{"type":"connection","connection":"0197b0a0-0000-7000-8000-000000000002","version":3,"outcome":"refreshed"}"#;
        let Some(Event::Connection { version, traceparent, .. }) = Event::decode(body) else { panic!("it reads") };
        assert_eq!((version, traceparent), (Version::new(3), None));
    }
}
