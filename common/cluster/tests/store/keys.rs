//! Keys that come and go.

use evergrant_cluster::PgStore;
use evergrant_contract::connection::{IfPresent, LeaseRequest, Leased, Settled, Settlement};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::{Connections as _, Leases as _, Offices as _};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::transition::{Change, Standing};
use evergrant_vault::Keyring;
use sqlx::Row as _;

use crate::database::Database;
use crate::steps::{connect, given_back, hold, new_connection, noon, refreshed, request};

/// Keyrings of the keys with these numbers, the first of which encrypts.
pub(crate) struct Keys(Vec<Secret>);

impl Keys {
    pub(crate) fn new(keys: usize) -> Self {
        Self((0..keys).map(|_| Keyring::generate_key()).collect())
    }

    pub(crate) fn ring(&self, numbers: &[usize]) -> Keyring {
        let texts: Vec<_> = numbers.iter().map(|number| self.0[*number].expose()).collect();
        Keyring::parse(&Secret::new(texts.join(","))).unwrap()
    }

    fn fingerprint(&self, number: usize) -> String {
        self.ring(&[number]).primary().as_str().to_owned()
    }
}

/// The refresh token, if the lease of the version brings it.
async fn refresh_token(store: &PgStore, id: ConnectionId, version: i64) -> Option<String> {
    match store.acquire(LeaseRequest { version: Version::new(version), ..request(id) }).await.unwrap() {
        Leased::Held(grant) => {
            store.settle(given_back(grant.lease)).await.unwrap();
            Some(grant.refresh_token.expose().to_owned())
        }
        _ => None,
    }
}

/// A refresh token that the provider did not replace moves to the new key with its row, so that the old key can go.
#[tokio::test]
async fn a_refresh_brings_the_whole_row_to_the_key_that_encrypts() {
    let Some(database) = Database::fresh().await else { return };
    let keys = Keys::new(2);
    let before = database.store(keys.ring(&[0])).await;
    let ids = connect(&before, 2).await;
    let during = database.store(keys.ring(&[1, 0])).await;
    assert_eq!(during.keys_in_use().await.unwrap(), [(keys.fingerprint(0), 2)]);

    let lease = hold(&during, request(ids[0])).await.lease;
    during.settle(refreshed(lease, "Atza|new", None)).await.unwrap();
    assert_eq!(during.find(ids[0]).await.unwrap().unwrap().key, Some(keys.fingerprint(1)));

    // An answer that could not be used is under the new key as well, and takes the stored tokens along.
    let lease = hold(&during, request(ids[1])).await.lease;
    let unread = Settlement { unread_answer: Some(Secret::new("{}")), ..given_back(lease) };
    assert_eq!(during.settle(unread).await.unwrap(), Settled::Written(Version::FIRST));
    assert_eq!(during.keys_in_use().await.unwrap(), [(keys.fingerprint(1), 2)]);

    let after = database.store(keys.ring(&[1])).await;
    assert_eq!(refresh_token(&after, ids[0], 2).await.as_deref(), Some("Atzr|user-0"));
    assert_eq!(refresh_token(&after, ids[1], 1).await.as_deref(), Some("Atzr|user-1"));
    let access_token = async |id| after.access_token(id).await.unwrap().map(|held| held.token.expose().to_owned());
    assert_eq!(access_token(ids[0]).await.as_deref(), Some("Atza|new"));
    assert_eq!(access_token(ids[1]).await.as_deref(), Some("Atza|user-1"));
}

