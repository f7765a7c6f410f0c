//! Tokens that come as the test says, and a client that uses them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use evergrant_amc::{Client, ClientSettings, Held, Target, TokenError, Tokens};
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::secret::Secret;
use evergrant_testkit::ManualClock;
use url::Url;
use uuid::Uuid;

pub(crate) const CLIENT_ID: &str = "amzn1.application-oa2-client.simulated";

pub(crate) fn connection() -> ConnectionId {
    Uuid::from_u128(7).into()
}

/// A token of this version for the API at this address.
pub(crate) fn held(api_url: &Url, token: &str, version: i64) -> Held {
    let provider = "amazon-na".parse().unwrap();
    let target = Target { provider, api_url: api_url.clone(), client_id: CLIENT_ID.to_owned() };
    Held { token: Secret::new(token), version: Version::new(version), expires_at: Timestamp::MAX_UTC, target }
}

/// Tokens in the order in which they are given out: the first at once, the others each time one is refused.
#[derive(Default)]
pub(crate) struct Script {
    first: Mutex<Option<Result<Held, TokenError>>>,
    newer: Mutex<VecDeque<Result<Held, TokenError>>>,
    refused: Mutex<Vec<i64>>,
}

impl Script {
    pub(crate) fn new(
        first: Result<Held, TokenError>,
        newer: impl IntoIterator<Item = Result<Held, TokenError>>,
    ) -> Arc<Self> {
        let (first, newer) = (Mutex::new(Some(first)), Mutex::new(newer.into_iter().collect()));
        Arc::new(Self { first, newer, refused: Mutex::default() })
    }

    /// The versions that were refused, in order.
    pub(crate) fn refused(&self) -> Vec<i64> {
        self.refused.lock().unwrap().clone()
    }
}

#[async_trait]
impl Tokens for Script {
    async fn token(&self, _: ConnectionId, min_validity: Duration) -> Result<Held, TokenError> {
        assert_eq!(min_validity, Duration::from_mins(1));
        self.first.lock().unwrap().clone().expect("a script has a first token")
    }

    async fn refused(&self, asked: ConnectionId, observed: Version) -> Result<Held, TokenError> {
        assert_eq!(asked, connection());
        self.refused.lock().unwrap().push(observed.number());
        self.newer.lock().unwrap().pop_front().expect("one refusal more than the script has tokens for")
    }
}

/// A client whose clock stands still.
pub(crate) fn client(tokens: &Arc<Script>) -> (Client, Arc<ManualClock>) {
    client_with(tokens, |_| {})
}

pub(crate) fn client_with(
    tokens: &Arc<Script>,
    change: impl FnOnce(&mut ClientSettings),
) -> (Client, Arc<ManualClock>) {
    let clock = ManualClock::new();
    let mut settings = ClientSettings::new(Arc::clone(&clock) as _);
    change(&mut settings);
    (Client::new(Arc::clone(tokens) as _, settings).unwrap(), clock)
}

/// Returns when somebody sleeps who will wake after exactly this long.
pub(crate) async fn until_pause(clock: &ManualClock, pause: Duration) {
    let waiting = async {
        while clock.next_wake() != Some(pause) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("nobody sleeps for this long");
}
