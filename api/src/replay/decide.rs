//! What a replay of a failed job comes to. Pure: the row as it stands decides, never what the job says of it.

use evergrant_contract::Timestamp;
use evergrant_contract::connection::Connection;
use evergrant_contract::failed_job::{FailedJob, FailedJobState};
use evergrant_contract::job::{Job, Payload};
use evergrant_contract::state::State;
use serde::Serialize;

/// What came of a failed job that was to be replayed or discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A fresh forced refresh is in the queue.
    Published,
    /// The connection is due now; the running process finds it.
    MadeDue,
    /// The connection was refreshed since: there is nothing left to do.
    MovedOn,
    /// The job was given up for good.
    Discarded,
    /// A worker refreshes the connection right now.
    UnderWay,
    /// The provider app is paused: nothing of it is refreshed.
    AppHeld,
    /// An operator has paused the connection.
    Paused,
    /// The grant has ended, or its tokens cannot be read.
    NeedsReauth,
    /// The user took the connection away.
    Disconnected,
    /// There is no such connection.
    ConnectionGone,
    /// The payload is no job that this release knows.
    Unreadable,
    /// Somebody dealt with it already.
    AlreadyClosed,
    /// There is no such failed job.
    NotFound,
}

impl Outcome {
    /// Every outcome, in order.
    pub const ALL: &[Self] = &[
        Self::Published,
        Self::MadeDue,
        Self::MovedOn,
        Self::Discarded,
        Self::UnderWay,
        Self::AppHeld,
        Self::Paused,
        Self::NeedsReauth,
        Self::Disconnected,
        Self::ConnectionGone,
        Self::Unreadable,
        Self::AlreadyClosed,
        Self::NotFound,
    ];

