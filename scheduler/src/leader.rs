//! The office: one scheduler leads, the others wait.
//!
//! The store decides, in its own time. What this process keeps is a trust window on the clock that never jumps, counted from
//! before the question was asked and shortened by a safety share: it can only make a leader step down early.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ids::ProcessId;
use evergrant_contract::ports::{Clock, Offices, StoreError};
use tokio::sync::watch;
use tracing::info;

/// The name of the office in the store.
const OFFICE: &str = "scheduler";

/// A candidate for the office.
pub(crate) struct Leader {
    offices: Arc<dyn Offices>,
    clock: Arc<dyn Clock>,
    process: ProcessId,
    ttl: Duration,
    /// Leading is believed until then.
    trusted_until: Option<Duration>,
    /// The store is asked again from then on.
    ask_at: Duration,
    shown: watch::Sender<bool>,
}

impl Leader {
    pub(crate) fn new(offices: Arc<dyn Offices>, clock: Arc<dyn Clock>, process: ProcessId, ttl: Duration) -> Self {
        Self {
            offices,
            clock,
            process,
            ttl,
            trusted_until: None,
            ask_at: Duration::ZERO,
            shown: watch::Sender::new(false),
        }
    }

    /// Whether this process leads, by what it knows.
    pub(crate) fn is_leading(&self) -> bool {
        self.trusted_until.is_some_and(|until| self.clock.monotonic() < until)
    }

    /// Takes or keeps the office when it is time to ask.
    pub(crate) async fn stand(&mut self) -> Result<bool, StoreError> {
        let stood = self.ask_if_time().await;
        self.show();
        stood
    }

    /// Tells whoever listens whether this process leads, as it was last seen.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.shown.subscribe()
    }

    fn show(&self) {
        metrics::gauge!("evergrant_scheduler_leading").set(f64::from(u8::from(self.is_leading())));
        self.shown.send_replace(self.is_leading());
    }

    async fn ask_if_time(&mut self) -> Result<bool, StoreError> {
        let asked_at = self.clock.monotonic();
        if asked_at < self.ask_at && self.is_leading() {
            return Ok(true);
        }
        let led = self.trusted_until.is_some();
        let leads = self.offices.lead(OFFICE, self.process, self.ttl).await?;
        self.trusted_until = leads.then(|| asked_at + self.ttl * 4 / 5);
        self.ask_at = asked_at + self.ttl / 3;
        match (led, self.is_leading()) {
            (false, true) => info!(process = %self.process, "This scheduler leads"),
            (true, false) => info!(process = %self.process, "Another scheduler leads; this one stands by"),
            _ => {}
        }
        Ok(self.is_leading())
    }

    /// Gives the office back, so that a standby need not wait for it to lapse.
    pub(crate) async fn resign(&mut self) -> Result<(), StoreError> {
        self.trusted_until = None;
        self.show();
        self.offices.resign(OFFICE, self.process).await
    }
}

#[cfg(test)]
mod tests {
    use evergrant_testkit::{ManualClock, MemoryStore};

    use super::*;

    const TTL: Duration = Duration::from_secs(6);

    fn candidate(store: &Arc<MemoryStore>, clock: &Arc<ManualClock>) -> Leader {
        Leader::new(Arc::clone(store) as _, Arc::clone(clock) as _, ProcessId::generate(), TTL)
    }

    #[tokio::test]
    async fn one_leads_and_a_standby_takes_over_when_the_office_lapses() {
        let clock = ManualClock::new();
        let store = Arc::new(MemoryStore::new(Arc::clone(&clock) as _));
        let (mut first, mut second) = (candidate(&store, &clock), candidate(&store, &clock));
        assert!(first.stand().await.unwrap());
        assert!(!second.stand().await.unwrap());
        clock.advance(TTL).await;
        assert!(!first.is_leading(), "trust ends before the office does");
        assert!(second.stand().await.unwrap());
        assert!(!first.stand().await.unwrap());
    }

    #[tokio::test]
    async fn resigning_lets_a_standby_lead_at_once() {
        let clock = ManualClock::new();
        let store = Arc::new(MemoryStore::new(Arc::clone(&clock) as _));
        let (mut first, mut second) = (candidate(&store, &clock), candidate(&store, &clock));
        assert!(first.stand().await.unwrap());
        first.resign().await.unwrap();
        assert!(!first.is_leading());
        assert!(second.stand().await.unwrap());
    }

    #[tokio::test]
    async fn a_store_that_is_away_makes_nobody_lead_past_the_trust() {
        let clock = ManualClock::new();
        let store = Arc::new(MemoryStore::new(Arc::clone(&clock) as _));
        let mut leader = candidate(&store, &clock);
        assert!(leader.stand().await.unwrap());
        store.set_down(true);
        clock.advance(TTL / 2).await;
        assert!(leader.stand().await.is_err());
        assert!(leader.is_leading(), "still within what the store granted");
        clock.advance(TTL / 2).await;
        assert!(!leader.is_leading());
    }
}
