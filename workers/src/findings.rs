//! What a refresh found out, as what is to be written and told: pure.

use evergrant_contract::Timestamp;
use evergrant_contract::connection::{Lease, Settlement};
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::failed_job::{FailedJob, FailedJobState};
use evergrant_contract::ids::{ProcessId, ProviderName, Version};
use evergrant_contract::job::Job;
use evergrant_contract::state::State;
use evergrant_contract::transition::Change;
use evergrant_contract::verdict::{Answer, AnswerTrace, Attempt, Verdict, VerdictKind};

/// A settlement that only gives the lease back, with the attempts that were made.
pub(crate) fn release(lease: Lease, attempts: Vec<Attempt>, now: Timestamp) -> Settlement {
    Settlement {
        lease,
        change: None,
        tokens: None,
        unread_answer: None,
        attempts,
        last_error: None,
        failed_job: None,
        decided_at: now,
    }
}

/// A settlement that writes a change, with whatever secrets the last answer carried.
pub(crate) fn settlement(
    lease: Lease,
    change: Change,
    answer: Option<Answer>,
    attempts: Vec<Attempt>,
    last_error: Option<String>,
    now: Timestamp,
) -> Settlement {
    let sent_at = answer.as_ref().map(|answer| answer.sent_at);
    let (tokens, unread_answer) = match answer.map(|answer| answer.verdict) {
        Some(Verdict::Refreshed(tokens)) => (sent_at.map(|sent_at| (tokens, sent_at)), None),
        Some(Verdict::Unusable(body)) => (None, Some(body)),
        _ => (None, None),
    };
    Settlement {
        lease,
        change: Some(change),
        tokens,
        unread_answer,
        attempts,
        last_error,
        failed_job: None,
        decided_at: now,
    }
}

/// An attempt as the history keeps it.
pub(crate) fn attempt(answer: &Answer) -> Attempt {
    Attempt { at: answer.sent_at, verdict: answer.verdict.kind(), trace: answer.trace.clone() }
}

/// The attempt of a process that took a lease and was never heard of again.
pub(crate) fn lost_attempt(of: ProcessId, now: Timestamp) -> Attempt {
    let message = format!(
        "process {of} held the lease and ended without reporting: it may have spent the refresh token, and the reply \
         never arrived"
    );
    let trace = AnswerTrace { status: None, code: None, message, request_id: None, duration_ms: 0, ambiguous: true };
    Attempt { at: now, verdict: VerdictKind::Transient, trace }
}

/// The job as a failed job.
pub(crate) fn failed_job(
    job: &Job,
    provider: &ProviderName,
    attempts: Vec<Attempt>,
    error: String,
    now: Timestamp,
) -> FailedJob {
    FailedJob {
        id: job.id,
        kind: job.payload.kind().to_string(),
        connection: Some(job.payload.connection()),
        provider: Some(provider.clone()),
        payload: String::from_utf8_lossy(&job.encode()).into_owned(),
        attempts,
        error,
        traceparent: job.traceparent.clone(),
        failed_at: now,
        state: FailedJobState::Open,
    }
}

/// What a job's written settlement means for those who wait.
pub(crate) fn event(job: &Job, settlement: &Settlement, version: Version) -> Event {
    let change = settlement.change;
    let state = change.map(|change| change.standing.state);
    let outcome = match state {
        Some(State::NeedsReauth) => Outcome::NeedsReauth,
        Some(State::Disconnected) => Outcome::Disconnected,
        _ if settlement.tokens.is_some() => Outcome::Refreshed,
        _ => Outcome::Unavailable,
    };
    Event::Connection {
        connection: settlement.lease.connection,
        version,
        outcome,
        reason: change.and_then(|change| change.reason),
        retry_at: if outcome == Outcome::Unavailable { change.and_then(|change| change.refresh_at) } else { None },
        traceparent: job.traceparent.clone(),
    }
}
