//! What must hold when it is over: the provider's ledger held against the store.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use evergrant_sim::LedgerEntry;

use super::eyes::Standing;
use super::system::System;
use crate::support::rows::now;

/// From the end of the last fault until everything must be well again.
pub(super) const HEALTHY_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl System {
    /// Waits until every process is ready, and every connection was refreshed since and has a valid token, or says that its
    /// grant has ended: how long that took.
    pub(super) fn recover(&mut self) -> Duration {
        let begin = Instant::now();
        let mut before: Option<BTreeMap<String, i64>> = None;
        loop {
            self.supervise();
            let rows = self.world.runtime.block_on(self.eyes.standings()).unwrap_or_default();
            if before.is_none() && !rows.is_empty() {
                before = Some(rows.iter().map(|row| (row.user_id.clone(), row.version)).collect());
            }
            let ill = self.still_ill(&rows, before.as_ref());
            if ill.is_empty() {
                return begin.elapsed();
            }
            if begin.elapsed() > HEALTHY_WITHIN {
                let (some, all) = (&ill[..ill.len().min(5)], ill.len());
                let seconds = HEALTHY_WITHIN.as_secs();
                self.record.breach(format!("{all} things are not well {seconds} s after the last fault: {some:#?}"));
                return begin.elapsed();
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Everything that is not well.
    fn still_ill(&mut self, rows: &[Standing], before: Option<&BTreeMap<String, i64>>) -> Vec<String> {
        let Some(before) = before else { return vec!["the store does not answer".to_owned()] };
        let ledger = self.world.ledger();
        let now = now().timestamp_millis();
        let mut ill = Vec::new();
        for row in rows {
            let is_live = ledger[&row.user_id].state == "live";
            if !is_live && row.state == "needs_reauth" {
                continue;
            }
            if !is_live {
                ill.push(format!("its grant has ended, and it does not say so: {row:?}"));
            } else if row.state != "active" {
                ill.push(format!("not active: {row:?}"));
            } else if row.version <= before[&row.user_id] {
                ill.push(format!("not refreshed since: {row:?}"));
            } else if ledger[&row.user_id].access_expires_at.timestamp_millis() <= now {
                ill.push(format!("its token is over: {row:?}"));
            }
        }
        for process in &mut self.world.processes {
            let ready = process.address().is_some_and(|address| crate::support::is_ready(&address));
            if !ready {
                ill.push(format!("{} is not ready", process.name));
            }
        }
        ill
    }

    /// Holds the ledger against the store. Nothing runs any more.
    pub(super) fn hold_to_account(&mut self, is_merciless: bool) {
        let rows = self.world.runtime.block_on(self.eyes.standings()).expect("the store is there");
        let ambiguous = self.world.runtime.block_on(self.eyes.ambiguous()).expect("the store is there");
        let ledger = self.world.ledger();
        assert_eq!(rows.len(), ledger.len(), "every grant is one connection");
        for row in &rows {
            let told = ambiguous.get(&row.user_id).copied().unwrap_or(0);
            for wrong in wrongs(row, &ledger[&row.user_id], told, is_merciless) {
                self.record.breach(format!(
                    "{wrong}; {told} calls on record had no answer; {row:?} {:?}",
                    ledger[&row.user_id]
                ));
            }
        }
        let stats = self.world.stats(now()).expect("the store is there");
        if stats.failed_jobs > 0 {
            self.record.breach(format!("{} jobs were given up: {stats:?}", stats.failed_jobs));
        }
        self.record.add("calls without an answer, on record", ambiguous.values().sum::<i64>().unsigned_abs());
        let ended = ledger.values().filter(|account| account.state != "live").count();
        self.record.add("grants ended by the provider", ended as u64);
    }
}

/// What must not be, of one connection.
fn wrongs(row: &Standing, account: &LedgerEntry, told: i64, is_merciless: bool) -> Vec<&'static str> {
    let counts = account.counts;
    let is_live = account.state == "live";
    let unexplained = told == 0;
    let checks = [
        (
            i64::from(counts.spent_twice) > told,
            "a refresh token was spent twice more often than answers are on record as lost",
        ),
        (is_live && row.state != "active", "the connection was given up, and its grant is live"),
        // A merciless provider ends a grant at the repetition that a lost answer makes necessary. Nobody else may.
        (
            !is_live && (!is_merciless || counts.spent_twice == 0 || unexplained),
            "the provider had a reason to end the grant",
        ),
        (!is_live && row.state != "needs_reauth", "the grant has ended, and the connection does not say so"),
        (counts.concurrent_refreshes > 1 && unexplained, "two calls were under way at one time"),
        (i64::from(counts.calls_after_end) > told, "an ended grant was called again"),
        (
            u64::try_from(row.version).unwrap_or(0) > counts.refreshes + 1,
            "the store has more versions than the provider made",
        ),
    ];
    checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, what)| what).collect()
}
