//! What waiting cannot heal is said at the start.

use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{JobQueue, QueueError};
use evergrant_contract::secret::Secret;

use crate::support::{Place, connect, due, many, until};

#[tokio::test]
async fn other_arguments_are_refused_with_the_name_of_the_queue() {
    let Some(place) = Place::new() else { return };
    place.broker().await.close().await;
    let mut options = place.options();
    options.refresh_due_max_length = 7;
    let refused = connect(options).await.err().unwrap();
    let text = refused.to_string();
    assert!(matches!(refused, QueueError::Refused(_)), "{text}");
    assert!(text.contains(&place.topology().queue(JobKind::RefreshDue)) && text.contains("x-max-length"), "{text}");
    assert!(text.contains("another namespace"), "{text}");
}

#[tokio::test]
async fn a_refused_login_is_said_at_once_and_without_the_password() {
    let Some(place) = Place::new() else { return };
    let mut url: lapin::uri::AMQPUri = place.url.parse().unwrap();
    url.authority.userinfo.password = "hunter2".into();
    let mut options = place.options();
    options.url = Secret::new(url.to_string());
    let text = match connect(options).await.err().unwrap() {
        QueueError::Refused(text) => text,
        other => panic!("{other}"),
    };
    assert!(text.contains("ACCESS_REFUSED") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_full_queue_says_so() {
    let Some(place) = Place::new() else { return };
    let mut options = place.options();
    options.force_refresh_max_length = 5;
    let broker = connect(options).await.unwrap();
    let queue = broker.queue();
    // The limit is soft: the broker counts behind what it takes.
    until(async || matches!(queue.publish(many(50, crate::support::force)).await, Err(QueueError::Full))).await;
    queue.publish(vec![due()]).await.unwrap();
}

#[tokio::test]
async fn a_check_counts_every_queue() {
    let Some(place) = Place::new() else { return };
    let broker = place.broker().await;
    assert!(broker.status().is_ready(), "{:?}", broker.status());
    broker.queue().publish(many(2, due)).await.unwrap();
    until(async || {
        let reports = broker.check().await.unwrap();
        let counts: Vec<_> = reports.iter().map(|report| (report.waiting, report.consumers)).collect();
        counts == [(2, 0), (0, 0), (0, 0)]
    })
    .await;
    broker.close().await;
    assert!(!broker.status().is_ready());
    assert!(matches!(broker.queue().publish(vec![due()]).await, Err(QueueError::Unavailable(_))));
}
