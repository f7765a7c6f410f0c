//! What a look at the row means for those who wait: pure.

use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::app::{App, AppState};
use evergrant_contract::connection::Connection;
use evergrant_contract::ids::Version;
use evergrant_contract::job::ForceReason;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::{after, until};

use super::Waited;
use crate::settings::ForceSettings;

/// Nobody is told to come back sooner than this.
pub(super) const RETRY_MIN: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// A version newer than this.
    pub(super) than: Version,
    /// Why.
    pub(super) reason: ForceReason,
}

/// The row's `refresh_at` when the refresh was asked for. One that differs later means that somebody has tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen(pub(super) Option<Timestamp>);

/// What is to be seen at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    /// The row.
    pub(super) row: &'a Connection,
    /// The provider app, if it is held. It is looked at only when the row alone decides nothing.
    pub(super) held: Option<&'a App>,
    /// When the newest attempt that did not succeed was made. Looked at once, before anything is asked for.
    pub(super) failed_at: Option<Timestamp>,
    /// Now.
    pub(super) now: Timestamp,
}

/// What those who wait are told, if it is known. `seen` is `None` until the refresh has been asked for.
pub(super) fn decide(wanted: Wanted, seen: Option<Seen>, look: &Look<'_>, settings: &ForceSettings) -> Option<Waited> {
    let row = look.row;
    if !row.state.is_refreshable() {
        return Some(Waited::NeedsReauth(row.reason.unwrap_or(match row.state {
            State::Disconnected => Reason::ByUser,
            _ => Reason::GrantInvalid,
        })));
    }
    if row.version > wanted.than {
        return Some(Waited::Refreshed(row.version));
    }
    let by_row = match seen {
        None => spared(wanted.reason, row, look, settings),
        Some(seen) => failed(seen, row, look.now),
    };
    by_row.or_else(|| held(row, look))
}

/// Whether a worker has the row in hand.
pub(super) fn is_leased(row: &Connection, now: Timestamp) -> bool {
    row.leased_until.is_some_and(|until| until > now)
}

/// Whether no call is worth being made. A person who insists gets one.
fn spared(reason: ForceReason, row: &Connection, look: &Look<'_>, settings: &ForceSettings) -> Option<Waited> {
    if reason == ForceReason::Operator {
        return None;
    }
    let now = look.now;
    let is_fresh = row.refreshed_at.is_some_and(|at| now < after(at, settings.fresh));
    // A token that lives for less than that is not fresh any more when it has ended.
    if is_fresh && row.expires_at.is_some_and(|at| now < at) {
        return Some(Waited::Rejected);
    }
    // Failures before the last success are history.
    let failed_at = look.failed_at.filter(|failed| row.refreshed_at.is_none_or(|refreshed| refreshed <= *failed))?;
    let cooled_down = after(failed_at, settings.cool_down);
    (now < cooled_down).then(|| {
        let next = row.refresh_at.filter(|at| *at > now).map_or(cooled_down, |at| at.min(cooled_down));
        unavailable(row, until(now, next))
    })
}

/// Whether somebody's attempt has failed since `seen`. A row that was only made due says nothing of the kind.
fn failed(seen: Seen, row: &Connection, now: Timestamp) -> Option<Waited> {
    let retry_at = row.refresh_at.filter(|at| *at > now && seen != Seen(Some(*at)))?;
    Some(unavailable(row, until(now, retry_at)))
}

/// Whether nobody will try now, because the provider app is held and it is not the time for a probe.
fn held(row: &Connection, look: &Look<'_>) -> Option<Waited> {
    let app = look.held.filter(|app| app.state != AppState::Open && app.provider == row.provider)?;
    let wait = app.probe_at.map_or(RETRY_MIN, |at| until(look.now, at));
    if wait.is_zero() || is_leased(row, look.now) {
        // This job may be the probe, or is it already.
        return None;
    }
    let message = app.message.as_deref().unwrap_or("it does not answer sensibly");
    Some(Waited::Unavailable {
        retry_after: wait.max(RETRY_MIN),
        message: format!("Refreshes of {} are paused: {message}", app.provider),
        is_app_fault: app.state == AppState::Fault,
    })
}

fn unavailable(row: &Connection, wait: Duration) -> Waited {
    let message =
        row.last_error.clone().unwrap_or_else(|| "The refresh did not succeed; it is tried again.".to_owned());
    Waited::Unavailable { retry_after: wait.max(RETRY_MIN), message, is_app_fault: false }
}
