//! Failed jobs as operators look for them and deal with them.

use std::sync::Arc;

use chrono::TimeDelta;
use evergrant_contract::connection::Settlement;
use evergrant_contract::failed_job::{FailedJob, FailedJobFilter, FailedJobKey, FailedJobState};
use evergrant_contract::ids::{ConnectionId, JobId};
use evergrant_contract::operations::Action;
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::verdict::{Attempt, VerdictKind};

use super::operations::{audit_log, entry};
use super::people::user_id;
use super::steps::{app_named, at_once, attempt, connect, failed, failed_job, hold_as_it_stands, secs, settle};
use crate::ManualClock;

const ANY: FailedJobFilter = FailedJobFilter {
    states: Vec::new(),
    kind: None,
    provider: None,
    verdict: None,
    code: None,
    user: None,
    connection: None,
    since: None,
    until: None,
    text: None,
};

async fn record(store: &dyn Store, job: &FailedJob) {
    store.record(job.clone()).await.expect("a working store keeps failed jobs");
}

async fn page(store: &dyn Store, filter: &FailedJobFilter, after: Option<FailedJobKey>, limit: u32) -> Vec<FailedJob> {
    store.failed_jobs(filter, after, limit).await.expect("a working store lists failed jobs")
}

async fn find(store: &dyn Store, id: JobId) -> Option<FailedJob> {
    store.failed_job(id).await.expect("a working store finds failed jobs")
}

async fn count(store: &dyn Store, filter: &FailedJobFilter, at_most: u64) -> u64 {
    store.count_failed_jobs(filter, at_most).await.expect("a working store counts failed jobs")
}

/// The errors of what a filter lets through, newest first. Counting must come to the same number.
async fn errors(store: &dyn Store, filter: &FailedJobFilter) -> Vec<String> {
    let found: Vec<String> = page(store, filter, None, 100).await.into_iter().map(|job| job.error).collect();
    assert_eq!(count(store, filter, 100).await, found.len() as u64, "the number of what is listed for {filter:?}");
    found
}

/// The last attempt of a job as its filters see it; those before it count for nothing.
fn last(verdict: VerdictKind, code: Option<&str>, clock: &ManualClock) -> Vec<Attempt> {
    let before = attempt(clock.now() - secs(2), "before");
    let mut last = Attempt { verdict, ..attempt(clock.now() - secs(1), "last") };
    last.trace.code = code.map(str::to_owned);
    vec![before, last]
}

/// Whole, in whatever state, even one that could not be read.
pub async fn a_failed_job_is_found_as_it_was_recorded(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let whole = failed_job(ConnectionId::generate(), clock.now() + TimeDelta::milliseconds(7));
    let unread = FailedJob {
        id: JobId::generate(),
        kind: "refresh-due.dead".into(),
        connection: None,
        provider: None,
        payload: "base64:/w==".into(),
        attempts: Vec::new(),
        traceparent: None,
        ..whole.clone()
    };
    let discarded =
        FailedJob { state: FailedJobState::Discarded, ..failed_job(ConnectionId::generate(), clock.now() - secs(1)) };
    for job in [whole, unread, discarded] {
        record(&*store, &job).await;
        assert_eq!(find(&*store, job.id).await, Some(job));
    }
    assert_eq!(find(&*store, JobId::generate()).await, None);
}

/// Those of one instant by their ids, so that a page can begin between them.
pub async fn failed_jobs_come_newest_first_page_by_page(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let at = |millis: i64| clock.now() + TimeDelta::milliseconds(millis);
    let mut jobs: Vec<FailedJob> =
        [1, 0, 2, 1, 1, 0].map(|millis| failed_job(ConnectionId::generate(), at(millis))).to_vec();
    for job in &jobs {
        record(&*store, job).await;
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.key()));
    assert_eq!(page(&*store, &ANY, None, 100).await, jobs);
    for size in 1..=jobs.len() {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let part = page(&*store, &ANY, after, u32::try_from(size).expect("it is small")).await;
            assert!(part.len() <= size, "no page is longer than asked for");
            let Some(last) = part.last() else { break };
            after = Some(last.key());
            seen.extend(part);
        }
        assert_eq!(seen, jobs, "by pages of {size}");
    }
}

