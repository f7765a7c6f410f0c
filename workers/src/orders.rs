//! What operators have ordered: pauses of queues and provider apps, and whether this process is to take no new jobs.
//!
//! The rows are the truth. This process keeps a copy, a second old at most, and takes no job before it has one: a restart
//! forgets no pause. Paused connections are not among them: the store gives nobody their lease.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evergrant_contract::controls::{Drain, Pause, PauseTarget, Pauses};
use evergrant_contract::ids::{ProcessId, ProviderName};
use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{Clock, Controls, StoreError};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

/// How old this process's copy may be.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// The orders as they were last seen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Seen {
    pauses: Pauses,
    drain: Option<Drain>,
}

impl Seen {
    fn takes(&self, kind: JobKind) -> bool {
        self.drain.is_none() && self.pauses.of_queue(kind).is_none()
    }
}

/// What operators have ordered.
pub(crate) struct Orders {
    controls: Arc<dyn Controls>,
    clock: Arc<dyn Clock>,
    process: ProcessId,
    /// `None` until the first look.
    seen: watch::Sender<Option<Seen>>,
    /// Kinds of job that are being taken.
    shifts: AtomicUsize,
    /// Provider apps whose pauses the gauge has shown.
    shown: Mutex<HashSet<ProviderName>>,
}

/// Jobs of one kind are being taken; dropped when they are not.
pub(crate) struct Shift<'a>(&'a Orders);

impl Drop for Shift<'_> {
    fn drop(&mut self) {
        self.0.shifts.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Orders {
    pub(crate) fn new(controls: Arc<dyn Controls>, clock: Arc<dyn Clock>, process: ProcessId) -> Self {
        let seen = watch::Sender::new(None);
        Self { controls, clock, process, seen, shifts: AtomicUsize::new(0), shown: Mutex::default() }
    }

    /// Keeps the copy fresh until `stop`, and says when a drained process has nothing `in_hand` any more.
    pub(crate) async fn watch(&self, in_hand: &TaskTracker, stop: &CancellationToken) {
        loop {
            if let Err(error) = self.look().await {
                warn!(%error, "The orders of operators cannot be read; the last known ones stand");
            } else if self.is_idle_for_a_drain(in_hand) {
                self.report_drained().await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(WATCH_EVERY) => {}
            }
        }
    }

    /// Reads the rows.
    pub(crate) async fn look(&self) -> Result<(), StoreError> {
        let pauses = self.controls.pauses().await?;
        let drain = self.controls.drain_of(self.process).await?;
        let connections = self.controls.count_paused_connections().await?;
        self.show(&pauses, connections);
        let seen = Seen { pauses, drain };
        let before = self.seen.send_replace(Some(seen.clone()));
        tell(&before.unwrap_or_default(), &seen);
        Ok(())
    }

    /// The order that keeps connections of this provider app from being refreshed.
    pub(crate) fn pause_of(&self, provider: &ProviderName) -> Option<Pause> {
        self.seen.borrow().as_ref().and_then(|seen| seen.pauses.of_app(provider).cloned())
    }

    /// Whether jobs of this kind may be begun. Before the first look nobody has forbidden it: whoever hands over a job without
    /// a shift has looked, or knows better.
    pub(crate) fn takes(&self, kind: JobKind) -> bool {
        self.seen.borrow().as_ref().is_none_or(|seen| seen.takes(kind))
    }

    /// Waits until jobs of this kind may be taken, and begins to.
    pub(crate) async fn begin_shift(&self, kind: JobKind) -> Shift<'_> {
        self.until(|seen| seen.as_ref().is_some_and(|seen| seen.takes(kind))).await;
        self.shifts.fetch_add(1, Ordering::AcqRel);
        Shift(self)
    }

    /// Returns when jobs of this kind are not to be taken any more.
    pub(crate) async fn end_of_shift(&self, kind: JobKind) {
        self.until(|seen| seen.as_ref().is_some_and(|seen| !seen.takes(kind))).await;
    }

    async fn until(&self, holds: impl Fn(&Option<Seen>) -> bool) {
        // The sender lives as long as this does.
        let _ = self.seen.subscribe().wait_for(|seen| holds(seen)).await.map(drop);
    }

    fn is_idle_for_a_drain(&self, in_hand: &TaskTracker) -> bool {
        let is_ordered =
            matches!(&*self.seen.borrow(), Some(Seen { drain: Some(drain), .. }) if drain.done_at.is_none());
        is_ordered && self.shifts.load(Ordering::Acquire) == 0 && in_hand.is_empty()
    }

    async fn report_drained(&self) {
        match self.controls.drained(self.process, self.clock.now()).await {
            Ok(()) => {
                info!(process = %self.process, "Drained: nothing is in hand, and no new jobs are taken until this worker is resumed");
            }
            Err(error) => warn!(%error, "It cannot be noted yet that this worker has nothing in hand"),
        }
    }

    fn show(&self, pauses: &Pauses, connections: u64) {
        let gauge = |kind: &'static str, name: String, paused: f64| {
            metrics::gauge!("evergrant_paused", "kind" => kind, "name" => name).set(paused);
        };
        for kind in JobKind::ALL {
            gauge("queue", kind.to_string(), f64::from(u8::from(pauses.of_queue(*kind).is_some())));
        }
        let mut shown = self.shown.lock();
        shown.extend(pauses.iter().filter_map(|pause| match &pause.target {
            PauseTarget::App(provider) => Some(provider.clone()),
            PauseTarget::Queue(_) | PauseTarget::Connection(_) => None,
        }));
        for provider in shown.iter() {
            gauge("app", provider.to_string(), f64::from(u8::from(pauses.of_app(provider).is_some())));
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of connections fits a float exactly")]
        gauge("connection", String::new(), connections as f64);
    }
}

/// Says what has changed.
fn tell(before: &Seen, now: &Seen) {
    for Pause { target, order } in now.pauses.iter().filter(|pause| !before.pauses.iter().any(|known| known == *pause))
    {
        warn!(what = %target, by = order.by, why = order.why, "Paused by an operator: nothing of it is refreshed until it is resumed");
    }
    for Pause { target, .. } in before.pauses.iter().filter(|pause| !now.pauses.iter().any(|known| known == *pause)) {
        info!(what = %target, "Resumed: refreshes go on");
    }
    match (&before.drain, &now.drain) {
        (None, Some(Drain { order, .. })) => {
            warn!(
                by = order.by,
                why = order.why,
                "Drained by an operator: this worker finishes what is in hand and takes no new jobs"
            );
        }
        (Some(_), None) => info!("This worker takes jobs again"),
        _ => {}
    }
}
