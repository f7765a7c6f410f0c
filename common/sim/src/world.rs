//! Everything that the endpoints share.

use std::{
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::Serialize;
use std::fmt;
use tokio_util::sync::CancellationToken;

use crate::{
    codes::Codes,
    fault::{Fault, FaultKind},
    grant::{Grant, Issue},
    grants::Grants,
    lock::{read, write},
    now::now_ms,
    options::SimOptions,
    plan::{Call, Faults, Strike},
    reporting::Executions,
    stats::Counters,
    token::{AccessClaims, GrantNo, Mint, RefreshClaims},
};

/// The scope of grants that were made without a consent page.
pub(crate) const DEFAULT_SCOPE: &str = "advertising::campaign_management profile";

/// A hundred years: long enough for ever, short enough to be added to a time.
const MAX_LIFETIME_MS: i64 = 100 * 365 * 24 * 3600 * 1000;

/// The state of a simulated Amazon.
pub(crate) struct World {
    pub(crate) options: SimOptions,
    pub(crate) app: RwLock<App>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) codes: Codes,
    pub(crate) faults: Faults,
    pub(crate) counters: Counters,
    pub(crate) executions: Mutex<Executions>,
    pub(crate) mint: Mint,
    /// Numbers the calls that belong to no grant.
    pub(crate) strangers: AtomicU64,
    pub(crate) stopping: CancellationToken,
}

/// The one app that is registered here.
pub(crate) struct App {
    pub(crate) client_id: String,
    pub(crate) client_secrets: Vec<String>,
}

/// A new pair of tokens. The simulator is who issues them, so unlike everywhere else they can be serialized; they are
/// still kept out of `Debug`.
#[derive(Clone, Serialize)]
pub struct IssuedTokens {
    /// Whose they are.
    pub user_id: String,
    /// `Atza|…`
    pub access_token: String,
    /// `Atzr|…`
    pub refresh_token: String,
    /// When the access token stops working.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for IssuedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedTokens").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

impl World {
    pub(crate) fn new(options: SimOptions) -> Self {
        let app = App { client_id: options.client_id.clone(), client_secrets: options.client_secrets.clone() };
        Self {
            app: RwLock::new(app),
            grants: Arc::new(Grants::new()),
            codes: Codes::default(),
            faults: Faults::new(options.seed),
            counters: Counters::new(),
            executions: Mutex::default(),
            mint: Mint::new(),
            strangers: AtomicU64::new(0),
            stopping: CancellationToken::new(),
            options,
        }
    }

    /// Makes a grant, as if the user had consented just now.
    pub(crate) fn grant(&self, user: &str, scope: &Arc<str>) -> IssuedTokens {
        let expires_at_ms = now_ms() + self.lifetime_ms();
        let no = self.grants.add(Grant::new(user.into(), Arc::clone(scope), expires_at_ms));
        let (access_token, refresh_token) = self.pair(no, Issue { generation: 0, serial: 0, expires_at_ms });
        IssuedTokens {
            user_id: user.to_owned(),
            access_token,
            refresh_token,
            expires_at: DateTime::from_timestamp_millis(expires_at_ms).unwrap_or_default(),
        }
    }

    /// The two tokens of an issue.
    pub(crate) fn pair(&self, grant: GrantNo, issue: Issue) -> (String, String) {
        let Issue { generation, serial, expires_at_ms } = issue;
        let access = self.mint.access(AccessClaims { grant, serial, expires_at_ms });
        (access, self.mint.refresh(RefreshClaims { grant, generation }))
    }

    pub(crate) fn lifetime_ms(&self) -> i64 {
        i64::try_from(self.options.token_lifetime.as_millis()).unwrap_or(MAX_LIFETIME_MS).min(MAX_LIFETIME_MS)
    }

    /// Ends every grant of a user; returns how many there are.
    pub(crate) fn revoke(&self, user: &str) -> usize {
        self.grants.with_user(user, Grant::revoke)
    }

    /// Replaces the faults of one user. An `invalid_grant` without any limit is a revocation, and is made one.
    pub(crate) fn set_faults_for(&self, user: &str, faults: Vec<Fault>) {
        let (ends, faults): (Vec<_>, Vec<_>) =
            faults.into_iter().partition(|fault| fault.kind == FaultKind::InvalidGrant {} && fault.is_for_ever());
        if !ends.is_empty() {
            self.revoke(user);
        }
        self.faults.set_for(user, faults);
    }

    /// Whether these are the credentials of the app.
    pub(crate) fn knows_client(&self, client_id: &str, client_secret: &str) -> bool {
        let app = read(&self.app);
        app.client_id == client_id && app.client_secrets.iter().any(|known| known == client_secret)
    }

    pub(crate) fn knows_client_id(&self, client_id: &str) -> bool {
        read(&self.app).client_id == client_id
    }

    /// Changes the app's credentials; what is `None` stays.
    pub(crate) fn set_app(&self, client_id: Option<String>, client_secrets: Option<Vec<String>>) {
        let mut app = write(&self.app);
        app.client_id = client_id.unwrap_or_else(|| std::mem::take(&mut app.client_id));
        app.client_secrets = client_secrets.unwrap_or_else(|| std::mem::take(&mut app.client_secrets));
    }

    /// Decides what happens to a call, the simulator's own latency included.
    pub(crate) fn strike(&self, call: Call<'_>) -> Strike {
        let mut strike = self.faults.strike(call);
        strike.latency += self.options.latency;
        if !self.options.latency_jitter.is_zero() {
            strike.latency += self.options.latency_jitter.mul_f64(self.faults.chance(call));
        }
        if let Some(fault) = &strike.fault {
            self.counters.fault(fault.name());
        }
        strike
    }

    /// The number of a call that belongs to no grant.
    pub(crate) fn stranger(&self) -> u64 {
        self.strangers.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits, but not longer than the simulator runs.
    pub(crate) async fn pause(&self, duration: Duration) {
        if !duration.is_zero() {
            let _ = self.stopping.run_until_cancelled(tokio::time::sleep(duration)).await;
        }
    }
}
