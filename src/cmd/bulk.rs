//! A command that deals with many, one page after the other: how fast, how far, and whether it is to stop.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ports::Clock;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::lifecycle::told_to_stop;
use crate::output;

/// Dealt with between two looks at the clock and at whoever wants to stop it.
const AT_ONCE: u32 = 500;
/// Where nobody watches, a line of the log says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Between a queue that is too full and the next try.
const CROWDED_WAIT: Duration = Duration::from_secs(1);

/// The pace, the progress and the end of such a command.
pub(super) struct Bulk {
    clock: Arc<dyn Clock>,
    rate: Option<NonZeroU32>,
    /// How many are left of those that it may deal with.
    left: u32,
    total: u64,
    handled: u64,
    begun: Duration,
    told: Duration,
    bar: ProgressBar,
    stop: CancellationToken,
}

impl Bulk {
    /// Begins; `total` is how many there may be, for the progress.
    pub(super) fn begin(
        clock: Arc<dyn Clock>,
        rate: Option<NonZeroU32>,
        limit: Option<NonZeroU32>,
        total: u64,
    ) -> Self {
        let left = limit.map_or(u32::MAX, NonZeroU32::get);
        let total = total.min(left.into());
        let now = clock.monotonic();
        Self { clock, rate, left, total, handled: 0, begun: now, told: now, bar: bar(total), stop: stop_on_signal() }
    }

    /// How many to deal with next.
    pub(super) fn size(&self) -> u32 {
        self.rate.map_or(AT_ONCE, |rate| rate.get().min(AT_ONCE)).min(self.left)
    }

    /// So many more were looked at; `done` counts those of all that were dealt with.
    pub(super) fn advance(&mut self, handled: usize, done: u64) {
        self.handled += handled as u64;
        self.left = self.left.saturating_sub(u32::try_from(handled).unwrap_or(u32::MAX));
        self.bar.set_position(self.handled);
        self.bar.set_message(format!("{done} done"));
        let now = self.clock.monotonic();
        if self.bar.is_hidden() && now.saturating_sub(self.told) >= TELL_EVERY {
            self.told = now;
            info!(handled = self.handled, done, total = self.total, "The command goes on");
        }
    }

    /// Whether it has dealt with as many as it may.
    pub(super) const fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Waits for as long as the rate asks for. `false`: somebody stops it. What is in hand is finished first, so that nothing
    /// is published and stays open.
    pub(super) async fn goes_on(&self) -> bool {
        let pause = self.rate.map_or(Duration::ZERO, |rate| {
            let handled = u32::try_from(self.handled).map_or(f64::MAX, f64::from);
            let due = Duration::try_from_secs_f64(handled / f64::from(rate.get())).unwrap_or(Duration::MAX);
            due.saturating_sub(self.clock.monotonic().saturating_sub(self.begun))
        });
        self.waits(pause).await
    }

    /// Waits until the workers have taken something away. `false`: somebody stops it.
    pub(super) async fn outwaits_the_crowd(&self) -> bool {
        self.bar.set_message("waiting for the workers");
        self.waits(CROWDED_WAIT).await
    }

    async fn waits(&self, pause: Duration) -> bool {
        self.stop.run_until_cancelled(self.clock.sleep(pause)).await.is_some() && !self.stop.is_cancelled()
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        if told_to_stop().await.is_ok() {
            told.cancel();
        }
    });
    stop
}

fn bar(total: u64) -> ProgressBar {
    if !output::is_watched() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} ({per_sec}, {eta} left) {msg}");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
