//! Somebody who looks all the time: no connection is given up, and no token ends unless a fault is the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::eyes::{Eyes, Standing};
use super::record::Record;
use super::system::ALLOWANCE;
use crate::support::rows::now;

const LOOK_EVERY: Duration = Duration::from_millis(400);

/// What the provider says of a grant.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Account {
    pub(super) user_id: String,
    pub(super) state: String,
    pub(super) access_expires_at: DateTime<Utc>,
}

impl Account {
    pub(super) fn is_live(&self) -> bool {
        self.state == "live"
    }
}

/// Looks at the store and at the provider.
pub(super) struct Watch {
    pub(super) eyes: Eyes,
    /// The provider's ledger.
    pub(super) ledger: String,
    pub(super) http: reqwest::Client,
    pub(super) record: Record,
    /// A clock jumps: what the store says of times says nothing.
    pub(super) trusts_store: bool,
    /// Whom a breach was told of.
    pub(super) told: BTreeSet<String>,
}

impl Watch {
    pub(super) fn start(mut self) -> JoinHandle<()> {
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if let Some(accounts) = self.accounts().await
                    && let Some(rows) = self.eyes.standings().await
                {
                    self.look(&accounts, &rows);
                }
            }
        })
    }

    async fn accounts(&self) -> Option<BTreeMap<String, Account>> {
        let reply = self.http.get(&self.ledger).send().await.ok()?.bytes().await.ok()?;
        let accounts = reply.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let accounts = accounts.map(|line| serde_json::from_slice::<Account>(line).expect("a grant of the ledger"));
        Some(accounts.map(|account| (account.user_id.clone(), account)).collect())
    }

    fn look(&mut self, accounts: &BTreeMap<String, Account>, rows: &[Standing]) {
        let (at, now) = (Instant::now(), now());
        for row in rows {
            // It may have been ended between the two looks, so the store is asked last.
            let Some(account) = accounts.get(&row.user_id).filter(|account| account.is_live()) else { continue };
            if matches!(row.state.as_str(), "needs_reauth" | "disconnected") {
                self.tell(row, "was given up, and its grant is live");
                continue;
            }
            let newest = account.access_expires_at;
            let stored = row.expires_at.filter(|_| self.trusts_store).and_then(DateTime::from_timestamp_millis);
            let ends = stored.map_or(newest, |stored| stored.min(newest));
            let Ok(over_for) = (now - ends).to_std() else { continue };
            self.record.longest_expired(over_for);
            let began = at.checked_sub(over_for).unwrap_or(at);
            let excused = self.record.under_way(began, at, ALLOWANCE);
            if over_for > excused + ALLOWANCE {
                self.tell(row, &format!("has had no valid token for {over_for:.1?}, and faults for {excused:.1?}"));
            }
        }
    }

    fn tell(&mut self, row: &Standing, what: &str) {
        if self.told.insert(row.user_id.clone()) {
            self.record.breach(format!("{} (version {}, {}) {what}", row.user_id, row.version, row.state));
        }
    }
}
