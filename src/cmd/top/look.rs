//! One look at everything. What cannot be looked at is told and hides nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::app::App;
use evergrant_contract::census::{Backlog, QueueLevel};
use evergrant_contract::connection::Stats;
use evergrant_contract::controls::Pauses;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::operations::{Series, Tally};
use evergrant_contract::ports::{Clock, Peer};
use evergrant_contract::timing::before;
use evergrant_contract::verdict::VerdictKind;

use crate::peers::ALIVE_FOR;
use crate::shape::Shape;

/// Rates are told of so many minutes, the last of them apart: it is not over.
const MINUTES: u64 = 5;
/// Counting what is due stops here.
pub(super) const COUNTED: u32 = 10_000;

/// Calls of one provider app's token endpoint in a minute, on average.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rates {
    /// Answered with new tokens.
    pub(super) refreshed: u64,
    /// Answered otherwise, or not at all.
    pub(super) other: u64,
}

/// What was seen.
#[derive(Default)]
pub(super) struct Look {
    pub(super) at: Timestamp,
    pub(super) mode: String,
    pub(super) stats: Option<Stats>,
    pub(super) providers: BTreeSet<ProviderName>,
    pub(super) apps: BTreeMap<ProviderName, App>,
    pub(super) backlog: BTreeMap<ProviderName, Backlog>,
    pub(super) rates: BTreeMap<ProviderName, Rates>,
    pub(super) queues: Vec<QueueLevel>,
    pub(super) peers: Vec<Peer>,
    pub(super) pauses: Pauses,
    /// What could not be looked at, and why.
    pub(super) notes: Vec<String>,
}

/// Looks.
pub(super) struct Looker<'a> {
    pub(super) shape: &'a Shape,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) mode: String,
    /// The provider apps that have a client id and a secret.
    pub(super) configured: BTreeSet<ProviderName>,
}

impl Looker<'_> {
    pub(super) async fn look(&self) -> Look {
        let (store, at) = (self.shape.store.as_ref(), self.clock.now());
        let mut look = Look { at, mode: self.mode.clone(), providers: self.configured.clone(), ..Look::default() };
        look.stats = look.seen("connections", store.stats(at, before(at, Duration::from_mins(1))).await);
        let apps = look.seen("provider apps", store.apps().await).unwrap_or_default();
        look.apps = apps.into_iter().map(|app| (app.provider.clone(), app)).collect();
        look.providers.extend(look.apps.keys().cloned());
        for provider in look.providers.clone() {
            let backlog = store.backlog(&provider, at, COUNTED).await;
            if let Some(backlog) = look.seen("backlog", backlog) {
                look.backlog.insert(provider, backlog);
            }
        }
        let this_minute =
            before(at, Duration::from_secs(u64::try_from(at.timestamp().rem_euclid(60)).unwrap_or_default()));
        let activity = store.activity(before(this_minute, Duration::from_mins(MINUTES)), this_minute).await;
        look.rates = rates(&look.seen("rates", activity).unwrap_or_default());
        look.pauses = look.seen("pauses", store.pauses().await).unwrap_or_default();
        look.peers = look.seen("processes", store.peers(ALIVE_FOR).await).unwrap_or_default();
        look.peers.sort_by(|one, other| (&one.role, one.process).cmp(&(&other.role, other.process)));
        // In the embedded mode the queue is the other process's own.
        if self.shape.queue_is_shared {
            look.queues = look.seen("queues", self.shape.queue.levels().await).unwrap_or_default();
        }
        look
    }
}

impl Look {
    fn seen<T, E: Display>(&mut self, what: &str, found: Result<T, E>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(error) => {
                self.notes.push(format!("{what}: {error}"));
                None
            }
        }
    }
}

/// Per minute, by provider app.
fn rates(tallies: &[Tally]) -> BTreeMap<ProviderName, Rates> {
    let mut rates: BTreeMap<ProviderName, Rates> = BTreeMap::new();
    for tally in tallies.iter().filter(|tally| tally.series == Series::Attempts) {
        let Some(provider) = &tally.provider else { continue };
        let rates = rates.entry(provider.clone()).or_default();
        let which =
            if tally.label == VerdictKind::Refreshed.as_str() { &mut rates.refreshed } else { &mut rates.other };
        *which += tally.count;
    }
    for rates in rates.values_mut() {
        *rates = Rates { refreshed: rates.refreshed.div_ceil(MINUTES), other: rates.other.div_ceil(MINUTES) };
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_one_minute_and_of_calls_alone() {
        let na: ProviderName = "amazon-na".parse().unwrap();
        let tally = |series, label: &str, count| Tally {
            minute: Timestamp::default(),
            series,
            provider: Some(na.clone()),
            label: label.to_owned(),
            count,
        };
        let tallies = [
            tally(Series::Attempts, "refreshed", 300),
            tally(Series::Attempts, "refreshed", 200),
            tally(Series::Attempts, "transient", 3),
            tally(Series::Due, "", 99),
        ];
        assert_eq!(rates(&tallies), BTreeMap::from([(na.clone(), Rates { refreshed: 100, other: 1 })]));
    }
}
