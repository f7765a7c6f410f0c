//! What exists on the broker, as data, and the one function that declares it.
//!
//! Names carry the version of the topology: the arguments of an existing queue cannot be changed, so other arguments are
//! another version, side by side with the old one until that has run dry.

use evergrant_contract::job::JobKind;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ErrorKind, ExchangeKind};

/// The version of names and arguments.
const VERSION: &str = "v1";

/// Deliveries of one message after which it is taken for one that kills workers. A process that dies returns all that it
/// had prefetched and each of these counts, so this must stay far above the number of crashes a job may happen to share.
const WORK_DELIVERY_LIMIT: i64 = 20;

/// The dead-letter queue must never drop; 4.x brokers read "unset" as 20, and 3.10 loses messages at -1.
const DEAD_LETTER_DELIVERY_LIMIT: i64 = 1_000_000_000;

/// Events that wait for one instance. A slow instance loses the oldest: it looks at the rows anyway.
const EVENTS_MAX_LENGTH: i64 = 10_000;

/// How long an event may wait for an instance, in milliseconds.
const EVENTS_TTL_MS: i64 = 60_000;

/// Why the topology could not be declared.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    /// It exists with other arguments, and arguments cannot be changed.
    #[error(
        "`{name}` exists with other arguments than these settings ask for: {server}. Restore the settings that it was made \
         with, or let it run dry and delete it, or choose another namespace"
    )]
    Drifted {
        /// The queue or exchange.
        name: String,
        /// The broker's own words, which name the argument.
        server: String,
    },
    /// The broker user may not do it.
    #[error("the broker user may not declare `{name}`: {server}. Grant it configure, write and read on the namespace")]
    Forbidden {
        /// The queue or exchange.
        name: String,
        /// The broker's own words.
        server: String,
    },
    /// The connection or the channel was lost.
    #[error("declaring `{name}` failed: {problem}")]
    Interrupted {
        /// The queue or exchange.
        name: String,
        /// What happened.
        problem: lapin::Error,
    },
}

impl DeclareError {
    /// Whether the same declaration may succeed later without anybody doing something.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Interrupted { .. })
    }

    fn new(name: &str, problem: lapin::Error) -> Self {
        let name = name.to_owned();
        match problem.kind() {
            ErrorKind::ProtocolError(error) if error.get_id() == 406 => {
                Self::Drifted { name, server: error.get_message().to_string() }
            }
            ErrorKind::ProtocolError(error) if error.get_id() == 403 => {
                Self::Forbidden { name, server: error.get_message().to_string() }
            }
            _ => Self::Interrupted { name, problem },
        }
    }
}

/// One thing to declare.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A durable exchange.
    Exchange {
        /// Its name.
        name: String,
        /// How it routes.
        kind: ExchangeKind,
    },
    /// A durable queue.
    Queue {
        /// Its name.
        name: String,
        /// Its x-arguments.
        arguments: FieldTable,
    },
    /// What an exchange passes to a queue.
    Binding {
        /// To which queue.
        queue: String,
        /// From which exchange.
        exchange: String,
        /// Messages with this routing key.
        key: &'static str,
    },
}

/// Names and arguments of everything on the broker.
#[derive(Debug, Clone)]
pub struct Topology {
    /// What all names begin with.
    pub namespace: String,
    /// Members of a quorum queue at its creation, on a cluster. `None`: as the broker decides.
    pub quorum_group_size: Option<u16>,
    /// `RefreshDue` jobs that may wait; more are refused.
    pub refresh_due_max_length: u32,
    /// `ForceRefresh` jobs that may wait; more are refused.
    pub force_refresh_max_length: u32,
}

impl Topology {
    fn name(&self, last: &str) -> String {
        format!("{}.{VERSION}.{last}", self.namespace)
    }

    /// The direct exchange that jobs are published to, with their kind as the routing key.
    pub fn jobs_exchange(&self) -> String {
        self.name("jobs")
    }

    /// The queue of one kind of job.
    pub fn queue(&self, kind: JobKind) -> String {
        self.name(kind.as_str())
    }