/// However many share an instant, and while those that were seen are dealt with.
pub async fn many_failed_jobs_are_each_seen_once(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    const JOBS: i64 = 230;
    let mut keys = Vec::new();
    for n in 0..JOBS {
        let job = failed_job(ConnectionId::generate(), clock.now() - TimeDelta::milliseconds(n % 5));
        record(&*store, &job).await;
        keys.push(job.key());
    }
    keys.sort_by(|one, other| other.cmp(one));
    let open = FailedJobFilter { states: vec![FailedJobState::Open], ..ANY };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let part = page(&*store, &open, after, 7).await;
        let Some(last) = part.last() else { break };
        after = Some(last.key());
        let audit = entry(Action::DiscardJob, last.id, &clock);
        let closed = store.close_failed_job(last.id, FailedJobState::Discarded, &audit).await;
        assert!(closed.expect("a working store closes failed jobs"));
        seen.extend(part.iter().map(FailedJob::key));
    }
    assert_eq!(seen, keys);
    assert_eq!(count(&*store, &open, 1000).await, 230 - 33, "one of each page was dealt with");
}

/// Five jobs that differ in everything that a filter can name; the newest is `one`, a second older `two`, and so on.
async fn five(store: &dyn Store, clock: &ManualClock) -> [FailedJob; 5] {
    let mut age = -1;
    let mut job = |error: &str| {
        age += 1;
        FailedJob { error: error.into(), ..failed_job(ConnectionId::generate(), clock.now() - secs(age)) }
    };
    let jobs = [
        job("one"),
        FailedJob { state: FailedJobState::Replayed, kind: "force_refresh".into(), ..job("two") },
        FailedJob { state: FailedJobState::Discarded, provider: Some(app_named("amazon-eu")), ..job("three") },
        FailedJob { attempts: last(VerdictKind::GrantInvalid, Some("invalid_grant"), clock), ..job("four") },
        FailedJob { connection: None, provider: None, attempts: Vec::new(), ..job("five") },
    ];
    for job in &jobs {
        record(store, job).await;
    }
    jobs
}

/// What a filter does not name does not matter.
pub async fn each_filter_narrows_the_failed_jobs(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    use FailedJobState::{Discarded, Open, Replayed};
    let jobs = five(&*store, &clock).await;
    let (now, code) = (clock.now(), |code: &str| Some(code.to_owned()));
    let cases: [(FailedJobFilter, &[&str]); 17] = [
        (ANY, &["one", "two", "three", "four", "five"]),
        (FailedJobFilter { states: vec![Open], ..ANY }, &["one", "four", "five"]),
        (FailedJobFilter { states: vec![Replayed, Discarded], ..ANY }, &["two", "three"]),
        (FailedJobFilter { kind: code("force_refresh"), ..ANY }, &["two"]),
        (FailedJobFilter { kind: code("FORCE_REFRESH"), ..ANY }, &[]),
        (FailedJobFilter { provider: Some(app_named("amazon-eu")), ..ANY }, &["three"]),
        (FailedJobFilter { verdict: Some(VerdictKind::GrantInvalid), ..ANY }, &["four"]),
        (FailedJobFilter { verdict: Some(VerdictKind::Transient), ..ANY }, &["one", "two", "three"]),
        (FailedJobFilter { verdict: Some(VerdictKind::AppFault), ..ANY }, &[]),
        (FailedJobFilter { code: code("invalid_grant"), ..ANY }, &["four"]),
        (FailedJobFilter { code: code("temporarily_unavailable"), ..ANY }, &["one", "two", "three"]),
        (FailedJobFilter { connection: jobs[1].connection, ..ANY }, &["two"]),
        (FailedJobFilter { connection: Some(ConnectionId::generate()), ..ANY }, &[]),
        (FailedJobFilter { since: Some(now - secs(2)), ..ANY }, &["one", "two", "three"]),
        (FailedJobFilter { until: Some(now - secs(2)), ..ANY }, &["four", "five"]),
        (FailedJobFilter { text: code("our"), ..ANY }, &["four"]),
        (FailedJobFilter { text: code("six"), ..ANY }, &[]),
    ];
    for (filter, expected) in cases {
        assert_eq!(errors(&*store, &filter).await, expected, "{filter:?}");
    }
}

