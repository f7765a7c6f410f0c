//! How what an operator asks for reaches a worker.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::connection::Connection;
use evergrant_contract::job::{ForceReason, Job, JobKind, Payload};
use evergrant_contract::ports::{JobQueue, QueueError};
use evergrant_contract::timing::after;

/// Jobs that wait for the workers, beyond which nothing is added that nobody waits for: what is due comes to the same queue,
/// and must not come late because of it.
pub(crate) const WAITING_MAX: u64 = 10_000;
/// A forced job that no worker has taken by then is dropped; the row is found again by the scheduler.
const PATIENCE: Duration = Duration::from_hours(1);

/// How a refresh reaches a worker.
#[derive(Clone)]
pub enum Way {
    /// Through the queue.
    Queue(Arc<dyn JobQueue>),
    /// Over the row, made due: for a command beside a process whose queue is its own.
    Row,
}

impl Way {
    /// Jobs that nobody waits for and no worker has taken yet.
    pub(crate) async fn waiting(&self) -> Result<u64, QueueError> {
        match self {
            Self::Queue(queue) => queue.depth(JobKind::RefreshDue).await,
            // The scheduler paces what is due by itself.
            Self::Row => Ok(0),
        }
    }
}

/// Whether somebody waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// Somebody looks at this one connection.
    Awaited,
    /// It is one of many.
    None,
}

/// A job for the row as it is, not as it was.
pub(crate) fn job_for(row: &Connection, haste: Haste, now: Timestamp, traceparent: Option<String>) -> Job {
    let refresh_at = row.refresh_at.unwrap_or(now);
    let payload = match haste {
        Haste::Awaited => Payload::ForceRefresh {
            connection: row.id,
            observed_version: row.version,
            refresh_at,
            reason: ForceReason::Operator,
            deadline: after(now, PATIENCE),
        },
        Haste::None => Payload::RefreshDue { connection: row.id, version: row.version, refresh_at },
    };
    Job { traceparent, ..Job::new(payload) }
}
