//! What to do after an answer: pure.

use std::time::Duration;

use evergrant_contract::app::AppState;
use evergrant_contract::timing::after;
use evergrant_contract::transition::Finding;
use evergrant_contract::verdict::{Answer, Confirmation, Rotation, Verdict};

/// Where a refresh stands when an answer arrives.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// Calls made so far, this one among them.
    pub calls: u32,
    /// Calls that left and had no answer, this one among them.
    pub lost_replies: u32,
    /// `invalid_grant` answers so far, this one among them.
    pub invalid_grants: u32,
    /// What is left of the lease for waiting, after room for one more call and the write.
    pub spare: Option<Duration>,
    /// The pause before the next quick try.
    pub pause: Duration,
    /// This call is the probe of a held app.
    pub is_probe: bool,
}

/// The rules that are the provider's.
#[derive(Debug, Clone, Copy)]
pub struct Ways {
    /// Quick tries inside one job.
    pub tries: u32,
    /// What becomes of a spent refresh token.
    pub rotation: Rotation,
    /// How `invalid_grant` is confirmed.
    pub confirmation: Confirmation,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Write this.
    Settle(Finding),
    /// Call again after a pause.
    Again(Duration),
    /// Hold the app; the connection has nothing to do with it.
    Hold(AppState),
}

/// What to do after this answer.
pub fn decide(situation: Situation, ways: Ways, answer: &Answer) -> Step {
    match &answer.verdict {
        Verdict::Refreshed(tokens) => Step::Settle(Finding::Refreshed {
            expires_at: after(answer.sent_at, tokens.lifetime),
            lifetime: tokens.lifetime,
        }),
        Verdict::Transient if situation.is_probe => Step::Hold(AppState::Outage),
        Verdict::Transient => again_or(situation, ways, Finding::Transient),
        Verdict::Throttled(retry_after) => Step::Settle(Finding::Throttled { retry_after: *retry_after }),
        Verdict::GrantInvalid => confirm(situation, ways.confirmation),
        Verdict::AppFault => Step::Hold(AppState::Fault),
        Verdict::Unusable(_) => Step::Settle(Finding::Unusable),
    }
}

fn again_or(situation: Situation, ways: Ways, finding: Finding) -> Step {
    // A rotating provider may have spent the token in a call whose reply never came: it is presented again at most once.
    let may_respend = situation.lost_replies <= ways.rotation.respends_after_lost_reply();
    let has_time = situation.spare.is_some_and(|spare| situation.pause <= spare);
    if situation.calls < ways.tries && may_respend && has_time {
        Step::Again(situation.pause)
    } else {
        Step::Settle(finding)
    }
}

fn confirm(situation: Situation, confirmation: Confirmation) -> Step {
    let confirmed = situation.invalid_grants >= 2;
    match confirmation {
        Confirmation::InJob { after_ms } if !confirmed => {
            let pause = Duration::from_millis(after_ms);
            if situation.spare.is_some_and(|spare| pause <= spare) {
                Step::Again(pause)
            } else {
                Step::Settle(Finding::GrantInvalid { confirmed: false })
            }
        }
        Confirmation::InJob { .. } => Step::Settle(Finding::GrantInvalid { confirmed: true }),
        Confirmation::Spaced { .. } => Step::Settle(Finding::GrantInvalid { confirmed: false }),
    }
}

#[cfg(test)]
mod tests {
    use evergrant_contract::Timestamp;
    use evergrant_contract::secret::Secret;
    use evergrant_contract::verdict::{AnswerTrace, Tokens};

    use super::*;

    const CALM: Situation = Situation {
        calls: 1,
        lost_replies: 0,
        invalid_grants: 0,
        spare: Some(Duration::from_secs(20)),
        pause: Duration::from_millis(500),
        is_probe: false,
    };
    const AMAZON: Ways =
        Ways { tries: 2, rotation: Rotation::Optional, confirmation: Confirmation::InJob { after_ms: 3_000 } };

