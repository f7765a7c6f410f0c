//! The only function that moves a connection from state to state.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::state::{Reason, State};
use crate::timing::{BackOff, Margin, after, to_millis};
use crate::verdict::Confirmation;

/// What the rules of a transition need to know of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    /// Its state.
    pub state: State,
    /// Jobs in a row that ended without an answer about the grant.
    pub failures: u32,
    /// `invalid_grant` answers in a row.
    pub suspicions: u32,
}

impl Standing {
    /// A connection with working tokens and a clean record.
    pub const ACTIVE: Self = Self { state: State::Active, failures: 0, suspicions: 0 };
}

/// What a job found out about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// A new access token with this end and this lifetime.
    Refreshed {
        /// When it ends, counted from before the request was sent.
        expires_at: Timestamp,
        /// How long it lives in all.
        lifetime: Duration,
    },
    /// The job's tries ended without an answer about the grant.
    Transient,
    /// The provider asks for a pause. Costs the connection nothing.
    Throttled {
        /// The pause, if the provider named one.
        retry_after: Option<Duration>,
    },
    /// `invalid_grant`.
    GrantInvalid {
        /// It was confirmed inside the job, as the descriptor says.
        confirmed: bool,
    },
    /// Success without a usable token.
    Unusable,
    /// The ciphertext cannot be opened.
    Undecryptable,
    /// There is no refresh token to spend.
    NoRefreshToken,
}

/// The numbers that the rules use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How early to refresh.
    pub margin: Margin,
    /// How long to wait after a job that did not succeed.
    pub back_off: BackOff,
    /// Failures in a row after which the connection is `failing` and its job a failed job.
    pub max_attempts: u32,
    /// How `invalid_grant` is confirmed.
    pub confirmation: Confirmation,
}

/// What is to be written of a connection, tokens apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its state from now on.
    pub standing: Standing,
    /// Why it is not `active`; `None` exactly when it is.
    pub reason: Option<Reason>,
    /// When the scheduler looks next; `None` exactly when it never will.
    pub refresh_at: Option<Timestamp>,
    /// The job was given up on just now: it becomes a failed job.
    pub gives_up: bool,
}

/// What becomes of a connection. `chance` in 0..1 spreads the next look.
pub fn transition(from: Standing, finding: Finding, rules: &Rules, now: Timestamp, chance: f64) -> Change {
    match finding {
        Finding::Refreshed { expires_at, lifetime } => Change {
            standing: Standing::ACTIVE,
            reason: None,
            refresh_at: Some(rules.margin.refresh_at(expires_at, lifetime, chance).max(now)),
            gives_up: false,
        },
        Finding::Transient => failed(from, rules, now, chance, Reason::AttemptsExhausted),
        Finding::Unusable => failed(from, rules, now, chance, Reason::UnusableAnswer),
        Finding::Throttled { retry_after } => throttled(from, retry_after, rules, now, chance),
        Finding::GrantInvalid { confirmed } => suspected(from, confirmed, rules, now),
        Finding::Undecryptable => ended(Reason::Undecryptable),
        Finding::NoRefreshToken => ended(Reason::NoRefreshToken),
    }
}

fn failed(from: Standing, rules: &Rules, now: Timestamp, chance: f64, reason: Reason) -> Change {
    let failures = from.failures.saturating_add(1);
    let state = match from.state {
        // A suspicion stands until the provider answers about the grant, one way or the other.
        State::Suspect => State::Suspect,
        _ if failures >= rules.max_attempts => State::Failing,
        state => state,
    };
    let reason = match state {
        State::Active => None,
        State::Suspect => Some(Reason::GrantSuspect),
        _ => Some(reason),
    };
    Change {
        standing: Standing { state, failures, suspicions: from.suspicions },
        reason,
        refresh_at: Some(to_millis(after(now, rules.back_off.wait(failures, chance)))),
        gives_up: failures == rules.max_attempts,
    }
}

fn throttled(from: Standing, retry_after: Option<Duration>, rules: &Rules, now: Timestamp, chance: f64) -> Change {
    let named = retry_after.unwrap_or(rules.back_off.first);
    let spread = rules.back_off.first.mul_f64(chance.clamp(0.0, 1.0));
    put_off(from, to_millis(after(now, named + spread)))
}

