//! Who hears what.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::app::AppState;
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::{EventBus, Heard};
use evergrant_contract::state::Reason;
use futures::StreamExt as _;
use futures::stream::BoxStream;

use crate::conformance::soon;

type Ears = BoxStream<'static, Heard>;

fn event_about(connection: ConnectionId) -> Event {
    let (version, outcome) = (Version::new(2), Outcome::Refreshed);
    Event::Connection { connection, version, outcome, reason: None, retry_at: None, traceparent: None }
}

fn some_events(number: usize) -> (BTreeSet<ConnectionId>, Vec<Event>) {
    let connections: BTreeSet<_> = (0..number).map(|_| ConnectionId::generate()).collect();
    let events = connections.iter().copied().map(event_about).collect();
    (connections, events)
}

async fn next(ears: &mut Ears) -> Heard {
    soon("an event", ears.next()).await.expect("a subscription ends only when it is dropped")
}

/// Listens until all of them were heard. A gap alone is no failure: an adapter may not know what it missed.
async fn hear_all(ears: &mut Ears, mut missing: BTreeSet<ConnectionId>) {
    while !missing.is_empty() {
        if let Heard::Event(Event::Connection { connection, .. }) = next(ears).await {
            missing.remove(&connection);
        }
    }
}

/// Each instance has its own waiters.
pub async fn every_subscriber_hears_every_event(bus: Arc<dyn EventBus>) {
    let mut subscribers = [bus.subscribe().await, bus.subscribe().await, bus.subscribe().await];
    let (connections, events) = some_events(50);
    bus.publish(events).await;
    for ears in &mut subscribers {
        hear_all(ears, connections.clone()).await;
    }
}

/// Both types, every field, one after the other.
pub async fn an_event_is_heard_as_it_was_published(bus: Arc<dyn EventBus>) {
    let mut ears = bus.subscribe().await;
    let full = Event::Connection {
        connection: ConnectionId::generate(),
        version: Version::new(41),
        outcome: Outcome::Unavailable,
        reason: Some(Reason::AttemptsExhausted),
        retry_at: Timestamp::from_timestamp_millis(1_800_000_000_123),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    };
    let provider = "amazon-eu".parse().expect("a well-formed provider name");
    let app = Event::App { provider, state: AppState::Fault };
    let published = [full, event_about(ConnectionId::generate()), app];
    for event in &published {
        bus.publish(vec![event.clone()]).await;
        let heard = loop {
            if let Heard::Event(heard) = next(&mut ears).await {
                break heard;
            }
        };
        assert_eq!(heard, *event);
    }
}

/// A waiter subscribes, looks at the row and then waits: nothing may fall in between.
pub async fn who_subscribes_before_an_event_hears_it(bus: Arc<dyn EventBus>) {
    for _ in 0..20 {
        let mut ears = bus.subscribe().await;
        let (connections, events) = some_events(1);
        bus.publish(events).await;
        hear_all(&mut ears, connections).await;
    }
}

/// A worker does not know whether anybody waits.
pub async fn events_without_subscribers_are_nobodys_failure(bus: Arc<dyn EventBus>) {
    for _ in 0..10 {
        soon("the publication", bus.publish(some_events(10).1)).await;
    }
    soon("the publication of nothing", bus.publish(Vec::new())).await;
    let mut ears = bus.subscribe().await;
    let (connections, events) = some_events(1);
    bus.publish(events).await;
    hear_all(&mut ears, connections).await;
}

/// A waiter that went away, read or unread.
pub async fn a_dropped_subscriber_harms_nobody(bus: Arc<dyn EventBus>) {
    let mut stays = bus.subscribe().await;
    for _ in 0..10 {
        let mut leaves = bus.subscribe().await;
        let never_listened = bus.subscribe().await;
        let (connections, events) = some_events(5);
        bus.publish(events).await;
        hear_all(&mut leaves, connections.clone()).await;
        drop((leaves, never_listened));
        hear_all(&mut stays, connections).await;
    }
}

/// Every worker publishes.
pub async fn many_publish_at_once_and_all_is_heard(bus: Arc<dyn EventBus>) {
    let mut ears = bus.subscribe().await;
    let batches: Vec<_> = (0..20).map(|_| some_events(10)).collect();
    futures::future::join_all(batches.iter().map(|(_, events)| bus.publish(events.clone()))).await;
    let all = batches.into_iter().flat_map(|(connections, _)| connections).collect();
    hear_all(&mut ears, all).await;
}

/// It misses events and knows it; publishers and other subscribers do not wait for it.
pub async fn a_slow_subscriber_hears_a_gap_and_blocks_nobody(bus: Arc<dyn EventBus>) {
    const BATCHES: usize = 100;
    const BATCH: usize = 1_000;
    /// How long to listen for the end before it is announced again: an event may be lost.
    const PAUSE: Duration = Duration::from_millis(250);
    let mut slow = bus.subscribe().await;
    let mut quick = bus.subscribe().await;
    let mut listening =
        tokio::spawn(async move { while !matches!(next(&mut quick).await, Heard::Event(Event::App { .. })) {} });
    for _ in 0..BATCHES {
        let events = vec![event_about(ConnectionId::generate()); BATCH];
        soon("a publication that a slow subscriber must not block", bus.publish(events)).await;
    }
    let provider = "amazon-na".parse().expect("a well-formed provider name");
    let end = Event::App { provider, state: AppState::Open };
    let (mut heard, mut gaps) = (0, 0);
    bus.publish(vec![end.clone()]).await;
    loop {
        match tokio::time::timeout(PAUSE, slow.next()).await {
            Ok(Some(Heard::Event(event))) if event == end => break,
            Ok(Some(Heard::Event(_))) => heard += 1,
            Ok(Some(Heard::Gap)) => gaps += 1,
            Ok(None) => panic!("a slow subscriber's stream ended; it should have gone on behind a gap"),
            Err(_) => bus.publish(vec![end.clone()]).await,
        }
    }
    assert!(heard == BATCHES * BATCH || gaps > 0, "{heard} events were heard, the others lost without a gap");
    let listened = loop {
        match tokio::time::timeout(PAUSE, &mut listening).await {
            Ok(listened) => break listened,
            Err(_) => bus.publish(vec![end.clone()]).await,
        }
    };
    listened.expect("the quick subscriber heard the end");
}
