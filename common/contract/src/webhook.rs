//! Webhooks: what receivers are told, who they are, and how telling them goes on.
//!
//! A message is written in the commit of the change that it tells of, with one delivery for each endpoint that wants it. So
//! there is no change without its message and no message without its change; telling it may take days, and may happen twice.

use std::time::Duration;

use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::Timestamp;
use crate::connection::Connection;
use crate::ids::{ConnectionId, EndpointId, MessageId, ProviderName, UserId, Version};
use crate::secret::Secret;
use crate::state::{Reason, State, words};
use crate::timing::until;

// ------------------------------------------------------------------------------------------------------------ messages

words!(
    /// What a message tells.
    MessageKind, "a webhook event (connection.needs_reauth, connection.recovered, connection.failing, \
                  connection.expiring, app.fault, app.recovered)" {
        /// A grant has ended: its user has to consent again.
        NeedsReauth => "connection.needs_reauth",
        /// A connection that was failing, or needed a new consent, is active again.
        Recovered => "connection.recovered",
        /// Attempts were given up for now; slow retries go on.
        Failing => "connection.failing",
        /// The consent ends in 30, 14, 7 or 1 days.
        Expiring => "connection.expiring",
        /// A provider refuses our own credentials or configuration.
        AppFault => "app.fault",
        /// A provider app that was at fault is open again.
        AppRecovered => "app.recovered",
        /// Sent when an operator asks for it, and never kept.
        Test => "webhook.test",
    }
);

impl MessageKind {
    /// Those that happen by themselves, and that an endpoint can choose from.
    pub const HAPPENING: [Self; 6] =
        [Self::NeedsReauth, Self::Recovered, Self::Failing, Self::Expiring, Self::AppFault, Self::AppRecovered];
}

/// What receivers are told. Never a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Sorts by time; the `webhook-id` of every attempt to deliver it.
    pub id: MessageId,
    /// What it tells.
    pub kind: MessageKind,
    /// When it happened.
    pub at: Timestamp,
    /// The body, byte for byte as it is signed and sent.
    pub payload: String,
}

const DAY_SECS: u64 = 24 * 60 * 60;

/// A connection as messages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Which.
    pub connection: ConnectionId,
    /// Its owner.
    pub user: UserId,
    /// Its provider app.
    pub provider: ProviderName,
    /// The account at the provider; empty if unknown.
    pub account: String,
    /// Its version from now on.
    pub version: Version,
    /// Its state from now on.
    pub state: State,
    /// Why it is not `active`.
    pub reason: Option<Reason>,
}

impl From<&Connection> for Subject {
    fn from(row: &Connection) -> Self {
        Self {
            connection: row.id,
            user: row.user.clone(),
            provider: row.provider.clone(),
            account: row.account.clone(),
            version: row.version,
            state: row.state,
            reason: row.reason,
        }
    }
}

impl Message {
    /// A message with this in its `data`.
    pub fn new(kind: MessageKind, at: Timestamp, data: &Value) -> Self {
        let timestamp = at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let payload = json!({ "type": kind.as_str(), "timestamp": timestamp, "data": data }).to_string();
        Self { id: MessageId::generate(), kind, at, payload }
    }

    /// About a connection.
    pub fn of_connection(kind: MessageKind, subject: &Subject, at: Timestamp) -> Self {
        Self::new(kind, at, &Value::Object(told(subject)))
    }

    /// About a consent that ends.
    pub fn of_consent(subject: &Subject, ends_at: Timestamp, at: Timestamp) -> Self {
        let days = until(at, ends_at).as_secs().div_ceil(DAY_SECS);
        let mut data = told(subject);
        data.insert("consent_ends_at".to_owned(), json!(ends_at.to_rfc3339_opts(SecondsFormat::Millis, true)));
        data.insert("days_left".to_owned(), json!(days));
        Self::new(MessageKind::Expiring, at, &Value::Object(data))
    }

    /// About a provider app. The code is the provider's own, such as `invalid_client`.
    pub fn of_app(kind: MessageKind, provider: &ProviderName, code: Option<&str>, at: Timestamp) -> Self {
        let state = if kind == MessageKind::AppFault { "fault" } else { "open" };
        Self::new(kind, at, &json!({ "provider": provider.as_str(), "state": state, "code": code }))
    }
}

