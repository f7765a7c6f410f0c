//! The network goes away and comes back.

use std::collections::HashSet;
use std::time::Duration;

use evergrant_cluster::broker::{BrokerOptions, LinkStatus};
use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{EventBus, Heard, JobQueue, QueueError};
use evergrant_contract::secret::Secret;
use evergrant_testkit::proxy::CuttableProxy;
use lapin::uri::AMQPUri;

use crate::events::{next, refreshed};
use crate::support::{Hands, Place, Working, connect, due, force, ids, many, soon, until, until_depth};

/// A wire to the broker that can be cut.
struct Wire {
    proxy: CuttableProxy,
    url: String,
}

impl Wire {
    async fn whole(place: &Place) -> Self {
        let mut uri: AMQPUri = place.url.parse().unwrap();
        let proxy = CuttableProxy::start(format!("{}:{}", uri.authority.host, uri.authority.port)).await.unwrap();
        (uri.authority.host, uri.authority.port) = (proxy.addr().ip().to_string(), proxy.addr().port());
        Self { proxy, url: uri.to_string() }
    }

    async fn broken(place: &Place) -> Self {
        let wire = Self::whole(place).await;
        wire.cut();
        wire
    }

    /// Ends every connection and takes no new ones.
    fn cut(&self) {
        self.proxy.refuse(true);
        self.proxy.cut();
    }

    fn mend(&self) {
        self.proxy.refuse(false);
    }

    fn options(&self, place: &Place) -> BrokerOptions {
        BrokerOptions { url: Secret::new(self.url.clone()), ..place.options() }
    }
}

#[tokio::test]
async fn a_broker_that_comes_later_is_found() {
    let Some(place) = Place::new() else { return };
    let wire = Wire::broken(&place).await;
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
    let wire = Wire::whole(&place).await;
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

#[tokio::test]
async fn a_connection_that_falls_silent_is_given_up() {
    let Some(place) = Place::new() else { return };
    let wire = Wire::whole(&place).await;
    let options = BrokerOptions { heartbeat_secs: 1, ..wire.options(&place) };
    let broker = connect(options).await.unwrap();
    let job = due();
    broker.queue().publish(vec![job.clone()]).await.unwrap();
    wire.proxy.freeze();
    until(async || !broker.status().consume.is_up() && !broker.status().publish.is_up()).await;
    wire.proxy.cut();
    wire.proxy.thaw();
    let (hands, mut told) = Hands::quick();
    let working = Working::start(&broker, JobKind::RefreshDue, 1, hands);
    assert_eq!(soon(told.recv()).await.unwrap(), job);
    working.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_in_the_middle_lose_nothing() {
    let Some(place) = Place::new() else { return };
    let wire = Wire::whole(&place).await;
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
    let wire = Wire::whole(&place).await;
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
    let wire = Wire::whole(&place).await;
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
    let wire = Wire::broken(&place).await;
    let options = BrokerOptions { start_timeout: Duration::from_millis(10), ..wire.options(&place) };
    let (speaker, listener) = (connect(options).await.unwrap(), place.broker().await);
    let mut heard = listener.events().subscribe().await;
    let event = refreshed();
    soon(speaker.events().publish(vec![event.clone()])).await;
    wire.mend();
    assert_eq!(next(&mut heard).await, Heard::Event(event));
}
