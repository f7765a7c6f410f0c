//! A database that is away, not ready, or slow.

use std::sync::Arc;
use std::time::Duration;

use evergrant_cluster::{PgOptions, PgStore};
use evergrant_contract::connection::{LeaseRequest, Settled};
use evergrant_contract::ids::Version;
use evergrant_contract::ports::{Connections as _, Leases as _, StoreError};
use evergrant_contract::secret::Secret;
use evergrant_testkit::conformance::eventually;
use sqlx::{Connection as _, PgConnection};

use crate::database::{Database, MIGRATIONS, keyring};
use crate::steps::{connect, given_back, hold, noon, refreshed, request};

async fn connect_error(options: &PgOptions) -> StoreError {
    match PgStore::connect(options, Arc::new(keyring())).await {
        Ok(_) => panic!("there is nothing to connect to"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_database_without_migrations_is_refused_until_they_are_applied() {
    let Some(database) = Database::empty().await else { return };
    let error = connect_error(&database.options).await.to_string();
    let lacks = MIGRATIONS.join(", ");
    assert_eq!(error, format!("the store refused: the database lacks {lacks}: run `evergrant migrate` first"));
    assert_eq!(PgStore::migrate(&database.options).await.unwrap(), MIGRATIONS);
    assert_eq!(PgStore::migrate(&database.options).await.unwrap(), [""; 0], "a second time there is nothing to do");
    let store = database.store(keyring()).await;
    assert_eq!(store.pending().await.unwrap(), [""; 0]);
    database.execute("DROP TABLE _evergrant_migrations").await;
    assert_eq!(store.pending().await.unwrap(), MIGRATIONS);
}

/// Another release's migrations are left alone, and named.
#[tokio::test]
async fn migrations_of_another_release_are_told_apart() {
    let Some(database) = Database::fresh().await else { return };
    database.execute("UPDATE _evergrant_migrations SET checksum = 'x'").await;
    let error = PgStore::migrate(&database.options).await.unwrap_err().to_string();
    assert!(error.contains("migration 0001 was applied in another form"), "{error}");
    database.execute("UPDATE _evergrant_migrations SET version = 9999 WHERE version = 2").await;
    let error = PgStore::migrate(&database.options).await.unwrap_err().to_string();
    assert!(error.contains("migration 9999") && error.contains("newer"), "{error}");
}

#[tokio::test]
async fn errors_of_connecting_tell_what_is_wrong_and_no_password() {
    let options =
        |url: &str| PgOptions { acquire_timeout: Duration::from_millis(200), ..PgOptions::new(Secret::new(url)) };
    // Nothing listens on port 1.
    let away = connect_error(&options("postgres://user:hunter2@127.0.0.1:1/database")).await;
    assert!(away.is_transient() && away.to_string().contains("127.0.0.1:1"), "{away}");
    let wrong = connect_error(&options("mysql:hunter2@")).await;
    assert!(!wrong.is_transient(), "{wrong}");
    for error in [away, wrong] {
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

/// What a restart of PostgreSQL looks like from here: every connection is gone, and new ones are to be had.
#[tokio::test]
async fn the_store_outlives_its_connections() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    let id = connect(&store, 1).await[0];
    for version in 1..4 {
        let version = Version::new(version);
        let lease = hold(&store, LeaseRequest { version, ..request(id) }).await.lease;
        database
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
        let settled = store.settle(refreshed(lease, "Atza|new", None)).await.unwrap();
        assert_eq!(settled, Settled::Written(version.next()));
    }
}

/// A session that holds the row of a connection until it is dropped.
async fn lock_rows(database: &Database) -> PgConnection {
    let mut connection = database.connection().await;
    sqlx::raw_sql("BEGIN; SELECT FROM schedules FOR UPDATE").execute(&mut connection).await.unwrap();
    connection
}

/// Slow is unavailable, not broken: the same settlement is written once the database is quick again.
#[tokio::test]
async fn a_statement_that_takes_too_long_may_be_tried_again() {
    let Some(mut database) = Database::fresh().await else { return };
    database.options.statement_timeout = Duration::from_millis(100);
    let store = database.store(keyring()).await;
    let id = connect(&store, 1).await[0];
    let settlement = refreshed(hold(&store, request(id)).await.lease, "Atza|new", None);
    let blocker = lock_rows(&database).await;
    let error = store.settle(settlement.clone()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    blocker.close().await.unwrap();
    assert_eq!(store.settle(settlement).await.unwrap(), Settled::Written(Version::new(2)));
}

/// A primary that became a replica: the same call succeeds once the connections lead to the new primary.
#[tokio::test]
async fn a_read_only_database_is_unavailable_for_writes() {
    let Some(database) = Database::fresh().await else { return };
    let id = connect(&database.store(keyring()).await, 1).await[0];
    database
        .execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$")
        .await;
    let store = database.store(keyring()).await;
    assert!(store.find(id).await.unwrap().is_some());
    assert!(store.acquire(request(id)).await.err().unwrap().is_transient());
    assert!(store.disconnect(id).await.unwrap_err().is_transient());
}

/// The answer of a provider is written even if whoever wanted it is gone.
#[tokio::test]
async fn a_caller_that_goes_away_cancels_nothing() {
    let Some(database) = Database::fresh().await else { return };
    let store = Arc::new(database.store(keyring()).await);
    let id = connect(&store, 1).await[0];
    let settlement = refreshed(hold(&store, request(id)).await.lease, "Atza|new", None);
    let blocker = lock_rows(&database).await;
    let caller = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.settle(settlement).await }
    });
    let mut observer = database.connection().await;
    eventually("the settlement waiting for the row", async || {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut observer).await.unwrap();
        (waiting == 1).then_some(())
    })
    .await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    blocker.close().await.unwrap();
    eventually("the settlement", async || {
        (store.find(id).await.unwrap().unwrap().version == Version::new(2)).then_some(())
    })
    .await;
    assert_eq!(store.stats(noon(), noon()).await.unwrap().refreshed, 1);
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    let id = connect(&store, 1).await[0];
    store.close().await;
    assert!(store.find(id).await.unwrap_err().is_transient());
    assert!(store.acquire(request(id)).await.err().unwrap().is_transient());
}

/// Dropping the store lets the writes finish that were asked for.
#[tokio::test]
async fn a_dropped_store_finishes_its_work() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    let id = connect(&store, 1).await[0];
    let lease = hold(&store, request(id)).await.lease;
    {
        let mut settling = Box::pin(store.settle(given_back(lease)));
        assert!(futures::poll!(&mut settling).is_pending());
    }
    drop(store);
    let witness = database.store(keyring()).await;
    eventually("the lease given back", async || {
        witness.find(id).await.unwrap().unwrap().leased_until.is_none().then_some(())
    })
    .await;
}
