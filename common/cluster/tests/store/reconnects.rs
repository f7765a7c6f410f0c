//! A connection's account becomes known while somebody else puts connections.

use std::sync::Arc;

use evergrant_cluster::PgStore;
use evergrant_contract::connection::{IfPresent, NewConnection, Reconnected, Stored};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::{Connections as _, StoreError};
use evergrant_contract::secret::Secret;
use evergrant_testkit::conformance::eventually;
use sqlx::{Connection as _, PgConnection};

use crate::database::{Database, keyring};
use crate::steps::new_connection;

/// A connection of `user-0` whose account nobody knows yet.
fn nameless() -> NewConnection {
    NewConnection { account: String::new(), ..new_connection("user-0") }
}

async fn put_nameless(store: &PgStore) -> ConnectionId {
    match store.put(vec![nameless()], IfPresent::Keep).await.unwrap()[..] {
        [Stored::Inserted(id)] => id,
        ref other => panic!("a new connection was put, the answer is {other:?}"),
    }
}

async fn access_token(store: &PgStore, id: ConnectionId) -> String {
    store.access_token(id).await.unwrap().unwrap().token.expose().to_owned()
}

/// Until a statement of the store waits for a lock.
async fn somebody_waits(connection: &mut PgConnection) {
    let waiting = async || {
        let sql = "SELECT FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()";
        sqlx::query(sql).fetch_optional(&mut *connection).await.unwrap()
    };
    eventually("a statement that waits", waiting).await;
}

/// The row that was in an import's way goes out of it between two of its statements: no token comes to another connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_keeps_its_tokens_apart_while_an_account_becomes_known() {
    let Some(database) = Database::fresh().await else { return };
    let store = Arc::new(database.store(keyring()).await);
    let known = put_nameless(&store).await;
    database
        .execute(
            "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$;
             CREATE TRIGGER pause AFTER INSERT ON connections FOR EACH STATEMENT EXECUTE FUNCTION pause()",
        )
        .await;
    let mut gate = database.connection().await;
    sqlx::query("SELECT pg_advisory_lock(1)").execute(&mut gate).await.unwrap();
    let imported = vec![nameless(), new_connection("user-1"), new_connection("user-2")];
    let caller = Arc::clone(&store);
    let import = tokio::spawn(async move { caller.put(imported, IfPresent::Keep).await.unwrap() });
    somebody_waits(&mut gate).await;
    let consent = NewConnection { access_token: Some(Secret::new("Atza|consent")), ..new_connection("user-0") };
    assert_eq!(store.reconnect(known, consent).await.unwrap(), Reconnected::Done(Version::new(2)));
    sqlx::query("SELECT pg_advisory_unlock(1)").execute(&mut gate).await.unwrap();

    let stored = import.await.unwrap();
    assert_eq!(stored.len(), 3);
    for (n, stored) in stored.into_iter().enumerate() {
        let Stored::Inserted(id) = stored else { panic!("connection {n} is new after all, the answer is {stored:?}") };
        assert_eq!(access_token(&store, id).await, format!("Atza|user-{n}"));
        assert_eq!(store.find(id).await.unwrap().unwrap().user.as_str(), format!("user-{n}"));
    }
    assert_eq!(access_token(&store, known).await, "Atza|consent");
}

/// A consent of an account that nobody knows does not go to the connection of one that just became known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacing_consent_gives_way_when_the_account_becomes_known() {
    let Some(database) = Database::fresh().await else { return };
    let store = Arc::new(database.store(keyring()).await);
    let id = put_nameless(&store).await;
    let mut other = database.connection().await;
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("SELECT FROM schedules FOR NO KEY UPDATE").execute(&mut *transaction).await.unwrap();
    let caller = Arc::clone(&store);
    let consent = NewConnection { access_token: Some(Secret::new("Atza|consent")), ..nameless() };
    let replace = tokio::spawn(async move { caller.put(vec![consent], IfPresent::Replace).await });
    somebody_waits(&mut transaction).await;
    sqlx::query("UPDATE connections SET account = 'account'").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();

    let error = replace.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "the same call may succeed: {error}");
    let row = store.find(id).await.unwrap().unwrap();
    assert_eq!((row.version, row.account.as_str()), (Version::FIRST, "account"), "nothing was written");
    assert_eq!(access_token(&store, id).await, "Atza|user-0");
}
