//! What only an event bus within a process must do.

use evergrant_contract::app::AppState;
use evergrant_contract::event::Event;
use evergrant_contract::ports::{EventBus, Heard};
use evergrant_embedded::LocalEvents;
use futures::StreamExt;

fn event(provider: &str) -> Event {
    Event::App { provider: provider.parse().unwrap(), state: AppState::Open }
}

#[tokio::test]
async fn a_subscriber_that_falls_behind_hears_a_gap_and_what_is_left() {
    let bus = LocalEvents::new(2);
    let mut heard = bus.subscribe().await;
    bus.publish(["a", "b", "c"].map(event).to_vec()).await;
    assert_eq!(heard.next().await, Some(Heard::Gap));
    assert_eq!(heard.next().await, Some(Heard::Event(event("b"))));
    assert_eq!(heard.next().await, Some(Heard::Event(event("c"))));
}

#[tokio::test]
async fn everybody_hears_what_comes_after_they_subscribed() {
    let bus = LocalEvents::default();
    bus.publish(vec![event("before")]).await;
    let (mut one, mut other) = (bus.subscribe().await, bus.subscribe().await);
    bus.publish(vec![event("a"), event("b")]).await;
    for heard in [&mut one, &mut other] {
        assert_eq!(heard.next().await, Some(Heard::Event(event("a"))));
        assert_eq!(heard.next().await, Some(Heard::Event(event("b"))));
    }
    drop(bus);
    assert_eq!(one.next().await, None, "a bus that is gone says no more");
}
