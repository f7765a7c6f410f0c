//! `evergrant keys reencrypt`: every row under the present key, now.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use evergrant_contract::ids::ProcessId;
use evergrant_contract::keys::Resealed;
use evergrant_contract::operations::Action;
use evergrant_contract::ports::{Clock, Store};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::super::{clock, keyring, with_store};
use super::line;
use crate::cli::ReencryptArgs;
use crate::config::Config;
use crate::exit::Failed;
use crate::keys::reencryption::Reencryption;
use crate::lifecycle::told_to_stop;
use crate::output::{self, Output};
use crate::peers::{refuse_foreign_keys, this_process};

/// Where nobody watches, a line says so often how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Serialize)]
struct Done {
    /// Rows that are under the present key now and were not before.
    reencrypted: u64,
    /// Rows that no key of this configuration opens; they were left as they are.
    undecryptable: u64,
    /// Somebody stopped it before its end.
    stopped: bool,
}

pub(super) async fn run(config: &Config, args: &ReencryptArgs) -> Result<(), Failed> {
    let done = with_store(config, async |store| reencrypt(config, store, args).await).await?;
    Output::stdout(args.output.json).data(&done, Done::text)?;
    if done.stopped {
        return Err(anyhow!("stopped: what was encrypted again stays so, repeat the command to go on").into());
    }
    Ok(())
}

impl Done {
    fn text(&self) -> String {
        let mut text = format!("{} rows were encrypted again under the present key.\n", self.reencrypted);
        if self.undecryptable > 0 {
            let _ = writeln!(
                text,
                "{} rows do not open with the keys of this configuration and were left as they are: give their key back, or \
                 let their users connect again.",
                self.undecryptable
            );
        }
        text
    }
}

async fn reencrypt(config: &Config, store: Arc<dyn Store>, args: &ReencryptArgs) -> Result<Done, Failed> {
    let (keyring, clock) = (keyring(config)?, clock());
    // What this command writes must open everywhere.
    refuse_foreign_keys(&*store, &this_process(ProcessId::generate(), "keys reencrypt", &keyring)).await?;
    let total = store.rows_under_other_keys().await?.iter().map(|(_, rows)| rows).sum();
    let work = Reencryption {
        store: Arc::clone(&store),
        keyring: Arc::clone(&keyring),
        clock: Arc::clone(&clock),
        per_second: args.per_second.unwrap_or(u32::MAX),
    };
    let mut progress = Progress::begin(Arc::clone(&clock), total);
    let (resealed, stopped) = work.all(&stop_on_signal(), |batch| progress.advance(batch)).await?;
    progress.bar.finish_and_clear();
    let foreign = store.rows_under_other_keys().await?.into_iter();
    let foreign = foreign.filter(|(key, _)| !keyring.fingerprints().any(|known| known.as_str() == key));
    let undecryptable = resealed.undecryptable + foreign.map(|(_, rows)| rows).sum::<u64>();
    let outcome = format!("{} rows", resealed.written);
    let entry = line(&*clock, &args.operator, Action::Reencrypt, keyring.primary().as_str(), &outcome);
    store.audit(&entry).await?;
    Ok(Done { reencrypted: resealed.written, undecryptable, stopped })
}

/// How far it is: a bar for whoever watches, else a line now and then.
struct Progress {
    clock: Arc<dyn Clock>,
    bar: ProgressBar,
    begun: Duration,
    told: Duration,
    total: u64,
    done: u64,
}

impl Progress {
    fn begin(clock: Arc<dyn Clock>, total: u64) -> Self {
        let bar = if output::is_watched() { ProgressBar::new(total) } else { ProgressBar::hidden() };
        let style = "{wide_bar} {human_pos} of {human_len} rows, {per_sec}, {eta} left";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        let now = clock.monotonic();
        Self { clock, bar, begun: now, told: now, total, done: 0 }
    }

    fn advance(&mut self, batch: Resealed) {
        self.done += batch.written;
        self.bar.set_position(self.done);
        let now = self.clock.monotonic();
        if output::is_watched() || now.saturating_sub(self.told) < TELL_EVERY {
            return;
        }
        self.told = now;
        let seconds = now.saturating_sub(self.begun).as_secs().max(1);
        let (left, per_second) = (self.total.saturating_sub(self.done), self.done / seconds);
        let eta_seconds = left / per_second.max(1);
        tracing::info!(done = self.done, left, per_second, eta_seconds, "Rows are being encrypted again");
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
