//! A worker with a lease: the product's own rules of what follows an answer, applied.

use std::time::Duration;

use evergrant_contract::secret::Secret;
use evergrant_contract::transition::{Finding, transition};
use evergrant_contract::verdict::{Answer, AnswerTrace, Tokens, Verdict};
use evergrant_workers::decide::{Situation, Step, Ways, decide};

use crate::rules::{Broken, LIFETIME, Protocol, Tick, WORKERS_AHEAD, WRITE_EVERY, tick, time};
use crate::world::{Change, Doing, Outcome, Refresh, Reply, World};

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Heard {
    Reply(Reply),
    /// The request left, and nothing came back.
    Silence,
}

impl Protocol {
    /// Whether a call and its write still fit into the lease.
    pub(crate) fn fits(&self, refresh: &Refresh, now: Tick) -> bool {
        self.breaks(Broken::CallDoesNotFitTheLease) || self.spare(refresh, now).is_some()
    }

    fn spare(&self, refresh: &Refresh, now: Tick) -> Option<Duration> {
        let room = Self::settings().room_for_call(&self.policy());
        Duration::from_secs(refresh.lease_ends.into()).checked_sub(Duration::from_secs(now.into()) + room)
    }

    /// Presents the refresh token, and takes note if that must not be.
    pub(crate) fn present(&self, world: &mut World, refresh: &Refresh) -> Reply {
        let token = refresh.token;
        let is_reported = refresh.lost_replies > 0 || world.row.reported & crate::provider::bit(token) != 0;
        world.seen.needless_reuse |= world.provider.is_needless(token);
        world.seen.unreported_reuse |= world.provider.is_second(token) && !is_reported;
        world.provider.present(token, self.rotation)
    }

    /// What the worker does next.
    pub(crate) fn hear(&self, world: &World, index: usize, mut refresh: Refresh, heard: Heard) -> Doing {
        let process = world.workers[index].process;
        let clock = world.now + WORKERS_AHEAD[index];
        let answer = answer(heard, clock);
        refresh.calls += 1;
        refresh.lost_replies += u8::from(answer.trace.ambiguous);
        refresh.invalid_grants =
            if matches!(answer.verdict, Verdict::GrantInvalid) { refresh.invalid_grants + 1 } else { 0 };
        let policy = self.policy();
        let settings = Self::settings();
        let situation = Situation {
            calls: refresh.calls.into(),
            lost_replies: refresh.lost_replies.into(),
            invalid_grants: refresh.invalid_grants.into(),
            spare: self.spare(&refresh, world.now),
            pause: Duration::ZERO,
            is_probe: false,
        };
        let ways = Ways { tries: settings.tries, rotation: policy.rotation, confirmation: policy.confirmation };
        let finding = match decide(situation, ways, &answer) {
            Step::Settle(finding) => finding,
            Step::Again(_) if self.breaks(Broken::FirstInvalidGrantIsBelieved) && refresh.invalid_grants > 0 => {
                Finding::GrantInvalid { confirmed: true }
            }
            Step::Again(pause) => return Doing::Holding(refresh, world.now + tick(time(0) + pause)),
            // No answer of this provider is about the app.
            Step::Hold(_) => Finding::Transient,
        };
        let brings = match heard {
            Heard::Reply(Reply::Tokens(token)) => Some(token),
            _ => None,
        };
        let change = transition(refresh.standing, finding, &settings.rules(&policy), time(clock), 1.0);
        let change = Change { standing: change.standing, refresh_at: change.refresh_at.map(tick) };
        Doing::Writing(Outcome { refresh, process, brings, change: Some(change) }, WRITE_EVERY)
    }
}

/// What the provider's adapter makes of what was heard.
fn answer(heard: Heard, sent_at: Tick) -> Answer {
    let verdict = match heard {
        Heard::Reply(Reply::Tokens(token)) => Verdict::Refreshed(Tokens {
            access_token: Secret::new("a"),
            refresh_token: Some(Secret::new(token.to_string())),
            lifetime: Duration::from_secs(LIFETIME.into()),
            refresh_expires_at: None,
            scopes: None,
        }),
        Heard::Reply(Reply::InvalidGrant) => Verdict::GrantInvalid,
        Heard::Reply(Reply::Trouble) | Heard::Silence => Verdict::Transient,
    };
    let trace = AnswerTrace {
        status: None,
        code: None,
        message: String::new(),
        request_id: None,
        duration_ms: 0,
        ambiguous: heard == Heard::Silence,
    };
    Answer { verdict, sent_at: time(sent_at), trace }
}
