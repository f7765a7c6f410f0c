//! Events reach everybody who listens, and gaps are told.

use std::collections::HashSet;

use evergrant_cluster::broker::Broker;
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::{EventBus, Heard};
use futures::StreamExt;
use futures::stream::BoxStream;
use lapin::options::ExchangeDeleteOptions;

use crate::support::{Place, soon, until};

pub(crate) fn refreshed() -> Event {
    let (connection, version) = (ConnectionId::generate(), Version::FIRST);
    Event::Connection {
        connection,
        version,
        outcome: Outcome::Refreshed,
        reason: None,
        retry_at: None,
        traceparent: None,
    }
}

pub(crate) async fn next(heard: &mut BoxStream<'static, Heard>) -> Heard {
    soon(heard.next()).await.expect("the stream goes on")
}

/// Sends events until one is heard, passing over gaps.
async fn until_heard(broker: &Broker, heard: &mut BoxStream<'static, Heard>) {
    let mut sent = HashSet::new();
    until(async || {
        let event = refreshed();
        let Event::Connection { connection, .. } = &event else { return false };
        sent.insert(*connection);
        broker.events().publish(vec![event]).await;
        let wait = std::time::Duration::from_millis(50);
        match tokio::time::timeout(wait, heard.next()).await {
            Ok(Some(Heard::Event(Event::Connection { connection, .. }))) => sent.contains(&connection),
            _ => false,
        }
    })
    .await;
}

#[tokio::test]
async fn every_instance_and_every_subscriber_hears_in_order() {
    let Some(place) = Place::new() else { return };
    let (one, other) = (place.broker().await, place.broker().await);
    let mut ears =
        vec![one.events().subscribe().await, one.events().subscribe().await, other.events().subscribe().await];
    let events: Vec<_> = std::iter::repeat_with(refreshed).take(600).collect();
    one.events().publish(events.clone()).await;
    for ear in &mut ears {
        for event in &events {
            assert_eq!(next(ear).await, Heard::Event(event.clone()));
        }
    }
}

#[tokio::test]
async fn a_subscriber_that_does_not_listen_is_told_of_the_gap() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let mut lazy = broker.events().subscribe().await;
    let mut keen = broker.events().subscribe().await;
    for _ in 0..10 {
        broker.events().publish(std::iter::repeat_with(refreshed).take(1_000).collect()).await;
        for _ in 0..1_000 {
            next(&mut keen).await;
        }
    }
    assert_eq!(next(&mut lazy).await, Heard::Gap);
    assert!(matches!(next(&mut lazy).await, Heard::Event(_)));
}

#[tokio::test]
async fn a_deleted_exchange_makes_a_gap_and_no_silence() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    let mut heard = broker.events().subscribe().await;
    until_heard(&broker, &mut heard).await;
    let (_connection, hand) = place.by_hand().await;
    hand.exchange_delete(place.topology().events_exchange().into(), ExchangeDeleteOptions::default()).await.unwrap();
    broker.events().publish(vec![refreshed()]).await;
    while next(&mut heard).await != Heard::Gap {}
    until_heard(&broker, &mut heard).await;
}

#[tokio::test]
async fn an_instance_that_only_listens_notices_that_its_binding_is_gone() {
    let Some(place) = Place::new() else { return };
    let (speaker, listener) = (place.broker().await, place.broker().await);
    let mut heard = listener.events().subscribe().await;
    until_heard(&speaker, &mut heard).await;
    let (_connection, hand) = place.by_hand().await;
    hand.exchange_delete(place.topology().events_exchange().into(), ExchangeDeleteOptions::default()).await.unwrap();
    until_heard(&speaker, &mut heard).await;
}

#[tokio::test]
async fn what_was_said_before_the_end_is_still_said() {
    let Some(place) = Place::new() else { return };
    let (speaker, listener) = (place.broker().await, place.broker().await);
    let mut heard = listener.events().subscribe().await;
    let events: Vec<_> = std::iter::repeat_with(refreshed).take(1_000).collect();
    speaker.events().publish(events.clone()).await;
    speaker.close().await;
    for event in events {
        assert_eq!(next(&mut heard).await, Heard::Event(event));
    }
    listener.close().await;
    assert_eq!(soon(heard.next()).await, None, "the stream ends with its broker");
}
