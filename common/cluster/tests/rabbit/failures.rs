//! Messages that nobody can read become failed jobs.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use evergrant_cluster::broker::Broker;
use evergrant_contract::Timestamp;
use evergrant_contract::failed_job::FailedJob;
use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{FailedJobs, JobQueue, StoreError};
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Hands, Place, Working, force, ids, soon, until};

/// A store that is away for the first few calls.
#[derive(Default)]
struct Kept {
    away_for: AtomicUsize,
    jobs: Mutex<Vec<FailedJob>>,
}

#[async_trait]
impl FailedJobs for Kept {
    async fn record(&self, job: FailedJob) -> Result<(), StoreError> {
        let away = self.away_for.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |calls| calls.checked_sub(1));
        if away.is_ok() {
            return Err(StoreError::Unavailable("away".into()));
        }
        self.jobs.lock().unwrap().push(job);
        Ok(())
    }

    async fn forget_before(&self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
}

fn drain(broker: &Broker, into: Arc<Kept>) -> (CancellationToken, JoinHandle<()>) {
    let (queue, stop) = (broker.queue(), CancellationToken::new());
    let token = stop.clone();
    (stop, tokio::spawn(async move { queue.drain_dead_letters(into, token).await.unwrap() }))
}

async fn dead_letters(broker: &Broker) -> u64 {
    broker.check().await.unwrap().last().unwrap().waiting
}

/// Puts what is not a job into the queue, works there, and returns once all of it is dead-lettered.
async fn poison(place: &Place, broker: &Broker, bodies: &[&[u8]]) {
    let (_connection, hand) = place.by_hand().await;
    let kind = JobKind::RefreshDue.as_str();
    for body in bodies {
        let options = BasicPublishOptions::default();
        let exchange = place.topology().jobs_exchange().into();
        hand.basic_publish(exchange, kind.into(), options, body, BasicProperties::default()).await.unwrap();
    }
    let (hands, mut told) = Hands::quick();
    let working = Working::start(broker, JobKind::RefreshDue, 2, hands);
    until(async || dead_letters(broker).await == bodies.len() as u64).await;
    working.stop().await;
    assert!(told.try_recv().is_err(), "no handler ever sees it");
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_whole_even_while_the_store_is_away() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let misplaced = force();
    poison(&place, &broker, &[b"not a job", b"\xff\x00", &misplaced.encode()]).await;

    let kept = Arc::new(Kept { away_for: AtomicUsize::new(2), ..Kept::default() });
    let (stop, drained) = drain(&broker, kept.clone());
    until(async || kept.jobs.lock().unwrap().len() == 3).await;
    until(async || dead_letters(&broker).await == 0).await;
    stop.cancel();
    soon(drained).await.unwrap();

    let jobs = kept.jobs.lock().unwrap().clone();
    let found = |payload: &str| jobs.iter().find(|job| job.payload == payload).unwrap();
    let queue = place.topology().queue(JobKind::RefreshDue);
    assert_eq!(found("not a job").kind, queue);
    assert!(found("not a job").error.contains("rejected"), "{}", found("not a job").error);
    assert_eq!(found("base64:/wA=").connection, None);
    let readable = found(&String::from_utf8(misplaced.encode()).unwrap());
    assert_eq!((readable.id, readable.connection), (misplaced.id, Some(misplaced.payload.connection())));
}

#[tokio::test]
async fn a_dead_letter_that_was_not_recorded_stays() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    poison(&place, &broker, &[b"not a job"]).await;
    let kept = Arc::new(Kept { away_for: AtomicUsize::new(usize::MAX), ..Kept::default() });
    let (stop, drained) = drain(&broker, kept.clone());
    until(async || kept.away_for.load(Ordering::SeqCst) < usize::MAX).await;
    stop.cancel();
    soon(drained).await.unwrap();
    until(async || dead_letters(&broker).await == 1).await;
    assert!(kept.jobs.lock().unwrap().is_empty());
}

#[tokio::test]
async fn poison_does_not_stop_the_jobs_behind_it() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let (hands, mut told) = Hands::quick();
    let working = Working::start(&broker, JobKind::RefreshDue, 1, hands);
    let (_connection, hand) = place.by_hand().await;
    let (exchange, key) = (place.topology().jobs_exchange().into(), JobKind::RefreshDue.as_str().into());
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    hand.basic_publish(exchange, key, options, b"{}", properties).await.unwrap();
    broker.queue().publish(vec![crate::support::due()]).await.unwrap();
    ids(&mut told, 1).await;
    working.stop().await;
}
