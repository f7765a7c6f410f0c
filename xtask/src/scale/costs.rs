//! What one refresh costs. Every number has the conditions under which it was measured; docs/SCALE.md shows them all.

use evergrant_contract::Timestamp;
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::job::{Job, Payload};

/// A number, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) what: &'static str,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    pub(super) conditions: &'static str,
}

const PROTOTYPE: &str = "a prototype of this design: leases and results in batches of 100, multiple acks, 500,000 rows, rotating \
                         provider with 0 ms, everything on one 2-core machine at 11,600 refreshes/s. \
                         `cargo xtask bench --only throughput` measures the product";

pub(super) const CPU_OURS: Cost =
    Cost { what: "CPU of our processes", value: 52.0, unit: "µs", conditions: PROTOTYPE };
pub(super) const CPU_BROKER: Cost = Cost { what: "CPU of RabbitMQ", value: 36.0, unit: "µs", conditions: "the same" };
pub(super) const CPU_STORE: Cost = Cost { what: "CPU of PostgreSQL", value: 51.0, unit: "µs", conditions: "the same" };
pub(super) const COMMITS: Cost = Cost {
    what: "commits",
    value: 0.02,
    unit: "",
    conditions: "one for the leases and one for the results of a hundred: what a stream of jobs comes to \
                 (`BATCH_MAX` in cluster/src/store/batch.rs); a single job takes two",
};
pub(super) const WAL: Cost = Cost {
    what: "write-ahead log",
    value: 3_330.0,
    unit: "bytes",
    conditions: "PostgreSQL 15 as installed; 100,000 rows with ciphertexts of 560 and 600 characters, each leased and written \
                 once in hundreds, one commit each; full page images after one checkpoint are in it",
};
pub(super) const STORED: Cost = Cost {
    what: "stored, each connection",
    value: 2_750.0,
    unit: "bytes",
    conditions: "the same rows after two rounds: tables with fillfactor 80, their indexes and TOAST; attempts and usage apart",
};
pub(super) const WIRE: Cost = Cost {
    what: "to and from the provider",
    value: 2_500.0,
    unit: "bytes",
    conditions: "not measured: a form of some 900 bytes and an answer of some 1,200, with headers, over a connection that is kept",
};
/// More than this has not been seen in one deployment.
pub(super) const MEASURED_RATE: Cost = Cost {
    what: "refreshes a second of one deployment",
    value: 11_600.0,
    unit: "",
    conditions: "the prototype, as above: what has been seen, not what is possible",
};

/// Messages of a refresh: the job, and the event that tells what became of it.
pub(super) const MESSAGES: Cost = Cost {
    what: "messages",
    value: 2.0,
    unit: "",
    conditions: "the job and an event, counted in the code; events that wait together share a message, so fewer in a herd",
};

fn at() -> Timestamp {
    Timestamp::from_timestamp_millis(1_800_000_000_123).unwrap_or_default()
}

/// The bytes of both messages, as the product writes them.
pub(super) fn message_bytes() -> usize {
    let connection = ConnectionId::generate();
    let traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    let mut job = Job::new(Payload::RefreshDue { connection, version: Version::new(1_000), refresh_at: at() });
    job.traceparent.clone_from(&traceparent);
    let (version, outcome) = (Version::new(1_001), Outcome::Refreshed);
    let event = Event::Connection { connection, version, outcome, reason: None, retry_at: None, traceparent };
    job.encode().len() + event.encode().len()
}

/// All of them, in the order of the page.
pub(super) const ALL: [Cost; 9] =
    [CPU_OURS, CPU_STORE, CPU_BROKER, COMMITS, WAL, MESSAGES, WIRE, STORED, MEASURED_RATE];