/// A job must pass all that is named, and a page behind a place is narrowed too.
pub async fn filters_of_failed_jobs_hold_together(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    use FailedJobState::{Open, Replayed};
    let jobs = five(&*store, &clock).await;
    let (now, transient) = (clock.now(), Some(VerdictKind::Transient));
    let open = FailedJobFilter { states: vec![Open], ..ANY };
    let cases: [(FailedJobFilter, &[&str]); 6] = [
        (FailedJobFilter { verdict: transient, ..open.clone() }, &["one"]),
        (FailedJobFilter { since: Some(now - secs(3)), ..open.clone() }, &["one", "four"]),
        (FailedJobFilter { since: Some(now - secs(3)), until: Some(now - secs(1)), ..ANY }, &["three", "four"]),
        (FailedJobFilter { text: Some("T".into()), verdict: transient, ..ANY }, &["two", "three"]),
        (FailedJobFilter { connection: jobs[2].connection, states: vec![Replayed], ..ANY }, &[]),
        (FailedJobFilter { code: Some("invalid_grant".into()), verdict: transient, ..ANY }, &[]),
    ];
    for (filter, expected) in cases {
        assert_eq!(errors(&*store, &filter).await, expected, "{filter:?}");
    }
    let behind = page(&*store, &open, Some(jobs[1].key()), 1).await;
    assert_eq!(behind, [jobs[3].clone()], "the first open one behind a job that is not");
}

