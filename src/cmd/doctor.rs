//! `evergrant doctor`: what is wrong and what to do.

mod work;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::app::AppState;
use evergrant_contract::controls::{Order, Pause, PauseTarget};
use evergrant_contract::ids::ProcessId;
use evergrant_contract::ports::{Clock, Store};
use evergrant_contract::timing::before;
use evergrant_vault::Keyring;
use serde::Serialize;
use tokio::net::TcpStream;
use url::Url;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::exit::story;
use crate::peers::{refuse_foreign_keys, this_process};
use crate::shape::Shape;
use crate::{client_secrets, keys, providers};

/// A provider's host that takes longer to accept a connection is reported.
const REACH_PATIENCE: Duration = Duration::from_secs(5);
/// Clocks that differ by more make leases and expiries doubtful.
const SKEW_MAX: Duration = Duration::from_secs(5);
/// A pause that stands for longer may have been forgotten.
const FORGOTTEN_PAUSE: Duration = Duration::from_hours(24);
/// Paused connections that are read at a time.
const PAGE: u32 = 1000;

/// How one check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Grade {
    /// As it should be.
    Ok,
    /// It works, and somebody should look.
    Warning,
    /// It does not work.
    Failure,
}

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct Diagnosis {
    /// What was looked at.
    pub check: String,
    /// How it is.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What to do, unless all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Everything that was checked.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// In the order in which they were made.
    pub checks: Vec<Diagnosis>,
}

impl Report {
    /// Whether anything does not work.
    pub(super) fn has_failure(&self) -> bool {
        self.checks.iter().any(|check| check.grade == Grade::Failure)
    }

    fn add(&mut self, check: &str, grade: Grade, found: impl Into<String>, advice: Option<&str>) {
        let (found, advice) = (found.into(), advice.map(str::to_owned));
        self.checks.push(Diagnosis { check: check.to_owned(), grade, found, advice });
    }

    fn ok(&mut self, check: &str, found: impl Into<String>) {
        self.add(check, Grade::Ok, found, None);
    }

    fn warn(&mut self, check: &str, found: impl Into<String>, advice: &str) {
        self.add(check, Grade::Warning, found, Some(advice));
    }

    fn fail(&mut self, check: &str, found: impl Into<String>, advice: &str) {
        self.add(check, Grade::Failure, found, Some(advice));
    }

    /// The report for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for Diagnosis { check, grade, found, advice } in &self.checks {
            let mark = match grade {
                Grade::Ok => "ok     ",
                Grade::Warning => "warning",
                Grade::Failure => "FAILURE",
            };
            let _ = writeln!(text, "{mark}  {check:<12} {found}");
            if let Some(advice) = advice {
                let _ = writeln!(text, "         {:<12} -> {advice}", "");
            }
        }
        text
    }
}

/// Checks configuration, keys, store, broker, clock and providers.
pub(super) async fn examine(config: &Config) -> Report {
    let mut report = Report::default();
    examine_config(&mut report, config);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    if keys::is_yet_to_be_generated(config) {
        report.ok("keys", "none yet: the first start generates one");
        report.ok("store", "none yet: the first start makes one");
    } else {
        match keys::keyring(config) {
            Ok(keyring) => examine_services(&mut report, config, Arc::new(keyring), &clock).await,
            Err(error) => report.fail("keys", error.to_string(), "without keys the store cannot be looked at"),
        }
    }
    examine_providers(&mut report, config, &clock).await;
    report
}

fn examine_config(report: &mut Report, config: &Config) {
    let Err(problems) = config.check() else {
        return report.ok("config", format!("mode {}, data in {}", config.mode, config.data_dir.display()));
    };
    for problem in problems {
        report.fail("config", format!("{}: {}", problem.key, problem.reason), &problem.remedy);
    }
}

