//! The numbers.

use std::time::Duration;

/// Everything about the scheduler that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulerSettings {
    /// The longest nap, whatever the rows say: `refresh_interval`.
    pub refresh_interval: Duration,
    /// How long a row that another process made due may go unnoticed.
    pub wake_check: Duration,
    /// Rows in a page.
    pub page_size: u32,
    /// Jobs a second at most, so that a herd is spread out.
    pub publish_rate: u32,
    /// Messages waiting in the queue at most; the rest waits in the rows.
    pub queue_high_water: u64,
    /// A job that has not moved its row for so long is taken for lost and published again, even while others wait.
    pub republish_after: Duration,
    /// How long the office is good for. A standby takes over after this.
    pub lead_ttl: Duration,
    /// Kept attempts and dealt-with failed jobs are removed when older than this.
    pub retention: Duration,
}