    /// The exchange of what no worker can read.
    pub fn dead_letter_exchange(&self) -> String {
        self.name("dlx")
    }

    /// The queue of what no worker can read.
    pub fn dead_letter_queue(&self) -> String {
        self.name("dlq")
    }

    /// The topic exchange of events.
    pub fn events_exchange(&self) -> String {
        self.name("events")
    }

    /// Everything that publishing and working needs. The way for dead letters is laid before anything can be dead-lettered:
    /// a queue whose dead-letter target is missing holds them back for minutes.
    pub fn jobs(&self) -> Vec<Step> {
        let (jobs, dlx, dlq) = (self.jobs_exchange(), self.dead_letter_exchange(), self.dead_letter_queue());
        let mut steps = vec![
            Step::Exchange { name: dlx.clone(), kind: ExchangeKind::Fanout },
            Step::Queue { name: dlq.clone(), arguments: self.dead_letter_arguments() },
            Step::Binding { queue: dlq, exchange: dlx, key: "" },
            Step::Exchange { name: jobs.clone(), kind: ExchangeKind::Direct },
        ];
        for kind in JobKind::ALL.iter().copied() {
            let queue = self.queue(kind);
            steps.push(Step::Queue { name: queue.clone(), arguments: self.work_arguments(kind) });
            steps.push(Step::Binding { queue, exchange: jobs.clone(), key: kind.as_str() });
        }
        steps
    }

    /// Everything that publishing events needs. The queues are each instance's own.
    pub fn events(&self) -> Vec<Step> {
        vec![Step::Exchange { name: self.events_exchange(), kind: ExchangeKind::Topic }]
    }

    fn quorum_arguments(&self, delivery_limit: i64) -> FieldTable {
        let mut table = FieldTable::default();
        put(&mut table, "x-queue-type", text("quorum"));
        put(&mut table, "x-delivery-limit", AMQPValue::LongLongInt(delivery_limit));
        if let Some(size) = self.quorum_group_size {
            put(&mut table, "x-quorum-initial-group-size", AMQPValue::LongLongInt(size.into()));
        }
        table
    }

    fn work_arguments(&self, kind: JobKind) -> FieldTable {
        let max_length = match kind {
            JobKind::RefreshDue => self.refresh_due_max_length,
            JobKind::ForceRefresh => self.force_refresh_max_length,
        };
        let mut table = self.quorum_arguments(WORK_DELIVERY_LIMIT);
        put(&mut table, "x-max-length", AMQPValue::LongLongInt(max_length.into()));
        // Dropping the oldest would also turn at-least-once dead-lettering off, silently.
        put(&mut table, "x-overflow", text("reject-publish"));
        put(&mut table, "x-dead-letter-exchange", text(&self.dead_letter_exchange()));
        put(&mut table, "x-dead-letter-strategy", text("at-least-once"));
        table
    }

    fn dead_letter_arguments(&self) -> FieldTable {
        self.quorum_arguments(DEAD_LETTER_DELIVERY_LIMIT)
    }
}

/// The arguments of the queue that one instance hears its events from.
pub(crate) fn instance_events_arguments() -> FieldTable {
    let mut table = FieldTable::default();
    put(&mut table, "x-max-length", AMQPValue::LongLongInt(EVENTS_MAX_LENGTH));
    put(&mut table, "x-overflow", text("drop-head"));
    put(&mut table, "x-message-ttl", AMQPValue::LongLongInt(EVENTS_TTL_MS));
    table
}