async fn examine_services(report: &mut Report, config: &Config, keyring: Arc<Keyring>, clock: &Arc<dyn Clock>) {
    report.ok("keys", format!("writing with {}, reading with {}", keyring.primary(), keyring.fingerprints().count()));
    match Shape::open(config, Arc::clone(&keyring), Arc::clone(clock)).await {
        Ok(shape) => {
            examine_shape(report, &shape, &keyring, clock.as_ref()).await;
            shape.close().await;
        }
        Err(error) => report.fail("store", story(&error), "see that the servers run and the URLs are right"),
    }
}

async fn examine_shape(report: &mut Report, shape: &Shape, keyring: &Keyring, clock: &dyn Clock) {
    for check in &shape.checks {
        match check.check().await {
            Ok(()) => report.ok(check.name(), "answers"),
            Err(error) => report.fail(check.name(), error, "see that the server runs and the URL is right"),
        }
    }
    let me = this_process(ProcessId::generate(), "doctor", keyring);
    match refuse_foreign_keys(shape.store.as_ref(), &me).await {
        Ok(()) => report.ok("peers", "every live process shares our keys"),
        Err(error) => report.fail("peers", story(&error), "no process starts with these keys until they agree"),
    }
    examine_clock(report, shape, &me, clock).await;
    examine_rows(report, shape, keyring, clock).await;
}

/// The store stamps what it is told: the difference to our clock is the skew.
async fn examine_clock(report: &mut Report, shape: &Shape, me: &evergrant_contract::ports::Peer, clock: &dyn Clock) {
    let told = async {
        shape.store.announce(me).await?;
        let peers = shape.store.peers(Duration::from_mins(1)).await;
        shape.store.depart(me.process).await?;
        peers
    };
    match told.await {
        Err(error) => report.fail("clock", error.to_string(), "the store could not be written to"),
        Ok(peers) => {
            let seen_at = peers.iter().find(|peer| peer.process == me.process).map_or(clock.now(), |peer| peer.seen_at);
            let skew = (clock.now() - seen_at).abs().to_std().unwrap_or_default();
            let found = format!("{} ms from the store's", skew.as_millis());
            if skew > SKEW_MAX {
                report.warn("clock", found, "set the clocks by NTP: tokens may be refreshed late");
            } else {
                report.ok("clock", found);
            }
        }
    }
}

async fn examine_rows(report: &mut Report, shape: &Shape, keyring: &Keyring, clock: &dyn Clock) {
    let now = clock.now();
    match shape.store.stats(now, before(now, Duration::from_hours(1))).await {
        Err(error) => report.fail("connections", error.to_string(), "the rows could not be counted"),
        Ok(stats) if stats.expired > 0 => report.warn(
            "connections",
            format!("{} of {} have no valid access token, {} are due", stats.expired, stats.total, stats.due),
            "see that a scheduler and a worker run, and whether an app below is held",
        ),
        Ok(stats) if stats.total == 0 => report.ok("connections", "none yet"),
        Ok(stats) => report.ok("connections", format!("{} in all, {} due, none expired", stats.total, stats.due)),
    }
    for (key, rows) in shape.store.keys_in_use().await.unwrap_or_default() {
        if !keyring.fingerprints().any(|known| known.as_str() == key) {
            report.fail(
                "keys",
                format!("FERNET_KEY lacks the key {key}, which some rows need: {rows}"),
                "give it back, behind the present one; until then these rows cannot be refreshed",
            );
        }
    }
    for app in shape.store.apps().await.unwrap_or_default() {
        let found = format!("{} since {}: {}", app.state, app.since.to_rfc3339(), app.message.unwrap_or_default());
        match app.state {
            AppState::Open => {}
            AppState::Outage => report.warn(app.provider.as_str(), found, "it is probed and goes on by itself"),
            AppState::Fault => {
                report.fail(app.provider.as_str(), found, "correct the client id and secret, then restart the workers");
            }
        }
    }
    examine_pauses(report, shape.store.as_ref(), now).await;
    work::examine(report, shape, now).await;
}

