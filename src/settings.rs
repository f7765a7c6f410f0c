//! What the components are told, out of the configuration.

use std::time::Duration;

use evergrant_scheduler::SchedulerSettings;
use evergrant_workers::WorkerSettings;

use crate::config::Config;

const DAY: Duration = Duration::from_hours(24);

/// What workers are told.
pub const fn worker(config: &Config) -> WorkerSettings {
    let worker = &config.worker;
    WorkerSettings {
        concurrency_due: worker.concurrency_due,
        concurrency_force: worker.concurrency_force,
        lease: worker.lease,
        takeover_grace: worker.takeover_grace,
        tries: worker.tries,
        commit_budget: worker.commit_budget,
        admit_patience: worker.admit_patience,
        buffer: config.scheduler.refresh_buffer,
        back_off: worker.back_off(),
        max_attempts: worker.max_attempts,
        outage_probe_every: worker.outage_probe,
        fault_probe_every: worker.fault_probe,
    }
}

/// What the scheduler is told.
pub fn scheduler(config: &Config) -> SchedulerSettings {
    let scheduler = &config.scheduler;
    SchedulerSettings {
        refresh_interval: scheduler.refresh_interval,
        wake_check: scheduler.wake_check,
        page_size: scheduler.page_size,
        publish_rate: scheduler.publish_per_second,
        queue_high_water: scheduler.queue_high_water,
        republish_after: scheduler.republish_after,
        lead_ttl: scheduler.lead_ttl,
        retention: DAY * config.retention.days,
    }
}