/// The same standing, looked at again at that time: what happened says nothing about the connection.
pub const fn put_off(from: Standing, refresh_at: Timestamp) -> Change {
    Change {
        standing: from,
        reason: match from.state {
            State::Failing => Some(Reason::AttemptsExhausted),
            State::Suspect => Some(Reason::GrantSuspect),
            _ => None,
        },
        refresh_at: Some(refresh_at),
        gives_up: false,
    }
}

fn suspected(from: Standing, confirmed: bool, rules: &Rules, now: Timestamp) -> Change {
    let suspicions = from.suspicions.saturating_add(1);
    let (enough, pause_ms) = match rules.confirmation {
        Confirmation::InJob { after_ms } => (confirmed, after_ms),
        Confirmation::Spaced { times, every_ms } => (suspicions >= times, every_ms),
    };
    if enough {
        return ended(Reason::GrantInvalid);
    }
    Change {
        standing: Standing { state: State::Suspect, failures: from.failures, suspicions },
        reason: Some(Reason::GrantSuspect),
        refresh_at: Some(to_millis(after(now, Duration::from_millis(pause_ms)))),
        gives_up: false,
    }
}

const fn ended(reason: Reason) -> Change {
    Change {
        standing: Standing { state: State::NeedsReauth, failures: 0, suspicions: 0 },
        reason: Some(reason),
        refresh_at: None,
        gives_up: false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(confirmation: Confirmation) -> Rules {
        Rules {
            margin: Margin { buffer: Duration::from_mins(15), share_percent: 25 },
            back_off: BackOff { first: Duration::from_secs(15), cap: Duration::from_mins(30) },
            max_attempts: 3,
            confirmation,
        }
    }

    const IN_JOB: Confirmation = Confirmation::InJob { after_ms: 3_000 };
    const SPACED: Confirmation = Confirmation::Spaced { times: 3, every_ms: 60_000 };

    fn now() -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn transient_failures_end_in_failing_and_are_given_up_once() {
        let mut standing = Standing::ACTIVE;
        let mut given_up = 0;
        for expected in [State::Active, State::Active, State::Failing, State::Failing] {
            let change = transition(standing, Finding::Transient, &rules(IN_JOB), now(), 0.5);
            assert_eq!(change.standing.state, expected);
            given_up += u32::from(change.gives_up);
            standing = change.standing;
        }
        assert_eq!(given_up, 1);
    }

    #[test]
    fn success_heals_everything_refreshable() {
        let finding =
            Finding::Refreshed { expires_at: after(now(), Duration::from_hours(1)), lifetime: Duration::from_hours(1) };
        for state in [State::Active, State::Failing, State::Suspect] {
            let change =
                transition(Standing { state, failures: 9, suspicions: 2 }, finding, &rules(IN_JOB), now(), 0.0);
            assert_eq!(change.standing, Standing::ACTIVE);
            assert_eq!(change.refresh_at, Some(after(now(), Duration::from_mins(45))));
        }
    }

    #[test]
    fn one_unconfirmed_invalid_grant_ends_nothing() {
        let change =
            transition(Standing::ACTIVE, Finding::GrantInvalid { confirmed: false }, &rules(IN_JOB), now(), 0.0);
        assert_eq!(change.standing.state, State::Suspect);
        let change =
            transition(Standing::ACTIVE, Finding::GrantInvalid { confirmed: true }, &rules(IN_JOB), now(), 0.0);
        assert_eq!((change.standing.state, change.refresh_at), (State::NeedsReauth, None));
    }

    #[test]
    fn spaced_confirmation_takes_its_number_of_times() {
        let mut standing = Standing::ACTIVE;
        for expected in [State::Suspect, State::Suspect, State::NeedsReauth] {
            let finding = Finding::GrantInvalid { confirmed: false };
            standing = transition(standing, finding, &rules(SPACED), now(), 0.0).standing;
            assert_eq!(standing.state, expected);
        }
    }

    #[test]
    fn a_pause_asked_for_costs_nothing_and_is_kept_to() {
        let finding = Finding::Throttled { retry_after: Some(Duration::from_mins(2)) };
        let change = transition(Standing::ACTIVE, finding, &rules(IN_JOB), now(), 0.0);
        assert_eq!(change.standing, Standing::ACTIVE);
        assert_eq!(change.refresh_at, Some(after(now(), Duration::from_mins(2))));
    }

    #[test]
    fn whoever_is_put_off_keeps_standing_and_reason() {
        let reason = |state| put_off(Standing { state, ..Standing::ACTIVE }, now()).reason;
        assert_eq!(reason(State::Active), None);
        assert_eq!(reason(State::Failing), Some(Reason::AttemptsExhausted));
        assert_eq!(reason(State::Suspect), Some(Reason::GrantSuspect));
    }

    fn findings() -> impl Strategy<Value = Finding> {
        prop_oneof![
            (0_u64..100_000).prop_map(|secs| Finding::Refreshed {
                expires_at: after(now(), Duration::from_secs(secs)),
                lifetime: Duration::from_secs(secs),
            }),
            Just(Finding::Transient),
            proptest::option::of(0_u64..10_000)
                .prop_map(|secs| Finding::Throttled { retry_after: secs.map(Duration::from_secs) }),
            any::<bool>().prop_map(|confirmed| Finding::GrantInvalid { confirmed }),
            Just(Finding::Unusable),
            Just(Finding::Undecryptable),
            Just(Finding::NoRefreshToken),
        ]
    }

    proptest! {
        #[test]
        fn every_walk_keeps_the_invariants(walk in proptest::collection::vec((findings(), 0.0..1.0), 1..40), spaced: bool) {
            let rules = rules(if spaced { SPACED } else { IN_JOB });
            let mut standing = Standing::ACTIVE;
            for (finding, chance) in walk {
                let change = transition(standing, finding, &rules, now(), chance);
                let state = change.standing.state;
                prop_assert_eq!(change.reason.is_none(), state == State::Active);
                prop_assert_eq!(change.refresh_at.is_some(), state.is_refreshable());
                prop_assert!(change.refresh_at.is_none_or(|at| at >= now()), "a back-off never points to the past");
                if state == State::NeedsReauth {
                    let told = matches!(
                        finding, Finding::GrantInvalid { .. } | Finding::Undecryptable | Finding::NoRefreshToken
                    );
                    prop_assert!(told, "only an answer about the grant ends it");
                    break;
                }
                standing = change.standing;
            }
        }

        /// The arrows of docs/STATE_MACHINE.md, the counters, and when a job is given up.
        #[test]
        fn every_walk_follows_the_diagram(walk in proptest::collection::vec((findings(), 0.0..1.0), 1..80), spaced: bool) {
            let rules = rules(if spaced { SPACED } else { IN_JOB });
            let (mut standing, mut given_up) = (Standing::ACTIVE, 0_u32);
            for (finding, chance) in walk {
                let change = transition(standing, finding, &rules, now(), chance);
                let to = change.standing;
                given_up += u32::from(change.gives_up);
                match finding {
                    Finding::Refreshed { .. } => {
                        prop_assert_eq!(to, Standing::ACTIVE);
                        given_up = 0;
                    }
                    Finding::Throttled { .. } => prop_assert_eq!(to, standing, "a pause costs nothing"),
                    Finding::Transient | Finding::Unusable => {
                        prop_assert_eq!((to.failures, to.suspicions), (standing.failures + 1, standing.suspicions));
                        let is_kept = standing.state == to.state;
                        let falls = standing.state == State::Active && to.state == State::Failing;
                        prop_assert!(is_kept || (falls && to.failures == rules.max_attempts), "{:?}", to);
                        let wait = change.refresh_at.map(|at| at - now()).unwrap_or_default();
                        prop_assert!(wait.to_std().is_ok_and(|wait| wait <= rules.back_off.cap && !wait.is_zero()));
                    }
                    Finding::GrantInvalid { confirmed } => {
                        let ends = if spaced { standing.suspicions + 1 >= 3 } else { confirmed };
                        prop_assert_eq!(to.state, if ends { State::NeedsReauth } else { State::Suspect });
                    }
                    Finding::Undecryptable | Finding::NoRefreshToken => prop_assert_eq!(to.state, State::NeedsReauth),
                }
                prop_assert!(given_up <= 1, "one failed job for one row of failures");
                // A connection that has ended is nothing that a job finds anything out about.
                if !to.state.is_refreshable() {
                    break;
                }
                standing = to;
            }
        }
    }
}