/// Anywhere in it, in capitals or not, and every character means itself.
pub async fn a_text_is_found_in_the_error(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let texts = ["HTTP 503: 100% of it_failed", "http 503: 1000 of its failed", r"a \ and 'quotes', Zoë"];
    for (age, error) in (0..).zip(texts) {
        let job = failed_job(ConnectionId::generate(), clock.now() - secs(age));
        record(&*store, &FailedJob { error: error.into(), ..job }).await;
    }
    let cases: [(&str, &[usize]); 10] = [
        ("http", &[0, 1]),
        ("Http 503", &[0, 1]),
        ("FAILED", &[0, 1]),
        ("100%", &[0]),
        ("t_f", &[0]),
        ("%", &[0]),
        (r"\", &[2]),
        ("'quotes', zoë", &[2]),
        ("", &[0, 1, 2]),
        ("503 HTTP", &[]),
    ];
    for (text, expected) in cases {
        let expected: Vec<&str> = expected.iter().map(|n| texts[*n]).collect();
        assert_eq!(errors(&*store, &FailedJobFilter { text: Some(text.into()), ..ANY }).await, expected, "{text}");
    }
}

/// Nobody owns a job whose connection is unknown.
pub async fn failed_jobs_of_a_user_are_those_of_their_connections(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let theirs = connect(&*store, &clock, "user").await;
    let others = connect(&*store, &clock, "other").await;
    let connections = [Some(theirs), Some(others), None, Some(ConnectionId::generate()), Some(theirs)];
    let jobs = connections.map(|connection| FailedJob {
        connection,
        ..failed_job(ConnectionId::generate(), clock.now() - secs(i64::from(connection != Some(theirs))))
    });
    for job in &jobs {
        record(&*store, job).await;
    }
    let of = |user: &str| FailedJobFilter { user: Some(user_id(user)), ..ANY };
    let mut expected = [jobs[0].clone(), jobs[4].clone()];
    expected.sort_by_key(|job| std::cmp::Reverse(job.key()));
    assert_eq!(page(&*store, &of("user"), None, 10).await, expected);
    assert_eq!(page(&*store, &of("other"), None, 10).await, [jobs[1].clone()]);
    assert_eq!(page(&*store, &of("nobody"), None, 10).await, []);
    assert_eq!(count(&*store, &of("user"), 10).await, 2);
    let both = FailedJobFilter { connection: Some(others), ..of("user") };
    assert_eq!(page(&*store, &both, None, 10).await, [], "the connection is somebody else's");
}

/// What a worker gives up on is found by its last attempt too.
pub async fn a_failed_job_of_a_settlement_is_found_by_its_last_attempt(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    let attempts = last(VerdictKind::Throttled, Some("slow_down"), &clock);
    let job = FailedJob { attempts, ..failed_job(id, clock.now()) };
    settle(&*store, Settlement { failed_job: Some(job.clone()), ..failed(lease, &clock) }).await;
    let (throttled, slow_down) = (Some(VerdictKind::Throttled), Some("slow_down".to_owned()));
    let filter = FailedJobFilter { verdict: throttled, code: slow_down, user: Some(user_id("user")), ..ANY };
    assert_eq!(page(&*store, &filter, None, 10).await, [job]);
    assert_eq!(count(&*store, &FailedJobFilter { verdict: Some(VerdictKind::Transient), ..ANY }, 10).await, 0);
}

/// So that a page can say "more than 10,000" without reading a million rows.
pub async fn counting_failed_jobs_stops(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for state in [FailedJobState::Open, FailedJobState::Open, FailedJobState::Discarded] {
        record(&*store, &FailedJob { state, ..failed_job(ConnectionId::generate(), clock.now()) }).await;
    }
    let open = FailedJobFilter { states: vec![FailedJobState::Open], ..ANY };
    for (filter, expected) in [(&ANY, [0, 1, 2, 3, 3]), (&open, [0, 1, 2, 2, 2])] {
        for (at_most, expected) in [0, 1, 2, 3, u64::MAX].into_iter().zip(expected) {
            assert_eq!(count(&*store, filter, at_most).await, expected, "{filter:?}, at most {at_most}");
        }
    }
}

/// Two operators who press the button at once replay a job once.
pub async fn one_of_twenty_callers_closes_a_failed_job(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (job, other) =
        (failed_job(ConnectionId::generate(), clock.now()), failed_job(ConnectionId::generate(), clock.now()));
    for job in [&job, &other] {
        record(&*store, job).await;
    }
    let answers = at_once(20, |n| {
        let state = if n % 2 == 0 { FailedJobState::Replayed } else { FailedJobState::Discarded };
        let action = if n % 2 == 0 { Action::ReplayJob } else { Action::DiscardJob };
        let (store, audit) = (Arc::clone(&store), entry(action, job.id, &clock));
        async move {
            let closed = store.close_failed_job(job.id, state, &audit).await;
            closed.expect("a working store closes failed jobs").then_some((state, audit))
        }
    })
    .await;
    let [(state, audit)]: [_; 1] =
        answers.into_iter().flatten().collect::<Vec<_>>().try_into().expect("exactly one caller closes it");
    assert_eq!(find(&*store, job.id).await, Some(FailedJob { state, ..job }));
    assert_eq!(find(&*store, other.id).await, Some(other), "the other one is as it was");
    assert_eq!(audit_log(&*store, None, None, 100).await, [audit], "there is one line, that of the caller who did it");
}

/// Neither is one that nobody knows, and the audit log tells nothing that was not done.
pub async fn a_closed_failed_job_is_not_closed_again(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let job = failed_job(ConnectionId::generate(), clock.now());
    record(&*store, &job).await;
    let close = async |id, state| {
        let audit = entry(Action::DiscardJob, id, &clock);
        store.close_failed_job(id, state, &audit).await.expect("a working store closes failed jobs")
    };
    assert!(close(job.id, FailedJobState::Discarded).await);
    let log = audit_log(&*store, None, None, 100).await;
    for state in [FailedJobState::Replayed, FailedJobState::Discarded] {
        assert!(!close(job.id, state).await, "it was dealt with");
        assert!(!close(JobId::generate(), state).await, "there is none");
    }
    assert_eq!(find(&*store, job.id).await, Some(FailedJob { state: FailedJobState::Discarded, ..job }));
    assert_eq!((log.len(), audit_log(&*store, None, None, 100).await), (1, log), "nothing was added");
}