/// Pauses that somebody may have forgotten.
async fn examine_pauses(report: &mut Report, store: &dyn Store, now: Timestamp) {
    let old = before(now, FORGOTTEN_PAUSE);
    for Pause { target, order } in store.pauses().await.unwrap_or_default().iter() {
        let Order { by, why, at } = order;
        let found = format!("{target} is paused since {} by {by}: {why}", at.to_rfc3339());
        if *at < old {
            report.warn(
                "pauses",
                found,
                "nothing of it is refreshed: `evergrant resume` ends it, if nobody needs it any more",
            );
        } else {
            report.ok("pauses", found);
        }
    }
    let (mut paused, mut forgotten, mut after) = (0_u64, 0_u64, None);
    while let Ok(page) = store.paused_connections(after, PAGE).await {
        paused += u64::try_from(page.len()).unwrap_or_default();
        forgotten += u64::try_from(page.iter().filter(|pause| pause.order.at < old).count()).unwrap_or_default();
        after = match page.last() {
            Some(Pause { target: PauseTarget::Connection(id), .. }) if page.len() >= PAGE as usize => Some(*id),
            _ => break,
        };
    }
    if forgotten > 0 {
        let found = format!("{paused} connections are paused, {forgotten} of them for more than a day");
        report.warn(
            "pauses",
            found,
            "`evergrant pauses` shows by whom and why; `evergrant resume connection ID` ends one",
        );
    } else if paused > 0 {
        report.ok("pauses", format!("{paused} connections are paused"));
    }
}

async fn examine_providers(report: &mut Report, config: &Config, clock: &Arc<dyn Clock>) {
    match providers::configured(config, clock) {
        Err(error) => return report.fail("providers", story(&error), "correct the setting that is named"),
        Ok(apps) if apps.is_empty() => {
            return report.warn("providers", "none is configured", "set AMAZON_CLIENT_ID and AMAZON_CLIENT_SECRET");
        }
        Ok(apps) => report.ok("providers", format!("{} configured", apps.len())),
    }
    examine_client_secrets(report, config, clock.as_ref());
    for (name, url) in providers::token_urls(config).unwrap_or_default() {
        match reach(&url).await {
            Ok(()) => report.ok(name.as_str(), format!("{} accepts connections", url.host_str().unwrap_or_default())),
            Err(error) => {
                report.fail(name.as_str(), error, "see that this machine may connect out, and that the URL is right");
            }
        }
    }
}

fn examine_client_secrets(report: &mut Report, config: &Config, clock: &dyn Clock) {
    for (provider, end) in client_secrets::ends(config) {
        let now = clock.now();
        let advice = "make the next one at the provider and set client_secret_next: docs/OPERATIONS.md, Rotating the client secret";
        if end <= now {
            report.fail(provider.as_str(), format!("its client secret ended at {}", end.to_rfc3339()), advice);
        } else if client_secrets::ends_soon(end, now) {
            let days = client_secrets::days_left(end, now);
            report.warn(provider.as_str(), format!("its client secret ends in {days} days"), advice);
        }
    }
}

async fn reach(url: &Url) -> Result<(), String> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(format!("{url} names no host"));
    };
    let address = format!("{}:{port}", host.trim_matches(['[', ']']));
    match tokio::time::timeout(REACH_PATIENCE, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("{address}: {error}")),
        Err(_) => Err(format!("{address}: no answer within {} s", REACH_PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_to_do() {
        let mut report = Report::default();
        report.ok("store", "answers");
        report.warn("clock", "9000 ms from the store's", "set the clocks by NTP: tokens may be refreshed late");
        assert!(!report.has_failure());
        report.fail("queue", "connection refused", "see that the server runs and the URL is right");
        assert!(report.has_failure());
        insta::assert_snapshot!(report.text(), @r"
        ok       store        answers
        warning  clock        9000 ms from the store's
                              -> set the clocks by NTP: tokens may be refreshed late
        FAILURE  queue        connection refused
                              -> see that the server runs and the URL is right
        ");
    }
}
