//! How to reach the broker, and its limits.

use std::time::Duration;

use evergrant_contract::ports::QueueError;
use evergrant_contract::secret::Secret;
use lapin::uri::AMQPUri;

use crate::topology::Topology;

/// How long a TCP connection may take to be made, in milliseconds, unless the URL says otherwise.
const TCP_TIMEOUT_MS: u64 = 5_000;

/// The longest namespace; routing keys and queue names end at 255 bytes.
const NAMESPACE_MAX_BYTES: usize = 100;

/// How to reach the broker, and its limits.
pub struct BrokerOptions {
    /// `amqp://user:password@host:port/vhost`, or `amqps://`. A `heartbeat` in its query wins over the one here.
    pub url: Secret,
    /// What this process calls its connections, for the people who read the broker's list of them.
    pub name: String,
    /// What all names on the broker begin with: letters, digits, `.`, `_` and `-`.
    pub namespace: String,
    /// How long [`super::Broker::connect`] waits for a broker that is not there yet.
    pub start_timeout: Duration,
    /// How long a publisher waits for the next confirm, or for a lost connection to come back.
    pub publish_timeout: Duration,
    /// Silence after which a connection is taken for dead, in seconds (the broker counts to twice that).
    pub heartbeat_secs: u16,
    /// Members of a quorum queue at its creation. Name an odd number on a cluster; `None`: as the broker decides.
    pub quorum_group_size: Option<u16>,
    /// `RefreshDue` jobs that may wait; more are refused. An existing queue keeps its limit, and another one is refused.
    pub refresh_due_max_length: u32,
    /// `ForceRefresh` jobs that may wait; more are refused. An existing queue keeps its limit, and another one is refused.
    pub force_refresh_max_length: u32,
}

impl BrokerOptions {
    /// The defaults for this URL.
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            name: "evergrant".into(),
            namespace: "evergrant".into(),
            start_timeout: Duration::from_secs(5),
            publish_timeout: Duration::from_secs(5),
            heartbeat_secs: 10,
            quorum_group_size: None,
            refresh_due_max_length: 500_000,
            force_refresh_max_length: 20_000,
        }
    }

    /// The parsed URL. The error says nothing of its content, which holds a password.
    pub(super) fn uri(&self) -> Result<AMQPUri, QueueError> {
        let unusable = "the broker URL is unusable: write amqp://user:password@host:port/vhost, special characters \
                        percent-encoded";
        let mut uri = self.url.expose().parse::<AMQPUri>().map_err(|_| QueueError::Refused(unusable.into()))?;
        uri.query.heartbeat.get_or_insert(self.heartbeat_secs);
        uri.query.connection_timeout.get_or_insert(TCP_TIMEOUT_MS);
        Ok(uri)
    }

    /// The topology within the namespace.
    pub(super) fn topology(&self) -> Result<Topology, QueueError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let namespace = self.namespace.clone();
        if namespace.is_empty() || namespace.len() > NAMESPACE_MAX_BYTES || !namespace.chars().all(allowed) {
            let problem = format!(
                "the broker namespace `{namespace}` is unusable: write 1 to {NAMESPACE_MAX_BYTES} letters, digits, `.`, `_` or `-`"
            );
            return Err(QueueError::Refused(problem));
        }
        Ok(Topology {
            namespace,
            quorum_group_size: self.quorum_group_size,
            refresh_due_max_length: self.refresh_due_max_length,
            force_refresh_max_length: self.force_refresh_max_length,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_url_is_refused_without_showing_it() {
        let options = BrokerOptions::new(Secret::new("amqp//user:hunter2@host"));
        let error = options.uri().err().unwrap().to_string();
        assert!(!error.contains("hunter2") && error.contains("amqp://"), "{error}");
    }

    #[test]
    fn the_url_has_the_last_word_on_the_heartbeat() {
        let of = |url: &str| BrokerOptions::new(Secret::new(url)).uri().unwrap().query.heartbeat;
        assert_eq!(of("amqp://host/%2f"), Some(10));
        assert_eq!(of("amqp://host/%2f?heartbeat=30"), Some(30));
    }

    #[test]
    fn a_namespace_is_a_plain_word() {
        let with = |namespace: &str| {
            let options = BrokerOptions { namespace: namespace.into(), ..BrokerOptions::new(Secret::new("")) };
            options.topology().map(|topology| topology.dead_letter_queue())
        };
        assert_eq!(with("team-a").unwrap(), "team-a.v1.dlq");
        assert!(with("").is_err() && with("a b").is_err() && with(&"x".repeat(101)).is_err());
    }
}
