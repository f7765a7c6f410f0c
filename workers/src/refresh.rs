//! One refresh: the calls made under one lease.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use evergrant_contract::Timestamp;
use evergrant_contract::app::AppState;
use evergrant_contract::connection::{Grant, Settlement};
use evergrant_contract::job::{Job, JobKind};
use evergrant_contract::ports::{Clock, Provider};
use evergrant_contract::timing::until;
use evergrant_contract::transition::{Finding, transition};
use evergrant_contract::verdict::{Answer, Attempt, RefreshCall, Verdict, VerdictKind};
use tracing::{Instrument as _, field, info, info_span, warn};

use crate::decide::{Situation, Step, Ways, decide};
use crate::findings;
use crate::handler::Context;
use crate::settings::{IN_JOB_PAUSE_MAX, WorkerSettings};
use crate::window::Sign;

/// Why a job that made no call is put off.
const NOT_ADMITTED: &str =
    "no call was made: the provider app's rate limit is used up, or the provider asked for a pause";

/// A lease, the provider that it is spent at, and until when it may be.
pub(crate) struct Refresh<'a> {
    pub(crate) context: &'a Context,
    pub(crate) provider: &'a dyn Provider,
    pub(crate) grant: &'a Grant,
    pub(crate) job: &'a Job,
    /// On the clock that never jumps, counted from before the lease was asked for.
    pub(crate) lease_ends: Duration,
    pub(crate) is_probe: bool,
    /// The attempt of a former holder that was never heard of again.
    pub(crate) lost: Option<Attempt>,
}

/// The calls made so far.
#[derive(Default)]
struct Tally {
    calls: u32,
    lost_replies: u32,
    invalid_grants: u32,
    /// Every call that did not succeed.
    attempts: Vec<Attempt>,
}

impl Tally {
    /// One sentence about the last call that did not succeed.
    fn last_error(&self) -> Option<String> {
        self.attempts.last().map(|attempt| attempt.trace.message.clone())
    }
}