fn put(table: &mut FieldTable, key: &'static str, value: AMQPValue) {
    table.insert(ShortString::from(key), value);
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// Declares every step in order. Doing it again changes nothing.
pub async fn declare(channel: &Channel, steps: &[Step]) -> Result<(), DeclareError> {
    let nothing = FieldTable::default;
    for step in steps {
        match step {
            Step::Exchange { name, kind } => {
                let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
                channel.exchange_declare(name.as_str().into(), kind.clone(), options, nothing()).await
            }
            .map_err(|problem| DeclareError::new(name, problem))?,
            Step::Queue { name, arguments } => {
                let options = QueueDeclareOptions::durable();
                let declared = channel.queue_declare(name.as_str().into(), options, arguments.clone()).await;
                declared.map(|_| ()).map_err(|problem| DeclareError::new(name, problem))?;
            }
            Step::Binding { queue, exchange, key } => {
                let (to, from) = (queue.as_str().into(), exchange.as_str().into());
                let bound = channel.queue_bind(to, from, (*key).into(), QueueBindOptions::default(), nothing()).await;
                bound.map_err(|problem| DeclareError::new(queue, problem))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology() -> Topology {
        Topology {
            namespace: "evergrant".into(),
            quorum_group_size: None,
            refresh_due_max_length: 500_000,
            force_refresh_max_length: 20_000,
        }
    }

    fn arguments<'a>(steps: &'a [Step], queue: &str) -> &'a FieldTable {
        steps
            .iter()
            .find_map(|step| match step {
                Step::Queue { name, arguments } if name == queue => Some(arguments),
                _ => None,
            })
            .unwrap()
    }

    fn number(table: &FieldTable, key: &str) -> Option<i64> {
        table.inner().get(key).and_then(AMQPValue::as_long_long_int)
    }

    fn word(table: &FieldTable, key: &str) -> Option<String> {
        table.inner().get(key).and_then(AMQPValue::as_long_string).map(ToString::to_string)
    }

    #[test]
    fn work_queues_refuse_when_full_and_dead_letter_at_least_once() {
        let steps = topology().jobs();
        for (queue, max_length) in [("evergrant.v1.refresh_due", 500_000), ("evergrant.v1.force_refresh", 20_000)] {
            let table = arguments(&steps, queue);
            assert_eq!(table.inner().len(), 6, "{queue}: {table:?}");
            assert_eq!(word(table, "x-queue-type").unwrap(), "quorum");
            assert_eq!(number(table, "x-delivery-limit"), Some(20));
            assert_eq!(number(table, "x-max-length"), Some(max_length));
            assert_eq!(word(table, "x-overflow").unwrap(), "reject-publish");
            assert_eq!(word(table, "x-dead-letter-exchange").unwrap(), "evergrant.v1.dlx");
            assert_eq!(word(table, "x-dead-letter-strategy").unwrap(), "at-least-once");
        }
    }

    #[test]
    fn the_dead_letter_queue_has_no_limit_that_could_drop() {
        let steps = topology().jobs();
        let table = arguments(&steps, "evergrant.v1.dlq");
        assert_eq!(table.inner().len(), 2, "{table:?}");
        assert_eq!(word(table, "x-queue-type").unwrap(), "quorum");
        assert_eq!(number(table, "x-delivery-limit"), Some(1_000_000_000));
    }

    #[test]
    fn the_way_for_dead_letters_is_laid_first() {
        let steps = topology().jobs();
        let position = |wanted: &str| {
            steps.iter().position(|step| match step {
                Step::Queue { name, .. } | Step::Exchange { name, .. } => name == wanted,
                Step::Binding { queue, .. } => format!("bind {queue}") == wanted,
            })
        };
        let way = ["evergrant.v1.dlx", "evergrant.v1.dlq", "bind evergrant.v1.dlq", "evergrant.v1.refresh_due"];
        let order: Vec<_> = way.iter().map(|name| position(name).unwrap()).collect();
        assert!(order.is_sorted(), "{order:?}");
    }

    #[test]
    fn a_cluster_says_how_many_members_a_queue_has() {
        let steps = Topology { quorum_group_size: Some(3), ..topology() }.jobs();
        for queue in ["evergrant.v1.dlq", "evergrant.v1.refresh_due", "evergrant.v1.force_refresh"] {
            assert_eq!(number(arguments(&steps, queue), "x-quorum-initial-group-size"), Some(3), "{queue}");
        }
    }

    #[test]
    fn an_instance_loses_its_oldest_events_first() {
        let table = instance_events_arguments();
        assert_eq!(number(&table, "x-max-length"), Some(10_000));
        assert_eq!(number(&table, "x-message-ttl"), Some(60_000));
        assert_eq!(word(&table, "x-overflow").unwrap(), "drop-head");
    }
}
