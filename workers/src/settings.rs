//! The numbers, and how they must stand to each other.

use std::time::Duration;

use evergrant_contract::timing::{BackOff, Margin};
use evergrant_contract::transition::Rules;
use evergrant_contract::verdict::{Confirmation, ProviderPolicy};

/// The longest pause between two tries inside one job.
pub(crate) const IN_JOB_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Everything about workers that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSettings {
    /// `RefreshDue` jobs in hand at once, at most; how many are under way follows what the provider bears.
    pub concurrency_due: u32,
    /// `ForceRefresh` jobs in hand at once; a capacity of its own, so that a backlog never delays a person.
    pub concurrency_force: u32,
    /// How long a lease is good for.
    pub lease: Duration,
    /// How long a lapsed lease is contested before it is taken over.
    pub takeover_grace: Duration,
    /// Quick tries inside one job.
    pub tries: u32,
    /// What a write may take; the last part of every lease.
    pub commit_budget: Duration,
    /// How long a job waits for the provider app's rate limit before it is put off.
    pub admit_patience: Duration,
    /// A connection that nobody has used for so long is not refreshed until somebody does; `None`: all are.
    pub rest_after: Option<Duration>,
    /// `refresh_buffer`: how early tokens are refreshed at most.
    pub buffer: Duration,
    /// Waits between jobs of one connection that did not succeed.
    pub back_off: BackOff,
    /// Jobs in a row without an answer about the grant, after which the connection is `failing`.
    pub max_attempts: u32,
    /// Between two probes of an app in an outage.
    pub outage_probe_every: Duration,
    /// Between two probes of an app at fault.
    pub fault_probe_every: Duration,
}

/// Settings that cannot be right together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "worker.lease is {lease_ms} ms and {provider} may need {needed_ms} ms \
     (tries x call time-out + pauses + confirmation + commit): make the lease longer or the tries fewer"
)]
pub struct SettingsError {
    provider: String,
    lease_ms: u128,
    needed_ms: u128,
}

impl WorkerSettings {
    /// Checks that a lease outlasts everything that is done under it.
    pub fn check(&self, policy: &ProviderPolicy) -> Result<(), SettingsError> {
        let confirmation = match policy.confirmation {
            Confirmation::InJob { after_ms } => Duration::from_millis(after_ms) + policy.call_timeout,
            Confirmation::Spaced { .. } => Duration::ZERO,
        };
        let tries = (policy.call_timeout + IN_JOB_PAUSE_MAX) * self.tries;
        let needed = self.admit_patience + tries + confirmation + self.commit_budget;
        if self.lease > needed {
            return Ok(());
        }
        let (lease_ms, needed_ms) = (self.lease.as_millis(), needed.as_millis());
        Err(SettingsError { provider: policy.name.to_string(), lease_ms, needed_ms })
    }

    /// What has to be left of a lease for one more call: its turn, itself, and the write.
    pub fn room_for_call(&self, policy: &ProviderPolicy) -> Duration {
        self.admit_patience + policy.call_timeout + self.commit_budget
    }

    /// The rules of a transition for connections of this provider app.
    pub fn rules(&self, policy: &ProviderPolicy) -> Rules {
        Rules {
            margin: Margin { buffer: self.buffer, share_percent: policy.margin_share_percent },
            back_off: self.back_off,
            max_attempts: self.max_attempts,
            confirmation: policy.confirmation,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use evergrant_contract::verdict::Rotation;

    use super::*;

    pub(crate) fn settings() -> WorkerSettings {
        WorkerSettings {
            concurrency_due: 8,
            concurrency_force: 2,
            lease: Duration::from_secs(45),
            takeover_grace: Duration::from_secs(10),
            tries: 2,
            commit_budget: Duration::from_secs(5),
            admit_patience: Duration::from_secs(1),
            rest_after: None,
            buffer: Duration::from_mins(15),
            back_off: BackOff { first: Duration::from_secs(15), cap: Duration::from_mins(30) },
            max_attempts: 3,
            outage_probe_every: Duration::from_secs(5),
            fault_probe_every: Duration::from_mins(1),
        }
    }

    pub(crate) fn policy() -> ProviderPolicy {
        ProviderPolicy {
            name: "amazon-na".parse().unwrap(),
            rotation: Rotation::Optional,
            confirmation: Confirmation::InJob { after_ms: 3_000 },
            margin_share_percent: 25,
            call_timeout: Duration::from_secs(10),
        }
    }

    #[test]
    fn a_lease_must_outlast_what_is_done_under_it() {
        assert_eq!(settings().check(&policy()), Ok(()));
        let short = WorkerSettings { lease: Duration::from_secs(20), ..settings() };
        let told = short.check(&policy()).unwrap_err().to_string();
        assert!(told.contains("worker.lease is 20000 ms and amazon-na may need 41000 ms"), "{told}");
    }
}
