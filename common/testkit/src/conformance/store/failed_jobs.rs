//! Jobs given up on.

use std::sync::Arc;

use evergrant_contract::connection::Settlement;
use evergrant_contract::failed_job::{FailedJob, FailedJobState};
use evergrant_contract::ids::{ConnectionId, JobId};
use evergrant_contract::ports::{Clock as _, Store};

use super::steps::{attempt, connect, failed, failed_job, hold_as_it_stands, secs, settle};
use crate::ManualClock;

async fn record(store: &dyn Store, job: FailedJob) {
    store.record(job).await.expect("a working store keeps failed jobs");
}

async fn open_jobs(store: &dyn Store, limit: u32) -> Vec<FailedJob> {
    store.open_jobs(limit).await.expect("a working store lists failed jobs")
}

/// A message may be delivered again after it was recorded; what an operator has decided since stays decided.
pub async fn a_job_recorded_twice_is_one_failed_job(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let job = failed_job(ConnectionId::generate(), clock.now());
    record(&*store, job.clone()).await;
    record(&*store, FailedJob { error: "another error".into(), ..job.clone() }).await;
    assert_eq!(open_jobs(&*store, 10).await, [job]);

    let discarded = FailedJob { state: FailedJobState::Discarded, ..failed_job(ConnectionId::generate(), clock.now()) };
    record(&*store, discarded.clone()).await;
    record(&*store, FailedJob { state: FailedJobState::Open, ..discarded }).await;
    assert_eq!(open_jobs(&*store, 10).await.len(), 1, "a discarded job stays discarded");
}

/// Whole, even one that could not be read.
pub async fn open_jobs_come_newest_first(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let unread = FailedJob {
        id: JobId::generate(),
        kind: "refresh-due.dead".into(),
        connection: None,
        provider: None,
        payload: "base64:/w==".into(),
        attempts: Vec::new(),
        error: "not a job".into(),
        traceparent: None,
        failed_at: clock.now() + secs(5),
        state: FailedJobState::Open,
    };
    let jobs = [3, 1, 2].map(|n| failed_job(ConnectionId::generate(), clock.now() + secs(n)));
    for job in jobs.iter().chain([&unread]) {
        record(&*store, job.clone()).await;
    }
    let [third, first, second] = jobs;
    assert_eq!(open_jobs(&*store, 10).await, [unread.clone(), third.clone(), second, first]);
    assert_eq!(open_jobs(&*store, 2).await, [unread, third]);
}

/// What nobody has dealt with is kept for ever; the rest, and old attempts, go by age.
pub async fn forgetting_spares_open_jobs(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let now = clock.now();
    let job = |age: i64, state| FailedJob { state, ..failed_job(ConnectionId::generate(), now - secs(age)) };
    let old_and_open = job(100, FailedJobState::Open);
    for job in [
        old_and_open.clone(),
        job(100, FailedJobState::Replayed),
        job(100, FailedJobState::Discarded),
        job(10, FailedJobState::Discarded),
    ] {
        record(&*store, job).await;
    }
    let id = connect(&*store, &clock, "user").await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    let attempts = vec![attempt(now - secs(100), "old"), attempt(now - secs(10), "recent")];
    settle(&*store, Settlement { attempts, ..failed(lease, &clock) }).await;

    let forget = async || store.forget_before(now - secs(50)).await.expect("a working store forgets");
    assert_eq!(forget().await, 3, "two jobs that were dealt with and one attempt");
    assert_eq!(open_jobs(&*store, 10).await, [old_and_open]);
    let kept = store.attempts(id, 10).await.expect("a working store keeps attempts");
    assert_eq!(kept, [attempt(now - secs(10), "recent")]);
    assert_eq!(forget().await, 0, "there is nothing left to forget");
}