    fn answer(verdict: Verdict) -> Answer {
        let trace = AnswerTrace {
            status: Some(200),
            code: None,
            message: String::new(),
            request_id: None,
            duration_ms: 1,
            ambiguous: false,
        };
        Answer { verdict, sent_at: Timestamp::from_timestamp(1_800_000_000, 0).unwrap(), trace }
    }

    #[test]
    fn an_expiry_counts_from_the_sending() {
        let tokens = Tokens {
            access_token: Secret::new("a"),
            refresh_token: None,
            lifetime: Duration::from_hours(1),
            refresh_expires_at: None,
            scopes: None,
        };
        let expires_at = Timestamp::from_timestamp(1_800_003_600, 0).unwrap();
        let step = decide(CALM, AMAZON, &answer(Verdict::Refreshed(tokens)));
        assert_eq!(step, Step::Settle(Finding::Refreshed { expires_at, lifetime: Duration::from_hours(1) }));
    }

    #[test]
    fn transient_answers_are_tried_again_while_tries_and_lease_last() {
        let transient = answer(Verdict::Transient);
        assert_eq!(decide(CALM, AMAZON, &transient), Step::Again(CALM.pause));
        let last = Situation { calls: 2, ..CALM };
        assert_eq!(decide(last, AMAZON, &transient), Step::Settle(Finding::Transient));
        let late = Situation { spare: None, ..CALM };
        assert_eq!(decide(late, AMAZON, &transient), Step::Settle(Finding::Transient));
    }

    #[test]
    fn a_lost_reply_of_a_strictly_rotating_provider_is_retried_once() {
        let strict = Ways { tries: 9, rotation: Rotation::Strict, ..AMAZON };
        let once = Situation { lost_replies: 1, ..CALM };
        let twice = Situation { calls: 2, lost_replies: 2, ..CALM };
        assert_eq!(decide(once, strict, &answer(Verdict::Transient)), Step::Again(CALM.pause));
        assert_eq!(decide(twice, strict, &answer(Verdict::Transient)), Step::Settle(Finding::Transient));
        let tolerant = Ways { rotation: Rotation::None, ..strict };
        assert_eq!(decide(twice, tolerant, &answer(Verdict::Transient)), Step::Again(CALM.pause));
    }

    #[test]
    fn invalid_grant_is_confirmed_before_it_is_believed() {
        let invalid = answer(Verdict::GrantInvalid);
        let first = Situation { invalid_grants: 1, ..CALM };
        assert_eq!(decide(first, AMAZON, &invalid), Step::Again(Duration::from_secs(3)));
        let second = Situation { calls: 2, invalid_grants: 2, ..CALM };
        assert_eq!(decide(second, AMAZON, &invalid), Step::Settle(Finding::GrantInvalid { confirmed: true }));
        let late = Situation { spare: Some(Duration::from_secs(1)), ..first };
        assert_eq!(decide(late, AMAZON, &invalid), Step::Settle(Finding::GrantInvalid { confirmed: false }));
        let spaced = Ways { confirmation: Confirmation::Spaced { times: 3, every_ms: 60_000 }, ..AMAZON };
        assert_eq!(decide(first, spaced, &invalid), Step::Settle(Finding::GrantInvalid { confirmed: false }));
    }

    #[test]
    fn faults_of_the_app_and_failed_probes_hold_the_app() {
        assert_eq!(decide(CALM, AMAZON, &answer(Verdict::AppFault)), Step::Hold(AppState::Fault));
        let probe = Situation { is_probe: true, ..CALM };
        assert_eq!(decide(probe, AMAZON, &answer(Verdict::Transient)), Step::Hold(AppState::Outage));
    }

    #[test]
    fn a_pause_asked_for_ends_the_job() {
        let throttled = answer(Verdict::Throttled(Some(Duration::from_secs(30))));
        let finding = Finding::Throttled { retry_after: Some(Duration::from_secs(30)) };
        assert_eq!(decide(CALM, AMAZON, &throttled), Step::Settle(finding));
    }
}
