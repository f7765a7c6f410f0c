//! Settings for tests: everything that takes minutes in production takes seconds.

use super::process::Env;

/// How quickly a world reacts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Room for a busy machine: no call ends by its time-out unless a test wants it to.
    Calm,
    /// A lost lease is taken over within ten seconds.
    Quick,
}

/// The settings of a pace. The start-up checks hold them to each other.
pub(crate) fn environment(pace: Pace, log_level: &str) -> Env {
    let common = [
        ("EVERGRANT_LISTEN", "127.0.0.1:0"),
        ("EVERGRANT_LOG_FORMAT", "json"),
        ("RUST_LOG", log_level),
        ("EVERGRANT_SCHEDULER_WAKE_CHECK_MS", "200"),
        ("EVERGRANT_SCHEDULER_LEAD_TTL_SECS", "3"),
        ("EVERGRANT_WORKER_ADMIT_PATIENCE_MS", "500"),
        ("EVERGRANT_WORKER_COMMIT_BUDGET_MS", "1000"),
        ("EVERGRANT_WORKER_TAKEOVER_GRACE_MS", "2000"),
        ("EVERGRANT_WORKER_CONNECT_TIMEOUT_MS", "1000"),
        ("EVERGRANT_WORKER_BACK_OFF_FIRST_SECS", "1"),
        ("EVERGRANT_WORKER_BACK_OFF_CAP_SECS", "3"),
        ("EVERGRANT_WORKER_OUTAGE_PROBE_SECS", "1"),
        ("EVERGRANT_WORKER_FAULT_PROBE_SECS", "1"),
        ("EVERGRANT_DATABASE_ACQUIRE_TIMEOUT_MS", "2000"),
        ("EVERGRANT_BROKER_PUBLISH_TIMEOUT_MS", "2000"),
        ("EVERGRANT_SHUTDOWN_DEADLINE_SECS", "10"),
    ];
    let paced = match pace {
        Pace::Calm => [
            ("EVERGRANT_WORKER_TRIES", "2"),
            ("EVERGRANT_WORKER_CALL_TIMEOUT_MS", "3000"),
            ("EVERGRANT_WORKER_LEASE_MS", "16000"),
            ("EVERGRANT_SCHEDULER_REPUBLISH_AFTER_SECS", "16"),
        ],
        Pace::Quick => [
            ("EVERGRANT_WORKER_TRIES", "1"),
            ("EVERGRANT_WORKER_CALL_TIMEOUT_MS", "1500"),
            ("EVERGRANT_WORKER_LEASE_MS", "9000"),
            ("EVERGRANT_SCHEDULER_REPUBLISH_AFTER_SECS", "9"),
        ],
    };
    common.into_iter().chain(paced).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