impl Message {
    /// What an operator asked to be sent, so that it can be seen to arrive.
    pub fn test(endpoint: EndpointId, at: Timestamp) -> Self {
        Self::new(MessageKind::Test, at, &json!({ "endpoint_id": endpoint.to_string() }))
    }
}

fn told(subject: &Subject) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("connection_id".to_owned(), json!(subject.connection.to_string()));
    data.insert("user_id".to_owned(), json!(subject.user.as_str()));
    data.insert("provider".to_owned(), json!(subject.provider.as_str()));
    data.insert("account".to_owned(), json!(subject.account));
    data.insert("version".to_owned(), json!(subject.version.number()));
    data.insert("state".to_owned(), json!(subject.state.as_str()));
    data.insert("reason".to_owned(), json!(subject.reason.map(Reason::as_str)));
    data
}

/// What receivers were told of a connection last and still holds: `failing`, `needs_reauth`, or nothing while all is well.
/// What becomes of it at a change, and what there is to tell.
///
/// `suspect` is nobody's news, and what a user ends themselves neither.
pub const fn news(told: Option<State>, now: State) -> (Option<State>, Option<MessageKind>) {
    match (told, now) {
        (_, State::Suspect)
        | (Some(State::Failing), State::Failing)
        | (Some(State::NeedsReauth), State::NeedsReauth) => (told, None),
        (_, State::Failing) => (Some(State::Failing), Some(MessageKind::Failing)),
        (_, State::NeedsReauth) => (Some(State::NeedsReauth), Some(MessageKind::NeedsReauth)),
        (Some(_), State::Active) => (None, Some(MessageKind::Recovered)),
        (None, State::Active) | (_, State::Disconnected) => (None, None),
    }
}

/// Days before the end of a consent at which receivers are told, each once.
pub const THRESHOLDS: [u16; 4] = [1, 7, 14, 30];

/// How long the consents of a provider app last, where they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentLifetime {
    /// Which app.
    pub provider: ProviderName,
    /// Counted from the consent, where the provider did not say when it ends.
    pub lifetime: Duration,
}

// ----------------------------------------------------------------------------------------------------------- endpoints

words!(
    /// Whether an endpoint is told anything.
    EndpointState, "a webhook endpoint state (enabled, disabled)" {
        /// It is.
        Enabled => "enabled",
        /// It is not, until an operator enables it.
        Disabled => "disabled",
    }
);

words!(
    /// Why an endpoint is disabled.
    DisabledReason, "a reason (by_operator, gone, failing)" {
        /// An operator did it.
        ByOperator => "by_operator",
        /// It answered 410 Gone.
        Gone => "gone",
        /// Nothing but failures for days.
        Failing => "failing",
    }
);

/// A receiver, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Which.
    pub id: EndpointId,
    /// Where messages are sent to.
    pub url: String,
    /// What it is for, in the words of whoever made it; may be empty.
    pub description: String,
    /// What it is told; empty means everything.
    pub events: Vec<MessageKind>,
    /// Whether it is told anything.
    pub state: EndpointState,
    /// Why not, when it is not.
    pub disabled_reason: Option<DisabledReason>,
    /// Since when nothing but failures came of it.
    pub failing_since: Option<Timestamp>,
    /// Until when the secret before the present one signs too.
    pub former_secret_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What is to change of an endpoint; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointChange {
    /// Where messages are sent to.
    pub url: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it is told; empty means everything.
    pub events: Option<Vec<MessageKind>>,
    /// Enables or disables it. Enabling forgets its failures; disabling gives up what was on its way.
    pub is_enabled: Option<bool>,
}

/// What messages to an endpoint are signed with.
#[derive(Clone)]
pub struct EndpointSecrets {
    /// `whsec_…`.
    pub current: Secret,
    /// The one before, while it is still good.
    pub former: Option<Secret>,
}

// ---------------------------------------------------------------------------------------------------------- deliveries

words!(
    /// How telling an endpoint of a message stands.
    DeliveryState, "a delivery state (pending, delivered, failed)" {
        /// It goes on.
        Pending => "pending",
        /// The endpoint took it.
        Delivered => "delivered",
        /// It was given up.
        Failed => "failed",
    }
);

