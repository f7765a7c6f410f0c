//! A database of its own for each test.

use std::sync::Arc;

use evergrant_cluster::{PgOptions, PgStore};
use evergrant_contract::secret::Secret;
use evergrant_testkit::services::database_url;
use evergrant_vault::Keyring;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use uuid::Uuid;

/// The migrations of this release.
pub(crate) const MIGRATIONS: [&str; 7] = [
    "0001_engine",
    "0002_people",
    "0003_operations",
    "0004_pauses",
    "0005_webhooks",
    "0006_key_rotation",
    "0007_usage",
];

/// A database with all migrations; dropped with this.
pub(crate) struct Database {
    name: String,
    server: PgConnectOptions,
    pub(crate) options: PgOptions,
}

impl Database {
    /// `None`: there is no server, which was said loudly.
    pub(crate) async fn fresh() -> Option<Self> {
        let database = Self::empty().await?;
        assert_eq!(PgStore::migrate(&database.options).await.unwrap(), MIGRATIONS);
        Some(database)
    }

    /// The same before any migration.
    pub(crate) async fn empty() -> Option<Self> {
        let server: PgConnectOptions = database_url()?.parse().expect("EVERGRANT_TEST_DATABASE_URL must be a URL");
        let name = format!("evergrant_test_{}", Uuid::now_v7().simple());
        let mut connection = server.connect().await.expect("the test server must be there");
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let url = server.clone().database(&name).to_url_lossy();
        let options = PgOptions { max_connections: 6, ..PgOptions::new(Secret::new(url.as_str())) };
        Some(Self { name, server, options })
    }

    pub(crate) async fn store(&self, keyring: Keyring) -> PgStore {
        PgStore::connect(&self.options, Arc::new(keyring)).await.unwrap()
    }

    /// A connection around the store.
    pub(crate) async fn connection(&self) -> PgConnection {
        self.server.clone().database(&self.name).connect().await.unwrap()
    }

    /// Any statement, around the store.
    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.connection().await).await.unwrap();
    }
}

impl Drop for Database {
    /// On a thread of its own: a drop cannot wait, and the test's runtime may be the one that would have to.
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let drop_it = async move {
            let mut connection = server.connect().await?;
            let sql = AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
            sqlx::raw_sql(sql).execute(&mut connection).await
        };
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(drop_it).map(drop)
        });
        if let Ok(Err(error)) = thread.join() {
            eprintln!("the test database {} is left over: {error}", self.name);
        }
    }
}

/// A keyring with one new key.
pub(crate) fn keyring() -> Keyring {
    Keyring::parse(&Keyring::generate_key()).unwrap()
}