    /// The word for programs, the audit log and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::MadeDue => "made_due",
            Self::MovedOn => "moved_on",
            Self::Discarded => "discarded",
            Self::UnderWay => "under_way",
            Self::AppHeld => "app_held",
            Self::Paused => "paused",
            Self::NeedsReauth => "needs_reauth",
            Self::Disconnected => "disconnected",
            Self::ConnectionGone => "connection_gone",
            Self::Unreadable => "unreadable",
            Self::AlreadyClosed => "already_closed",
            Self::NotFound => "not_found",
        }
    }

    /// What happened and what to do, for people.
    pub const fn told(self) -> &'static str {
        match self {
            Self::Published => "A fresh refresh is in the queue.",
            Self::MadeDue => {
                "The connection is due now: the running `evergrant serve` takes it up at its next look, within seconds."
            }
            Self::MovedOn => "The connection was refreshed since: there was nothing left to do.",
            Self::Discarded => "Given up for good.",
            Self::UnderWay => "A worker refreshes the connection right now. Look again in a moment.",
            Self::AppHeld => {
                "The provider app is paused, so nothing of it is refreshed. Mend that first, then replay; the connections \
                 are also tried again by themselves."
            }
            Self::Paused => {
                "An operator has paused this connection. Resume it first: then it is refreshed by itself if it is due."
            }
            Self::NeedsReauth => {
                "The grant has ended or its tokens cannot be read: replaying does not help. The user has to connect again, \
                 or the key has to be given back. Then discard this."
            }
            Self::Disconnected => "The user took the connection away. Discard this.",
            Self::ConnectionGone => "There is no such connection any more. Discard this.",
            Self::Unreadable => {
                "The payload is no job that this release can read. Replay it with an edited payload, or discard it."
            }
            Self::AlreadyClosed => "Somebody has dealt with it already.",
            Self::NotFound => "There is no such failed job.",
        }
    }

    /// What the failed job becomes by it; `None`: it stays as it is.
    pub const fn closes_as(self) -> Option<FailedJobState> {
        match self {
            Self::Published | Self::MadeDue | Self::MovedOn => Some(FailedJobState::Replayed),
            Self::Discarded => Some(FailedJobState::Discarded),
            _ => None,
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the failed job asks for, if its payload can be read.
pub(super) fn payload_of(job: &FailedJob) -> Option<Payload> {
    Job::decode(job.payload.as_bytes()).ok().map(|job| job.payload)
}

/// What a replay of this failed job comes to, by its payload and by the row that the payload names. [`Outcome::Published`]:
/// a refresh is to be asked for, of the row as it is here.
pub(super) fn decide(
    job: &FailedJob,
    payload: Option<&Payload>,
    row: Option<&Connection>,
    is_held: bool,
    now: Timestamp,
) -> Outcome {
    if job.state != FailedJobState::Open {
        return Outcome::AlreadyClosed;
    }
    let Some(payload) = payload else { return Outcome::Unreadable };
    let Some(row) = row else { return Outcome::ConnectionGone };
    let is_newer = row.version > payload.version() || row.refreshed_at.is_some_and(|at| at > job.failed_at);
    match row.state {
        State::Disconnected => Outcome::Disconnected,
        State::NeedsReauth => Outcome::NeedsReauth,
        _ if row.leased_until.is_some_and(|until| until > now) => Outcome::UnderWay,
        State::Active if is_newer => Outcome::MovedOn,
        _ if row.paused.is_some() => Outcome::Paused,
        _ if is_held => Outcome::AppHeld,
        State::Active | State::Failing | State::Suspect => Outcome::Published,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use evergrant_contract::ids::{ConnectionId, JobId, Version};
    use evergrant_contract::job::ForceReason;
    use evergrant_contract::timing::before;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_timestamp_millis(1_800_000_000_000).unwrap()
    }

    fn payload(version: i64) -> Payload {
        Payload::RefreshDue { connection: ConnectionId::generate(), version: Version::new(version), refresh_at: now() }
    }

    fn failed(state: FailedJobState) -> FailedJob {
        FailedJob {
            id: JobId::generate(),
            kind: "refresh_due".to_owned(),
            connection: None,
            provider: None,
            payload: String::new(),
            attempts: Vec::new(),
            error: String::new(),
            traceparent: None,
            failed_at: before(now(), Duration::from_mins(10)),
            state,
        }
    }

    fn row(state: State, version: i64, refreshed_ago: u64) -> Connection {
        Connection {
            id: ConnectionId::generate(),
            user: "u".parse().unwrap(),
            provider: "amazon-na".parse().unwrap(),
            account: String::new(),
            label: String::new(),
            state,
            reason: None,
            version: Version::new(version),
            refresh_at: Some(now()),
            expires_at: None,
            refreshed_at: Some(before(now(), Duration::from_mins(refreshed_ago))),
            consent_at: None,
            refresh_expires_at: None,
            scopes: String::new(),
            failures: 3,
            last_error: None,
            key: None,
            leased_until: None,
            paused: None,
            created_at: now(),
        }
    }

    fn leased(row: Connection, ends_in: i64) -> Connection {
        let until = now() + chrono::TimeDelta::seconds(ends_in);
        Connection { leased_until: Some(until), ..row }
    }

    #[test]
    fn the_row_decides_what_a_replay_comes_to() {
        use Outcome::{
            AlreadyClosed, AppHeld, ConnectionGone, Disconnected, MovedOn, NeedsReauth, Published, UnderWay, Unreadable,
        };
        use State::{Active, Failing, Suspect};
        // The job is of version 7 and was given up on ten minutes ago.
        let stale = || row(Failing, 7, 60);
        let cases = [
            ("failing as it was", Some(stale()), false, Published),
            ("suspect as it was", Some(row(Suspect, 7, 60)), false, Published),
            ("active, and nothing happened since", Some(row(Active, 7, 60)), false, Published),
            ("active with newer tokens", Some(row(Active, 8, 60)), false, MovedOn),
            ("active and refreshed since", Some(row(Active, 7, 5)), false, MovedOn),
            ("connected anew and failing again", Some(row(Failing, 8, 60)), false, Published),
            ("leased now", Some(leased(stale(), 30)), false, UnderWay),
            ("leased by somebody who never reported", Some(leased(stale(), -30)), false, Published),
            ("active with newer tokens, and leased again", Some(leased(row(Active, 8, 5), 30)), false, UnderWay),
            ("its app is paused", Some(stale()), true, AppHeld),
            ("its app is paused, and it needs nothing", Some(row(Active, 8, 5)), true, MovedOn),
            ("ended", Some(row(State::NeedsReauth, 7, 60)), false, NeedsReauth),
            ("ended while its app is paused", Some(row(State::NeedsReauth, 7, 60)), true, NeedsReauth),
            ("taken away", Some(row(State::Disconnected, 8, 5)), false, Disconnected),
            ("gone", None, false, ConnectionGone),
        ];
        for (what, row, is_held, expected) in cases {
            let open = failed(FailedJobState::Open);
            let decided = decide(&open, Some(&payload(7)), row.as_ref(), is_held, now());
            assert_eq!(decided, expected, "{what}");
            assert_eq!(decide(&open, None, row.as_ref(), is_held, now()), Unreadable, "{what}, unreadable");
            for state in [FailedJobState::Replayed, FailedJobState::Discarded] {
                let decided = decide(&failed(state), Some(&payload(7)), row.as_ref(), is_held, now());
                assert_eq!(decided, AlreadyClosed, "{what}, {state}");
            }
        }
    }

    #[test]
    fn a_forced_job_is_replayed_like_any_other() {
        let payload = Payload::ForceRefresh {
            connection: ConnectionId::generate(),
            observed_version: Version::new(7),
            refresh_at: now(),
            reason: ForceReason::Unauthorized,
            deadline: before(now(), Duration::from_hours(1)),
        };
        let open = failed(FailedJobState::Open);
        let decided = |row| decide(&open, Some(&payload), Some(&row), false, now());
        assert_eq!(decided(row(State::Failing, 7, 60)), Outcome::Published, "whatever its own deadline was");
        assert_eq!(decided(row(State::Active, 8, 60)), Outcome::MovedOn);
    }

    #[test]
    fn only_what_was_done_closes_a_failed_job() {
        for outcome in Outcome::ALL {
            let is_done =
                matches!(outcome, Outcome::Published | Outcome::MadeDue | Outcome::MovedOn | Outcome::Discarded);
            assert_eq!(outcome.closes_as().is_some(), is_done, "{outcome}");
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
            assert!(outcome.told().ends_with('.'), "{outcome}");
        }
    }

    #[test]
    fn what_is_no_job_has_no_payload() {
        let with = |payload: String| FailedJob { payload, ..failed(FailedJobState::Open) };
        let job = Job::new(payload(7));
        let text = String::from_utf8(job.encode()).unwrap();
        assert_eq!(payload_of(&with(text)), Some(job.payload));
        for text in ["", "base64:AAEC", "{}", r#"{"v":2,"kind":"refresh_due"}"#] {
            assert_eq!(payload_of(&with(text.to_owned())), None, "{text}");
        }
    }
}
