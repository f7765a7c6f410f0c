//! Jobs given up on.

use std::sync::Arc;

use evergrant_contract::connection::Settlement;
use evergrant_contract::failed_job::{FailedJob, FailedJobState};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::{Clock as _, Store};

use super::steps::{attempt, connect, failed, failed_job, hold_as_it_stands, open_jobs, secs, settle};
use crate::ManualClock;

async fn record(store: &dyn Store, job: FailedJob) {
    store.record(job).await.expect("a working store keeps failed jobs");
}

/// A message may be delivered again after it was recorded; what an operator has decided since stays decided.
pub async fn a_job_recorded_twice_is_one_failed_job(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let job = failed_job(ConnectionId::generate(), clock.now());
    record(&*store, job.clone()).await;
    record(&*store, FailedJob { error: "another error".into(), ..job.clone() }).await;
    assert_eq!(open_jobs(&*store).await, [job]);

    let discarded = FailedJob { state: FailedJobState::Discarded, ..failed_job(ConnectionId::generate(), clock.now()) };
    record(&*store, discarded.clone()).await;
    record(&*store, FailedJob { state: FailedJobState::Open, ..discarded }).await;
    assert_eq!(open_jobs(&*store).await.len(), 1, "a discarded job stays discarded");
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
    assert_eq!(open_jobs(&*store).await, [old_and_open]);
    let kept = store.attempts(id, 10).await.expect("a working store keeps attempts");
    assert_eq!(kept, [attempt(now - secs(10), "recent")]);
    assert_eq!(forget().await, 0, "there is nothing left to forget");
}
