//! Users, sessions, consents and keys where PostgreSQL's own ways show.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ids::{ApiKeyId, SessionId};
use evergrant_contract::people::{ApiKey, Flow, FlowPurpose, Saved, Scope, SessionEnd, User, UserKey};
use evergrant_contract::ports::{ApiKeys as _, Sessions as _, StoreError, Users as _};
use evergrant_contract::timing::{after, before};
use futures::future::join_all;
use sqlx::Connection as _;

use crate::database::{Database, keyring};
use crate::steps::{HOUR, new_session, new_user, noon, saved};

/// One person in two tabs, before two processes. Which index the second writer runs into depends on the order in which the
/// indexes were made; after this one was rebuilt, the address comes first, and nobody else has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_made_many_times_at_once_is_in_nobodys_way() {
    let Some(database) = Database::fresh().await else { return };
    database.execute("REINDEX INDEX CONCURRENTLY users_pkey").await;
    let stores = [Arc::new(database.store(keyring()).await), Arc::new(database.store(keyring()).await)];
    for round in 0..20 {
        let user = new_user(&format!("user-{round}"));
        let callers = (0..12).map(|caller| {
            let (store, user) = (Arc::clone(&stores[caller % 2]), user.clone());
            tokio::spawn(async move { store.save_user(&user).await.unwrap() })
        });
        for answer in join_all(callers).await {
            assert_eq!(answer.unwrap(), Saved::Done);
        }
        assert_eq!(stores[0].user(UserKey::Email(&user.email)).await.unwrap(), Some(user));
    }
}

/// Whatever PostgreSQL notices first, the answer does not depend on it.
#[tokio::test]
async fn who_takes_both_is_told_of_the_address() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    let ann = new_user("ann");
    assert_eq!(store.save_user(&ann).await.unwrap(), Saved::Done);
    let both = User { id: "bob".parse().unwrap(), ..ann.clone() };
    for _ in 0..2 {
        assert_eq!(store.save_user(&both).await.unwrap(), Saved::EmailTaken);
        database.execute("REINDEX INDEX CONCURRENTLY users_email_key_key").await;
    }
    assert_eq!(store.users(None, 10).await.unwrap(), [ann]);
}

/// PostgreSQL has no NUL in its text; whoever sends one is found by it all the same.
#[tokio::test]
async fn a_nul_in_an_address_is_replaced() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    let odd = User { email: "A\0@example.com".into(), account: "a\0".into(), ..new_user("odd") };
    assert_eq!(store.save_user(&odd).await.unwrap(), Saved::Done);
    let kept = User { email: "A\u{fffd}@example.com".into(), account: "a\u{fffd}".into(), ..odd.clone() };
    for key in [UserKey::Email("a\0@EXAMPLE.com"), UserKey::Account("a\0")] {
        assert_eq!(store.user(key).await.unwrap(), Some(kept.clone()));
    }
    assert_eq!(store.save_user(&User { id: "other".parse().unwrap(), ..odd }).await.unwrap(), Saved::EmailTaken);
}

/// Whoever signs in does not wait for the housekeeping of others.
#[tokio::test]
async fn keeping_a_flow_waits_for_nobody() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    let flow = |state, expires_at| Flow {
        state: [state; 32],
        purpose: FlowPurpose::SignIn,
        provider: "amazon-na".parse().unwrap(),
        redirect_uri: "https://app.example/callback".into(),
        return_to: String::new(),
        expires_at,
    };
    let long_ago = before(noon(), HOUR);
    store.keep_flow(&flow(1, long_ago), before(long_ago, HOUR)).await.unwrap();
    let mut other = database.connection().await;
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("SELECT FROM flows FOR UPDATE").execute(&mut *transaction).await.unwrap();
    let kept = flow(2, after(noon(), HOUR));
    let keeping = store.keep_flow(&kept, noon());
    tokio::time::timeout(Duration::from_secs(10), keeping).await.expect("it waits for a lock").unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(store.take_flow(&kept.state, noon()).await.unwrap(), Some(kept));
}

/// What should not be there is named by its place, never by its content.
#[tokio::test]
async fn a_corrupt_row_of_a_person_is_named() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    let session = new_session(&saved(&store, new_user("user")).await);
    store.open_session(&session).await.unwrap();
    assert!(store.end_session(session.id, SessionEnd::SignedOut, noon()).await.unwrap());
    let key = ApiKey {
        id: ApiKeyId::generate(),
        name: "key".into(),
        digest: [7; 32],
        scopes: Scope::ALL.to_vec(),
        user: None,
        created_at: noon(),
        expires_at: None,
        used_at: None,
        revoked_at: None,
    };
    assert!(store.keep_api_key(&key).await.unwrap());
    let state = [7; 32];
    database
        .execute(
            "UPDATE sessions SET end_reason = 'boredom';
             UPDATE api_keys SET scopes = '{everything}';
             INSERT INTO flows VALUES (decode(repeat('07', 32), 'hex'), '{\"for\": \"fun\"}', 'amazon-na', '', '', '3000-01-01')",
        )
        .await;
    let place = |error: StoreError| match error {
        StoreError::Corrupt { table, column, row, problem } => {
            assert!(!problem.contains("fun"), "{problem}");
            (table, column, row)
        }
        error => panic!("the row is corrupt, the answer is {error}"),
    };
    let row: SessionId = session.id;
    assert_eq!(place(store.session(row).await.unwrap_err()), ("sessions", "end_reason", row.to_string()));
    assert_eq!(place(store.api_key(key.id).await.unwrap_err()), ("api_keys", "scopes", key.id.to_string()));
    assert_eq!(place(store.take_flow(&state, noon()).await.unwrap_err()), ("flows", "purpose", "07".repeat(32)));
}