/// One message for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The message.
    pub message: MessageId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// What the message tells.
    pub kind: MessageKind,
    /// When that happened.
    pub at: Timestamp,
    /// How it stands.
    pub state: DeliveryState,
    /// How often it was tried since it was made, or replayed.
    pub attempts: u32,
    /// When it is tried next, while it is pending.
    pub due_at: Option<Timestamp>,
    /// What came of the last try.
    pub last: Option<DeliveryAttempt>,
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeliveryAttempt {
    /// When it was sent.
    pub at: Timestamp,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The beginning of the answer's body with everything secret-like taken out; or one sentence about why there is none.
    pub message: String,
    /// From sending to the answer.
    pub duration_ms: u64,
}

/// Which deliveries of an endpoint are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Of messages that tell this.
    pub kind: Option<MessageKind>,
}

/// A delivery to be tried now. Whoever holds it is the only one until the claim lapses.
#[derive(Clone)]
pub struct ClaimedDelivery {
    /// The message.
    pub message: Message,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Where to.
    pub url: String,
    /// What to sign with; `None`: no key of the keyring opens it.
    pub secrets: Option<EndpointSecrets>,
    /// Which try this is, counted from 1. It tells one claim from a later one.
    pub attempt: u32,
}

/// What is to become of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The endpoint took it.
    Delivered,
    /// Tried again then.
    Retry(Timestamp),
    /// Given up.
    GaveUp,
    /// Given up, and the endpoint is disabled: it says that it is gone.
    Gone,
}

/// What came of a claimed delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The message.
    pub message: MessageId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Which try it was.
    pub attempt: u32,
    /// What came of it.
    pub result: DeliveryAttempt,
    /// What is to become of it.
    pub outcome: DeliveryOutcome,
    /// An endpoint that has had nothing but failures since before this is disabled.
    pub hopeless_since: Timestamp,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// It is written; the endpoint is disabled by it, if there is a reason.
    Written(Option<DisabledReason>),
    /// The claim lapsed and somebody else has it, or the endpoint is gone: nothing was written.
    Lost,
}

/// How much there is to deliver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryBacklog {
    /// Deliveries that are pending.
    pub pending: u64,
    /// The time of the oldest message among them.
    pub oldest_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_told_of_changes_only() {
        use State::{Active, Disconnected, Failing, NeedsReauth, Suspect};
        let walk = |states: &[State]| {
            let mut told = None;
            let mut heard = Vec::new();
            for state in states {
                let (after, kind) = news(told, *state);
                told = after;
                heard.extend(kind.map(MessageKind::as_str));
            }
            heard
        };
        assert_eq!(walk(&[Active, Active, Suspect, Active]), Vec::<&str>::new(), "nothing happened");
        assert_eq!(walk(&[Failing, Failing, Active, Active]), ["connection.failing", "connection.recovered"]);
        assert_eq!(walk(&[Failing, Suspect, Failing, Active]), ["connection.failing", "connection.recovered"]);
        assert_eq!(walk(&[Suspect, NeedsReauth, NeedsReauth]), ["connection.needs_reauth"]);
        assert_eq!(walk(&[Failing, NeedsReauth, Active]).len(), 3);
        assert_eq!(walk(&[NeedsReauth, Disconnected, Active]), ["connection.needs_reauth"], "the user ended it");
    }

    #[test]
    fn a_payload_has_the_form_of_the_specification() {
        let at = Timestamp::from_timestamp_millis(1_800_000_000_123).unwrap();
        let subject = Subject {
            connection: "0197b0a0-0000-7000-8000-000000000002".parse().unwrap(),
            user: "u-1".parse().unwrap(),
            provider: "amazon-na".parse().unwrap(),
            account: "amzn1.account.A".to_owned(),
            version: Version::new(3),
            state: State::NeedsReauth,
            reason: Some(Reason::GrantInvalid),
        };
        let message = Message::of_connection(MessageKind::NeedsReauth, &subject, at);
        let payload: Value = serde_json::from_str(&message.payload).unwrap();
        let expected = json!({
            "type": "connection.needs_reauth",
            "timestamp": "2027-01-15T08:00:00.123Z",
            "data": {
                "connection_id": "0197b0a0-0000-7000-8000-000000000002", "user_id": "u-1", "provider": "amazon-na",
                "account": "amzn1.account.A", "version": 3, "state": "needs_reauth", "reason": "grant_invalid",
            },
        });
        assert_eq!(payload, expected);
    }
}
