//! What a look at the row means for those who wait: pure.

use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::app::{App, AppState};
use evergrant_contract::connection::Connection;
use evergrant_contract::controls::{Order, Pause, PauseTarget};
use evergrant_contract::ids::Version;
use evergrant_contract::job::ForceReason;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::{after, until};

use super::Waited;
use crate::settings::ForceSettings;

/// Nobody is told to come back sooner than this.
pub(super) const RETRY_MIN: Duration = Duration::from_secs(1);

/// Nobody knows how long a pause lasts.
const PAUSED_RETRY: Duration = Duration::from_mins(1);

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
    /// The pause of the provider app or of forced refreshes, if one stands. Looked at when the provider app is.
    pub(super) pause: Option<&'a Pause>,
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
    if let Some(paused) = paused(row, look) {
        return Some(paused);
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

/// Whether an operator keeps it from being refreshed. One that is in hand already is finished.
fn paused(row: &Connection, look: &Look<'_>) -> Option<Waited> {
    if is_leased(row, look.now) {
        return None;
    }
    let (what, Order { why, .. }) = match (&row.paused, look.pause) {
        (Some(order), _) => ("Refreshes of this connection are".to_owned(), order),
        (None, Some(Pause { target: PauseTarget::App(provider), order })) => {
            (format!("Refreshes of {provider} are"), order)
        }
        (None, Some(Pause { order, .. })) => ("Forced refreshes are".to_owned(), order),
        (None, None) => return None,
    };
    Some(Waited::Paused { retry_after: PAUSED_RETRY, message: format!("{what} paused by an operator: {why}") })
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

#[cfg(test)]
mod tests {
    use evergrant_contract::ids::ConnectionId;
    use evergrant_contract::timing::before;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const SETTINGS: ForceSettings = ForceSettings {
        deadline: Duration::from_secs(10),
        waiters_max: 1,
        cool_down: Duration::from_secs(5),
        fresh: Duration::from_mins(1),
    };

    fn now() -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn in_secs(seconds: u64) -> Timestamp {
        after(now(), Duration::from_secs(seconds))
    }

    fn secs_ago(seconds: u64) -> Timestamp {
        before(now(), Duration::from_secs(seconds))
    }

    /// Version 3, refreshed half an hour ago, due in a quarter of an hour.
    fn row() -> Connection {
        Connection {
            id: ConnectionId::generate(),
            user: "ada".parse().unwrap(),
            provider: "amazon-na".parse().unwrap(),
            account: String::new(),
            label: String::new(),
            state: State::Active,
            reason: None,
            version: Version::new(3),
            refresh_at: Some(in_secs(900)),
            expires_at: Some(in_secs(1800)),
            refreshed_at: Some(secs_ago(1800)),
            consent_at: None,
            refresh_expires_at: None,
            scopes: String::new(),
            failures: 0,
            last_error: None,
            key: None,
            leased_until: None,
            paused: None,
            created_at: now(),
        }
    }

    fn app(state: AppState, probe_at: Option<Timestamp>) -> App {
        let (since, message) = (now(), Some("it answers 503".to_owned()));
        App { provider: "amazon-na".parse().unwrap(), state, since, probe_at, code: None, message }
    }

    /// Before anything was asked for, by somebody who saw version 3 fail.
    fn first(
        reason: ForceReason,
        row: &Connection,
        held: Option<&App>,
        failed_at: Option<Timestamp>,
    ) -> Option<Waited> {
        let wanted = Wanted { than: Version::new(3), reason };
        decide(wanted, None, &Look { row, held, pause: None, failed_at, now: now() }, &SETTINGS)
    }

    /// After it was asked for, when the row was due in a quarter of an hour.
    fn later(row: &Connection, held: Option<&App>) -> Option<Waited> {
        let wanted = Wanted { than: Version::new(3), reason: ForceReason::Unauthorized };
        decide(
            wanted,
            Some(Seen(Some(in_secs(900)))),
            &Look { row, held, pause: None, failed_at: None, now: now() },
            &SETTINGS,
        )
    }

    fn waits_for(waited: Option<Waited>) -> Option<u64> {
        match waited {
            Some(Waited::Unavailable { retry_after, is_app_fault: false, .. }) => Some(retry_after.as_secs()),
            None => None,
            other => panic!("unavailable or nothing expected, got {other:?}"),
        }
    }

    use ForceReason::{Expiring, Operator, Unauthorized};

    #[test]
    fn a_row_as_it_was_is_to_be_refreshed() {
        for reason in [Unauthorized, Expiring, Operator] {
            assert_eq!(first(reason, &row(), None, None), None);
        }
        assert_eq!(later(&row(), None), None);
    }

    #[test]
    fn a_newer_version_is_the_answer_and_an_end_comes_before_it() {
        let newer = Connection { version: Version::new(4), ..row() };
        let done = Some(Waited::Refreshed(Version::new(4)));
        assert_eq!((first(Unauthorized, &newer, None, None), later(&newer, None)), (done.clone(), done));
        let ended = Connection { state: State::NeedsReauth, reason: Some(Reason::Undecryptable), ..newer.clone() };
        assert_eq!(later(&ended, None), Some(Waited::NeedsReauth(Reason::Undecryptable)));
        let gone = Connection { state: State::Disconnected, reason: None, ..newer };
        assert_eq!(first(Operator, &gone, None, None), Some(Waited::NeedsReauth(Reason::ByUser)));
    }

    #[test]
    fn a_fresh_token_is_rejected_unless_it_has_ended_or_a_person_insists() {
        let fresh = |ago| Connection { refreshed_at: Some(secs_ago(ago)), ..row() };
        assert_eq!(first(Unauthorized, &fresh(59), None, None), Some(Waited::Rejected));
        assert_eq!(first(Expiring, &fresh(59), None, None), Some(Waited::Rejected));
        assert_eq!(first(Unauthorized, &fresh(60), None, None), None);
        assert_eq!(first(Operator, &fresh(1), None, None), None);
        assert_eq!(first(Unauthorized, &Connection { expires_at: Some(now()), ..fresh(30) }, None, None), None);
        assert_eq!(later(&fresh(1), None), None, "the rule is for those who have not asked yet");
    }

    #[test]
    fn the_cool_down_ends_with_the_next_look_if_that_is_sooner() {
        let failing = |refresh_at| Connection { refresh_at, ..row() };
        assert_eq!(waits_for(first(Unauthorized, &failing(Some(in_secs(900))), None, Some(secs_ago(2)))), Some(3));
        assert_eq!(waits_for(first(Expiring, &failing(Some(in_secs(2))), None, Some(secs_ago(1)))), Some(2));
        assert_eq!(waits_for(first(Unauthorized, &failing(Some(secs_ago(1))), None, Some(secs_ago(2)))), Some(3));
        assert_eq!(first(Unauthorized, &failing(Some(in_secs(900))), None, Some(secs_ago(5))), None);
        assert_eq!(first(Operator, &failing(Some(in_secs(900))), None, Some(secs_ago(1))), None);
        let healed = Connection { refreshed_at: Some(secs_ago(90)), ..row() };
        assert_eq!(first(Unauthorized, &healed, None, Some(secs_ago(91))), None, "before the last success");
    }

    #[test]
    fn a_row_that_was_put_off_has_failed_and_one_that_was_made_due_has_not() {
        let moved = |refresh_at| Connection { refresh_at, last_error: Some("HTTP 503".to_owned()), ..row() };
        assert_eq!(waits_for(later(&moved(Some(in_secs(15))), None)), Some(15));
        let message = "HTTP 503".to_owned();
        let told = Waited::Unavailable { retry_after: 15 * SECOND, message, is_app_fault: false };
        assert_eq!(later(&moved(Some(in_secs(15))), None), Some(told));
        assert_eq!(later(&moved(Some(now())), None), None);
        assert_eq!(later(&moved(Some(in_secs(900))), None), None, "it stands as it stood");
    }

    #[test]
    fn a_held_app_is_told_unless_it_may_be_probed() {
        let held = |state, probe_at| Some(app(state, probe_at));
        let cases = [
            (held(AppState::Outage, Some(in_secs(30))), Some((30, false))),
            (held(AppState::Fault, Some(in_secs(30))), Some((30, true))),
            (held(AppState::Outage, None), Some((1, false))),
            (held(AppState::Outage, Some(now())), None),
            (held(AppState::Open, Some(in_secs(30))), None),
        ];
        for (held, expected) in cases {
            let told = expected.map(|(wait, is_app_fault)| Waited::Unavailable {
                retry_after: wait * SECOND,
                message: "Refreshes of amazon-na are paused: it answers 503".to_owned(),
                is_app_fault,
            });
            assert_eq!(first(Operator, &row(), held.as_ref(), None), told.clone(), "{held:?}");
            assert_eq!(later(&row(), held.as_ref()), told, "{held:?}");
        }
        let leased = Connection { leased_until: Some(in_secs(45)), ..row() };
        assert_eq!(later(&leased, held(AppState::Outage, Some(in_secs(30))).as_ref()), None, "a probe is under way");
        let others = Connection { provider: "amazon-eu".parse().unwrap(), ..row() };
        assert_eq!(later(&others, held(AppState::Fault, Some(in_secs(30))).as_ref()), None);
    }
}
