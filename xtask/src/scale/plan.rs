//! What is simulated: how many connections, and how the deployment is set.

use std::time::Duration;

use anyhow::{Context as _, Result};
use evergrant_contract::timing::{BackOff, Margin};
use serde::Deserialize;

/// The settings that a new installation has, read from config.default.toml.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Defaults {
    /// How early tokens are refreshed.
    pub(super) margin: Margin,
    /// How long a connection is left alone after a job that did not succeed.
    pub(super) back_off: BackOff,
    /// Between two probes of an app in an outage.
    pub(super) probe_every: Duration,
    /// Jobs a second that the scheduler publishes at most.
    pub(super) publish_per_second: u32,
}

#[derive(Deserialize)]
struct File {
    scheduler: Scheduler,
    worker: Worker,
}

#[derive(Deserialize)]
struct Scheduler {
    refresh_buffer: u64,
    publish_per_second: u32,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "these are the names in the file")]
struct Worker {
    back_off_first_secs: u64,
    back_off_cap_secs: u64,
    outage_probe_secs: u64,
}

#[derive(Deserialize)]
struct Descriptor {
    common: Common,
}

#[derive(Deserialize)]
struct Common {
    margin_share_percent: u8,
}

impl Defaults {
    /// Reads them.
    pub(super) fn read() -> Result<Self> {
        let File { scheduler, worker } =
            toml::from_str(include_str!("../../../config.default.toml")).context("config.default.toml")?;
        let amazon: Descriptor =
            toml::from_str(include_str!("../../../common/provider/descriptors/amazon.toml")).context("amazon.toml")?;
        Ok(Self {
            margin: Margin {
                buffer: Duration::from_secs(scheduler.refresh_buffer),
                share_percent: amazon.common.margin_share_percent,
            },
            back_off: BackOff {
                first: Duration::from_secs(worker.back_off_first_secs),
                cap: Duration::from_secs(worker.back_off_cap_secs),
            },
            probe_every: Duration::from_secs(worker.outage_probe_secs),
            publish_per_second: scheduler.publish_per_second,
        })
    }
}

/// One day of one deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Connections, all of them with tokens of an hour.
    pub(super) connections: u64,
    /// `scheduler.publish_per_second` and `requests_per_second` of the provider app, which are set alike.
    pub(super) per_second: u32,
    /// Seconds from the beginning to the outage of the provider.
    pub(super) outage_at: u32,
    /// How long it lasts, in seconds.
    pub(super) outage: u32,
    /// How long all of it is, in seconds.
    pub(super) length: u32,
    /// Jobs in a thousand that end without an answer about the grant, though the provider is up.
    pub(super) trouble_per_mille: u64,
}

const HOUR: u32 = 3_600;

impl Plan {
    /// A day with an outage of one hour at noon, and the rate that goes with so many connections: two and a half times what
    /// a quiet day takes.
    pub(super) const fn day(connections: u64, per_second: u32) -> Self {
        Self { connections, per_second, outage_at: 12 * HOUR, outage: HOUR, length: 24 * HOUR, trouble_per_mille: 1 }
    }
}

/// The days of docs/SCALE.md.
pub(super) const PLANS: [Plan; 3] =
    [Plan::day(1_000_000, 1_000), Plan::day(10_000_000, 10_000), Plan::day(100_000_000, 100_000)];
