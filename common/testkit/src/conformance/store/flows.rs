//! Consents under way.

use std::sync::Arc;

use chrono::TimeDelta;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::people::{Flow, FlowPurpose};
use evergrant_contract::ports::{Clock as _, Store};

use super::people::user_id;
use super::steps::{app, at_once, secs};
use crate::ManualClock;

/// A consent of ten minutes whose state is made of this byte.
fn flow(state: u8, clock: &ManualClock) -> Flow {
    Flow {
        state: [state; 32],
        purpose: FlowPurpose::SignIn,
        provider: app(),
        redirect_uri: "https://app.example/callback".into(),
        return_to: "/settings".into(),
        expires_at: clock.now() + secs(600),
    }
}

async fn keep(store: &dyn Store, flow: &Flow, now: Timestamp) {
    store.keep_flow(flow, now).await.expect("a working store keeps consents under way");
}

async fn take(store: &dyn Store, state: [u8; 32], now: Timestamp) -> Option<Flow> {
    store.take_flow(&state, now).await.expect("a working store gives consents under way")
}

/// Whole, for every purpose, by whichever process the browser comes back to; a second time it is replayed, and refused.
pub async fn a_flow_is_taken_once_as_it_was_kept(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let purposes = [
        FlowPurpose::SignIn,
        FlowPurpose::Connect { user: user_id("usér '1'") },
        FlowPurpose::Reconnect { user: user_id("user"), connection: ConnectionId::generate() },
    ];
    let flows: Vec<Flow> = purposes
        .into_iter()
        .zip([0, 0x27, 0xff])
        .map(|(purpose, state)| Flow {
            purpose,
            redirect_uri: "https://app.example/callback?a=b&ü='".into(),
            return_to: String::new(),
            expires_at: clock.now() + TimeDelta::milliseconds(600_001),
            ..flow(state, &clock)
        })
        .collect();
    for flow in &flows {
        keep(&*store, flow, clock.now()).await;
    }
    assert_eq!(take(&*store, [1; 32], clock.now()).await, None, "nobody was sent away with this state");
    for flow in flows {
        assert_eq!(take(&*store, flow.state, clock.now()).await.as_ref(), Some(&flow));
        assert_eq!(take(&*store, flow.state, clock.now()).await, None, "it was taken");
    }
}

/// The same answer comes twice when a person clicks twice, or when somebody has stolen it.
pub async fn one_of_fifty_callers_takes_a_flow(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for round in 0..5 {
        let (kept, now) = (flow(round, &clock), clock.now());
        keep(&*store, &kept, now).await;
        let state = kept.state;
        let answers = at_once(50, |_| {
            let store = Arc::clone(&store);
            async move { take(&*store, state, now).await }
        })
        .await;
        assert_eq!(answers.into_iter().flatten().collect::<Vec<_>>(), [kept], "round {round}");
    }
}

/// To the millisecond: at the very end it is over.
pub async fn a_flow_that_has_expired_is_not_taken(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for (state, last, taken) in [(1, 1, true), (2, 0, false), (3, -1, false)] {
        let flow = flow(state, &clock);
        keep(&*store, &flow, clock.now()).await;
        let now = flow.expires_at - TimeDelta::milliseconds(last);
        assert_eq!(take(&*store, flow.state, now).await.is_some(), taken, "{last} ms before its end");
    }
}

/// Nobody comes back for them, and the next consent sweeps them out; those that can be answered stay.
pub async fn keeping_a_flow_forgets_expired_ones(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (now, old) = (clock.now(), flow(1, &clock));
    let open = Flow { expires_at: now + secs(2000), ..flow(2, &clock) };
    for flow in [&old, &open] {
        keep(&*store, flow, now).await;
    }
    let late = old.expires_at + TimeDelta::milliseconds(1);
    keep(&*store, &Flow { expires_at: late + secs(600), ..flow(3, &clock) }, late).await;
    assert_eq!(take(&*store, old.state, now).await, None, "it is gone even for a clock that is behind");
    assert_eq!(take(&*store, open.state, late).await, Some(open));
    assert!(take(&*store, [3; 32], late).await.is_some());
}

/// Where nobody consents any more, nobody keeps a new one either.
pub async fn forgetting_spares_flows_that_can_be_answered(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (now, old) = (clock.now(), flow(1, &clock));
    let open = Flow { expires_at: now + secs(2000), ..flow(2, &clock) };
    for flow in [&old, &open] {
        keep(&*store, flow, now).await;
    }
    let forget = async |before| store.forget_before(before).await.expect("a working store forgets");
    assert_eq!(forget(old.expires_at).await, 0, "it has not expired before that time");
    assert_eq!(forget(old.expires_at + TimeDelta::milliseconds(1)).await, 1);
    assert_eq!(take(&*store, old.state, now).await, None);
    assert_eq!(take(&*store, open.state, now).await, Some(open));
}