/// The new access token is kept, the refresh token is not lost, and the row still names the key that it takes to spend it.
#[tokio::test]
async fn a_writer_without_the_key_of_a_row_leaves_its_refresh_token_alone() {
    let Some(database) = Database::fresh().await else { return };
    let keys = Keys::new(2);
    let owner = database.store(keys.ring(&[0])).await;
    let id = connect(&owner, 1).await[0];
    let lease = hold(&owner, request(id)).await.lease;
    let stranger = database.store(keys.ring(&[1])).await;
    assert_eq!(stranger.settle(refreshed(lease, "Atza|new", None)).await.unwrap(), Settled::Written(Version::new(2)));
    assert_eq!(stranger.access_token(id).await.unwrap().unwrap().token.expose(), "Atza|new");
    assert_eq!(owner.find(id).await.unwrap().unwrap().key, Some(keys.fingerprint(0)));
    assert_eq!(refresh_token(&owner, id, 2).await.as_deref(), Some("Atzr|user-0"));
}

/// The lease is held, so that one worker quarantines the row; giving the key back restores it.
#[tokio::test]
async fn a_lost_key_quarantines_and_its_return_restores() {
    let Some(database) = Database::fresh().await else { return };
    let keys = Keys::new(2);
    let owner = database.store(keys.ring(&[0])).await;
    let id = connect(&owner, 1).await[0];
    let stranger = database.store(keys.ring(&[1])).await;
    let Leased::Unspendable { lease, reason, .. } = stranger.acquire(request(id)).await.unwrap() else {
        panic!("no key of the keyring opens it");
    };
    assert_eq!(reason, Reason::Undecryptable);
    assert!(matches!(owner.acquire(request(id)).await.unwrap(), Leased::Busy));
    let standing = Standing { state: State::NeedsReauth, failures: 0, suspicions: 0 };
    let change = Change { standing, reason: Some(reason), refresh_at: None, gives_up: false };
    let quarantine = Settlement { change: Some(change), last_error: Some("no key".into()), ..given_back(lease) };
    assert_eq!(stranger.settle(quarantine).await.unwrap(), Settled::Written(Version::FIRST));
    assert!(owner.access_token(id).await.unwrap().is_none(), "out of use, whoever asks");

    assert_eq!(stranger.restore_decryptable(noon()).await.unwrap(), 0);
    assert_eq!(owner.restore_decryptable(noon()).await.unwrap(), 1);
    assert_eq!(owner.restore_decryptable(noon()).await.unwrap(), 0);
    let row = owner.find(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.reason, row.refresh_at, row.last_error), (State::Active, None, Some(noon()), None));
    assert_eq!(refresh_token(&owner, id, 1).await.as_deref(), Some("Atzr|user-0"));
}

/// Nobody is given another user's token, not even by an accident in the database.
#[tokio::test]
async fn a_ciphertext_in_the_wrong_row_does_not_open() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(Keys::new(1).ring(&[0])).await;
    let ids = connect(&store, 2).await;
    database
        .execute(
            "UPDATE tokens t SET access_token = o.access_token, refresh_token = o.refresh_token
             FROM tokens o WHERE o.connection_id <> t.connection_id",
        )
        .await;
    for id in ids {
        let answer = store.acquire(request(id)).await.unwrap();
        assert!(matches!(answer, Leased::Unspendable { reason: Reason::Undecryptable, .. }));
        assert!(store.access_token(id).await.unwrap().is_none());
    }
}

/// A dump of the database shows no token.
#[tokio::test]
async fn no_plaintext_is_stored() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(Keys::new(1).ring(&[0])).await;
    let id = connect(&store, 1).await[0];
    store.put(vec![new_connection("user-0")], IfPresent::Replace).await.unwrap();
    let lease = hold(&store, LeaseRequest { version: Version::new(2), ..request(id) }).await.lease;
    let unread = Settlement { unread_answer: Some(Secret::new("Atza|unread")), ..given_back(lease) };
    store.settle(unread).await.unwrap();
    let mut connection = database.connection().await;
    for table in ["connections", "schedules", "tokens", "attempts", "failed_jobs"] {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT r::text FROM {table} r")));
        for row in rows.fetch_all(&mut connection).await.unwrap() {
            let text: String = row.get(0);
            assert!(!text.contains("Atz"), "{table}: {text}");
        }
    }
}
