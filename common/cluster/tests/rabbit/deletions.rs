//! Operators delete, purge and unbind; jobs go on.

use std::collections::HashSet;

use evergrant_contract::job::JobKind;
use evergrant_contract::ports::JobQueue;
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions, QueuePurgeOptions};
use lapin::types::FieldTable;

use crate::support::{Hands, Place, Working, due, force, ids, many, until, until_depth};

#[tokio::test]
async fn a_deleted_queue_is_declared_again_by_publishers() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let (_connection, hand) = place.by_hand().await;
    hand.queue_delete(place.topology().queue(JobKind::RefreshDue).into(), QueueDeleteOptions::default()).await.unwrap();
    broker.queue().publish(many(3, due)).await.unwrap();
    until_depth(&broker, JobKind::RefreshDue, 3).await;
}

#[tokio::test]
async fn a_deleted_queue_is_declared_again_by_workers() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let (hands, mut told) = Hands::quick();
    let working = Working::start(&broker, JobKind::RefreshDue, 2, hands);
    broker.queue().publish(vec![due()]).await.unwrap();
    ids(&mut told, 1).await;
    let (_connection, hand) = place.by_hand().await;
    hand.queue_delete(place.topology().queue(JobKind::RefreshDue).into(), QueueDeleteOptions::default()).await.unwrap();
    until(async || broker.check().await.unwrap()[0].consumers == 1).await;
    broker.queue().publish(vec![due()]).await.unwrap();
    ids(&mut told, 1).await;
    working.stop().await;
}

#[tokio::test]
async fn asking_for_the_depth_of_a_deleted_queue_makes_it_anew() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let (_connection, hand) = place.by_hand().await;
    hand.queue_delete(place.topology().queue(JobKind::RefreshDue).into(), QueueDeleteOptions::default()).await.unwrap();
    assert_eq!(broker.queue().depth(JobKind::RefreshDue).await.unwrap(), 0);
    broker.queue().publish(vec![due()]).await.unwrap();
    until_depth(&broker, JobKind::RefreshDue, 1).await;
}

#[tokio::test]
async fn a_deleted_exchange_is_declared_again() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    broker.queue().publish(vec![due()]).await.unwrap();
    let (_connection, hand) = place.by_hand().await;
    hand.exchange_delete(place.topology().jobs_exchange().into(), ExchangeDeleteOptions::default()).await.unwrap();
    broker.queue().publish(many(2, due)).await.unwrap();
    until_depth(&broker, JobKind::RefreshDue, 3).await;
}

#[tokio::test]
async fn a_purge_loses_what_waits_and_nothing_else() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    broker.queue().publish(many(5, due)).await.unwrap();
    let (_connection, hand) = place.by_hand().await;
    hand.queue_purge(place.topology().queue(JobKind::RefreshDue).into(), QueuePurgeOptions::default()).await.unwrap();
    until_depth(&broker, JobKind::RefreshDue, 0).await;
    let (hands, mut told) = Hands::quick();
    let working = Working::start(&broker, JobKind::RefreshDue, 2, hands);
    broker.queue().publish(vec![due()]).await.unwrap();
    ids(&mut told, 1).await;
    working.stop().await;
}

/// The client library gives returned messages to the wrong confirms. Were they not told by their ids, some jobs would be
/// lost here and others come twice.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_mixed_batch_exactly_the_returned_jobs_are_published_again() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let (topology, kind) = (place.topology(), JobKind::ForceRefresh);
    let (_connection, hand) = place.by_hand().await;
    for _ in 0..5 {
        let (queue, exchange) = (topology.queue(kind).into(), topology.jobs_exchange().into());
        hand.queue_unbind(queue, exchange, kind.as_str().into(), FieldTable::default()).await.unwrap();
        let jobs: Vec<_> = (0..1_000).map(|at| if at % 3 == 0 { force() } else { due() }).collect();
        let wanted: HashSet<_> = jobs.iter().map(|job| job.id).collect();
        broker.queue().publish(jobs).await.unwrap();
        until_depth(&broker, JobKind::RefreshDue, 666).await;
        until_depth(&broker, JobKind::ForceRefresh, 334).await;

        let (hands, mut told) = Hands::quick();
        let bulk = Working::start(&broker, JobKind::RefreshDue, 64, hands.clone());
        let forced = Working::start(&broker, JobKind::ForceRefresh, 64, hands);
        assert_eq!(ids(&mut told, 1_000).await, wanted);
        bulk.stop().await;
        forced.stop().await;
        assert!(told.try_recv().is_err(), "no job came twice");
    }
}