impl Refresh<'_> {
    /// Makes the calls and says what is to be written.
    pub(crate) async fn run(self) -> Settlement {
        let mut tally = Tally::default();
        if let Some(lost) = &self.lost {
            tally.attempts.push(lost.clone());
            tally.lost_replies = 1;
        }
        let mut pauses = quick_pauses();
        loop {
            if let Err(wait) = self.provider.admit(self.job.payload.kind(), self.context.settings.admit_patience).await
            {
                let finding = Finding::Throttled { retry_after: Some(wait) };
                self.count(VerdictKind::Throttled);
                self.context.window.hear(Sign::Strained);
                return self.concluded(finding, None, tally);
            }
            let answer = self.call(&mut tally).await;
            let pause = pauses.next().unwrap_or(IN_JOB_PAUSE_MAX);
            match decide(self.situation(&tally, pause), self.ways(), &answer) {
                Step::Again(pause) => self.context.clock.sleep(pause).await,
                Step::Settle(finding) => {
                    self.count(answer.verdict.kind());
                    return self.concluded(finding, Some(answer), tally);
                }
                Step::Hold(state) => {
                    self.count(answer.verdict.kind());
                    return self.held(state, answer, tally).await;
                }
            }
        }
    }

    async fn call(&self, tally: &mut Tally) -> Answer {
        let scopes = (!self.grant.scopes.is_empty()).then_some(self.grant.scopes.as_str());
        let call = RefreshCall { refresh_token: &self.grant.refresh_token, scopes };
        let span = info_span!(
            "provider.call", provider = %self.grant.provider, verdict = field::Empty, status = field::Empty
        );
        let answer = self.provider.refresh(call).instrument(span.clone()).await;
        span.record("verdict", answer.verdict.kind().as_str()).record("status", answer.trace.status);
        drop(span);
        tally.calls += 1;
        tally.lost_replies += u32::from(answer.trace.ambiguous);
        match answer.verdict {
            Verdict::Refreshed(_) => {}
            Verdict::GrantInvalid => tally.invalid_grants += 1,
            // Two in a row confirm; anything in between starts afresh.
            _ => tally.invalid_grants = 0,
        }
        let verdict = answer.verdict.kind();
        if verdict != VerdictKind::Refreshed {
            tally.attempts.push(findings::attempt(&answer));
        }
        let provider = self.grant.provider.to_string();
        let took = Duration::from_millis(answer.trace.duration_ms);
        metrics::histogram!("evergrant_attempt_seconds", "provider" => provider.clone()).record(took);
        metrics::counter!("evergrant_attempts_total", "provider" => provider, "verdict" => verdict.as_str())
            .increment(1);
        self.context.window.hear(sign(verdict, took));
        self.context.gate.heard(&self.grant.provider, self.grant.lease.connection, &answer, self.is_probe).await;
        answer
    }

    /// Takes note of how the refresh ended: it is one, however many calls it took.
    fn count(&self, verdict: VerdictKind) {
        let (provider, kind) = (self.grant.provider.to_string(), self.job.payload.kind().as_str());
        // One that was allowed to rest has ended on purpose.
        let may_have_rested =
            self.context.settings.rest_after.is_some() && self.job.payload.kind() == JobKind::ForceRefresh;
        let had_ended = !may_have_rested && self.grant.expires_at.is_some_and(|at| at <= self.context.clock.now());
        if verdict == VerdictKind::Refreshed && had_ended {
            metrics::counter!("evergrant_tokens_expired_total", "provider" => provider.clone()).increment(1);
        }
        metrics::counter!("evergrant_refreshes_total", "provider" => provider, "kind" => kind, "verdict" => verdict.as_str())
            .increment(1);
    }

    fn situation(&self, tally: &Tally, pause: Duration) -> Situation {
        let settings = &self.context.settings;
        let room = settings.room_for_call(self.provider.policy());
        Situation {
            calls: tally.calls,
            lost_replies: tally.lost_replies,
            invalid_grants: tally.invalid_grants,
            spare: self.lease_ends.checked_sub(self.context.clock.monotonic() + room),
            pause,
            is_probe: self.is_probe,
        }
    }

    fn ways(&self) -> Ways {
        let policy = self.provider.policy();
        Ways { tries: self.context.settings.tries, rotation: policy.rotation, confirmation: policy.confirmation }
    }

    /// What is written when the refresh found something out about the connection.
    fn concluded(&self, finding: Finding, answer: Option<Answer>, tally: Tally) -> Settlement {
        let now = self.context.clock.now();
        let grant = self.grant;
        if finding == Finding::Transient
            && let Some(probe_at) = self.context.gate.held_until(&grant.provider)
        {
            // The whole app turned out to be down meanwhile: an outage costs no connection anything.
            let last_error = tally.last_error();
            return self.put_off(until(now, probe_at), tally, last_error, now);
        }
        let rules = self.context.settings.rules(self.provider.policy());
        let change = transition(grant.standing, finding, &rules, now, self.context.chance.roll());
        let last_error = match &answer {
            None => Some(NOT_ADMITTED.to_owned()),
            Some(_) => tally.last_error(),
        };
        let succeeded = matches!(finding, Finding::Refreshed { .. });
        if succeeded {
            info!(
                user = %grant.user, connection = %grant.lease.connection, provider = %grant.provider,
                version = %grant.lease.version.next(), "Successfully refreshed token for user {}", grant.user
            );
        } else {
            warn!(
                user = %grant.user, connection = %grant.lease.connection, provider = %grant.provider,
                state = %change.standing.state, failures = change.standing.failures,
                retry_at = change.refresh_at.map(|at| at.to_rfc3339()),
                error = last_error.as_deref().unwrap_or_default(),
                "Failed to refresh token for user {}", grant.user
            );
        }
        let error = last_error.filter(|_| !succeeded);
        let mut settlement = findings::settlement(grant.lease, change, answer, tally.attempts, error, now);
        if change.gives_up {
            let error = settlement.last_error.clone().unwrap_or_default();
            let attempts = settlement.attempts.clone();
            settlement.failed_job = Some(findings::failed_job(self.job, &grant.provider, attempts, error, now));
        }
        settlement
    }

    /// What is written when the app turned out to be the trouble: nothing about the connection but a place further back in
    /// the queue, so that the next probe asks about another.
    async fn held(&self, state: AppState, answer: Answer, tally: Tally) -> Settlement {
        self.context.gate.hold(&self.grant.provider, state, &answer).await;
        let settings = &self.context.settings;
        let wait = if state == AppState::Fault { settings.fault_probe_every } else { settings.outage_probe_every };
        // A fault of the app is told where it belongs: no connection's last error says that our own secret is wrong.
        let last_error = tally.last_error().filter(|_| state != AppState::Fault);
        self.put_off(wait, tally, last_error, self.context.clock.now())
    }

    fn put_off(&self, wait: Duration, tally: Tally, last_error: Option<String>, now: Timestamp) -> Settlement {
        if !self.is_probe {
            return findings::release(self.grant.lease, tally.attempts, now);
        }
        let rules = self.context.settings.rules(self.provider.policy());
        let finding = Finding::Throttled { retry_after: Some(wait) };
        let change = transition(self.grant.standing, finding, &rules, now, 0.0);
        findings::settlement(self.grant.lease, change, None, tally.attempts, last_error, now)
    }
}

/// What an answer says about how many calls may be under way. One about the grant or about us says nothing.
const fn sign(verdict: VerdictKind, took: Duration) -> Sign {
    match verdict {
        VerdictKind::Throttled | VerdictKind::Transient => Sign::Strained,
        _ => Sign::Fine(took),
    }
}

impl WorkerSettings {
    /// When a lease that is asked for now ends, on the clock that never jumps.
    pub(crate) fn lease_ends(&self, clock: &dyn Clock) -> Duration {
        clock.monotonic() + self.lease
    }
}

/// Pauses between quick tries: doubling from a quarter of a second, with jitter.
fn quick_pauses() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(IN_JOB_PAUSE_MAX)
        .with_jitter()
        .without_max_times()
        .build()
        .map(|pause| pause.min(IN_JOB_PAUSE_MAX))
}
