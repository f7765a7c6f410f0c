//! The network goes away and comes back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use evergrant_cluster::broker::{BrokerOptions, LinkStatus};
use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{EventBus, Heard, JobQueue, QueueError};
use evergrant_contract::secret::Secret;
use lapin::uri::AMQPUri;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::events::{next, refreshed};
use crate::support::{Hands, Place, Working, connect, due, force, ids, many, soon, until, until_depth};

/// A wire to the broker that can be cut.
struct Wire {
    whole: watch::Sender<bool>,
    url: String,
}

impl Wire {
    async fn to(place: &Place, whole: bool) -> Arc<Self> {
        let mut uri: AMQPUri = place.url.parse().unwrap();
        let far = (uri.authority.host.clone(), uri.authority.port);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        uri.authority.port = listener.local_addr().unwrap().port();
        uri.authority.host = "127.0.0.1".into();
        let wire = Arc::new(Self { whole: watch::Sender::new(whole), url: uri.to_string() });
        let whole = wire.whole.subscribe();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (far, mut whole) = (far.clone(), whole.clone());
                tokio::spawn(async move {
                    if *whole.borrow_and_update() {
                        let mut far = TcpStream::connect(far).await.unwrap();
                        tokio::select! {
                            _ = copy_bidirectional(&mut near, &mut far) => {}
                            _ = whole.wait_for(|whole| !whole) => {}
                        }
                    }
                });
            }
        });
        wire
    }

    fn cut(&self) {
        self.whole.send_replace(false);
    }

    fn mend(&self) {
        self.whole.send_replace(true);
    }

    fn options(&self, place: &Place) -> BrokerOptions {
        BrokerOptions { url: Secret::new(self.url.clone()), ..place.options() }
    }
}

#[tokio::test]
async fn a_broker_that_comes_later_is_found() {
    let Some(place) = Place::new() else { return };
    let wire = Wire::to(&place, false).await;
    let options = BrokerOptions { start_timeout: Duration::from_millis(10), ..wire.options(&place) };
    let broker = connect(options).await.unwrap();
    assert!(matches!(broker.status().consume, LinkStatus::Down(_)));
    let (hands, mut told) = Hands::quick();
    let working = Working::start(&broker, JobKind::RefreshDue, 2, hands);
    wire.mend();
    until(async || broker.queue().publish(vec![due()]).await.is_ok()).await;
    ids(&mut told, 1).await;
    working.stop().await;
}

#[tokio::test]
async fn publishing_without_a_broker_is_unavailable_in_time() {
    let Some(place) = Place::new() else { return };
    let wire = Wire::to(&place, true).await;
    let options = BrokerOptions { publish_timeout: Duration::from_millis(50), ..wire.options(&place) };
    let broker = connect(options).await.unwrap();
    broker.queue().publish(vec![due()]).await.unwrap();
    wire.cut();
    let refused = soon(broker.queue().publish(vec![due()])).await.err().unwrap();
    assert!(matches!(refused, QueueError::Unavailable(_)), "{refused}");
    until(async || !broker.status().publish.is_up()).await;
    assert!(matches!(broker.queue().depth(JobKind::RefreshDue).await, Err(QueueError::Unavailable(_))));
    wire.mend();
    until(async || broker.status().is_ready()).await;
    broker.queue().publish(vec![due()]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_in_the_middle_lose_nothing() {
    let Some(place) = Place::new() else { return };
    let wire = Wire::to(&place, true).await;
    let broker = connect(wire.options(&place)).await.unwrap();
    let jobs = many(3_000, due);
    let wanted: HashSet<_> = jobs.iter().map(|job| job.id).collect();
    let (hands, mut told) = Hands::slow(0);
    let working = Working::start(&broker, JobKind::RefreshDue, 50, hands.clone());
    let publishing = tokio::spawn({
        let queue = broker.queue();
        async move {
            for chunk in jobs.chunks(300) {
                while soon(queue.publish(chunk.to_vec())).await.is_err() {}
            }
        }
    });
    let mut done = HashSet::new();
    for _ in 0..3 {
        hands.ends.add_permits(300);
        while done.len() < 300 {
            done.insert(soon(told.recv()).await.unwrap().id);
        }
        wire.cut();
        until(async || !broker.status().consume.is_up()).await;
        wire.mend();
    }
    hands.ends.add_permits(100_000);
    soon(publishing).await.unwrap();
    while !wanted.is_subset(&done) {
        done.insert(soon(told.recv()).await.unwrap().id);
    }
    assert_eq!(done, wanted);
    until_depth(&broker, JobKind::RefreshDue, 0).await;
    working.stop().await;
    broker.close().await;
    until_depth(&place.broker().await, JobKind::RefreshDue, 0).await;
}

#[tokio::test]
async fn work_in_hand_goes_on_through_a_cut_and_its_job_comes_again() {
    let Some(place) = Place::new() else { return };
    let wire = Wire::to(&place, true).await;
    let broker = connect(wire.options(&place)).await.unwrap();
    let job = force();
    broker.queue().publish(vec![job.clone()]).await.unwrap();
    let (hands, mut told) = Hands::slow(0);
    let working = Working::start(&broker, JobKind::ForceRefresh, 2, hands.clone());
    assert_eq!(soon(told.recv()).await.unwrap(), job);
    wire.cut();
    until(async || !broker.status().consume.is_up()).await;
    wire.mend();
    assert_eq!(soon(told.recv()).await.unwrap(), job, "it was not acked, so it comes again");
    hands.ends.add_permits(2);
    working.stop().await;
    until_depth(&broker, JobKind::ForceRefresh, 0).await;
}

#[tokio::test]
async fn subscribers_are_told_of_the_gap_that_a_cut_makes() {
    let Some(place) = Place::new() else { return };
    let wire = Wire::to(&place, true).await;
    let broker = connect(wire.options(&place)).await.unwrap();
    let mut heard = broker.events().subscribe().await;
    wire.cut();
    until(async || !broker.status().events.is_up()).await;
    wire.mend();
    assert_eq!(next(&mut heard).await, Heard::Gap);
    let event = refreshed();
    broker.events().publish(vec![event.clone()]).await;
    assert_eq!(next(&mut heard).await, Heard::Event(event));
}

#[tokio::test]
async fn events_wait_for_a_broker_that_is_away() {
    let Some(place) = Place::new() else { return };
    let wire = Wire::to(&place, false).await;
    let options = BrokerOptions { start_timeout: Duration::from_millis(10), ..wire.options(&place) };
    let (speaker, listener) = (connect(options).await.unwrap(), place.broker().await);
    let mut heard = listener.events().subscribe().await;
    let event = refreshed();
    soon(speaker.events().publish(vec![event.clone()])).await;
    wire.mend();
    assert_eq!(next(&mut heard).await, Heard::Event(event));
}
