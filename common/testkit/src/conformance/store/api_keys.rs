//! The keys of services.

use std::sync::Arc;

use chrono::TimeDelta;
use evergrant_contract::ids::ApiKeyId;
use evergrant_contract::people::{ApiKey, Scope};
use evergrant_contract::ports::{Clock as _, Store};

use super::people::user_id;
use super::steps::{at_once, secs};
use crate::ManualClock;

/// A key for everything of everybody that never expires.
fn new_key(name: &str, clock: &ManualClock) -> ApiKey {
    ApiKey {
        id: ApiKeyId::generate(),
        name: name.into(),
        digest: [7; 32],
        scopes: Scope::ALL.to_vec(),
        user: None,
        created_at: clock.now(),
        expires_at: None,
        used_at: None,
        revoked_at: None,
    }
}

async fn keep(store: &dyn Store, key: &ApiKey) -> bool {
    store.keep_api_key(key).await.expect("a working store keeps API keys")
}

async fn find(store: &dyn Store, id: ApiKeyId) -> Option<ApiKey> {
    store.api_key(id).await.expect("a working store finds API keys")
}

/// Whole: every byte of the digest, scopes in their order, times to the millisecond.
pub async fn a_key_is_found_as_it_was_kept(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let mut digest = [0; 32];
    digest[1..].copy_from_slice(&std::array::from_fn::<u8, 31, _>(|n| 0xff - u8::try_from(n).expect("it is below 31")));
    let at = |millis: i64| clock.now() + TimeDelta::milliseconds(millis);
    let odd = ApiKey {
        digest,
        scopes: vec![Scope::TokensRefresh, Scope::ConnectionsRead],
        user: Some(user_id("usér '1'; --")),
        created_at: at(1),
        expires_at: Some(at(86_400_999)),
        used_at: Some(at(2)),
        ..new_key("Zoë's \"key\" 🦀", &clock)
    };
    let bare = ApiKey { scopes: Vec::new(), ..new_key("bare", &clock) };
    for key in [new_key("plain", &clock), odd, bare] {
        assert!(keep(&*store, &key).await);
        assert_eq!(find(&*store, key.id).await, Some(key));
    }
    assert_eq!(find(&*store, ApiKeyId::generate()).await, None);
}

/// A name means one key that works; a revoked key leaves it to its successor. Case counts: it is a name, not an address.
pub async fn a_name_belongs_to_one_key_that_is_not_revoked(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (first, second) = (new_key("reports", &clock), new_key("reports", &clock));
    assert!(keep(&*store, &first).await);
    assert!(!keep(&*store, &second).await, "the name is taken");
    assert_eq!(find(&*store, second.id).await, None, "nothing was written");
    assert!(keep(&*store, &new_key("Reports", &clock)).await);

    let now = clock.now() + secs(1);
    assert!(store.revoke_api_key(first.id, now).await.expect("a working store revokes"));
    assert!(keep(&*store, &second).await, "the name is free again");
    assert_eq!(find(&*store, first.id).await, Some(ApiKey { revoked_at: Some(now), ..first }));
    assert!(!keep(&*store, &new_key("reports", &clock)).await, "the name is taken again");
}

/// Two operators at once do not make two keys of one name.
pub async fn one_of_fifty_callers_gets_a_name(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let kept = at_once(50, |_| {
        let (store, key) = (Arc::clone(&store), new_key("reports", &clock));
        async move { keep(&*store, &key).await }
    })
    .await;
    assert_eq!(kept.into_iter().filter(|kept| *kept).count(), 1);
    assert_eq!(store.api_keys().await.expect("a working store lists API keys").len(), 1);
}

/// Revoked ones too, so that an operator sees what was.
pub async fn keys_are_listed_newest_first(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let list = async || store.api_keys().await.expect("a working store lists API keys");
    assert_eq!(list().await, []);
    let [oldest, newest, middle] = [("a", -5), ("b", 5), ("c", 0)].map(|(name, age)| {
        let created_at = clock.now() + TimeDelta::milliseconds(age);
        ApiKey { created_at, ..new_key(name, &clock) }
    });
    for key in [&oldest, &newest, &middle] {
        assert!(keep(&*store, key).await);
    }
    let now = clock.now() + secs(1);
    assert!(store.revoke_api_key(middle.id, now).await.expect("a working store revokes"));
    assert_eq!(list().await, [newest, ApiKey { revoked_at: Some(now), ..middle }, oldest]);
}

/// The first time stays; so an audit can rely on it.
pub async fn a_key_is_revoked_once(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (key, other) = (new_key("key", &clock), new_key("other", &clock));
    for key in [&key, &other] {
        assert!(keep(&*store, key).await);
    }
    let now = clock.now() + TimeDelta::milliseconds(123);
    let revoke = async |id, now| store.revoke_api_key(id, now).await.expect("a working store revokes");
    assert!(revoke(key.id, now).await);
    assert!(!revoke(key.id, now + secs(1)).await, "it was revoked already");
    assert_eq!(find(&*store, key.id).await, Some(ApiKey { revoked_at: Some(now), ..key }));
    assert_eq!(find(&*store, other.id).await, Some(other), "the other one is as it was");
    assert!(!revoke(ApiKeyId::generate(), now).await, "there is none");
}

/// The latest use; notes that come late or cross each other never turn it back.
pub async fn the_latest_use_of_a_key_is_noted(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (key, other) = (new_key("key", &clock), new_key("other", &clock));
    for key in [&key, &other] {
        assert!(keep(&*store, key).await);
    }
    let used = async |id, at| store.api_key_used(id, at).await.expect("a working store notes uses");
    let at = |seconds: i64| clock.now() + TimeDelta::milliseconds(1) + secs(seconds);
    for (noted, expected) in [(60, 60), (180, 180), (120, 180)] {
        used(key.id, at(noted)).await;
        assert_eq!(find(&*store, key.id).await, Some(ApiKey { used_at: Some(at(expected)), ..key.clone() }));
    }
    assert_eq!(find(&*store, other.id).await, Some(other));
    used(ApiKeyId::generate(), at(0)).await;
}
