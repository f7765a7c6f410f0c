//! The rows, seen around the program: what it stores, and who holds what.

use std::path::Path;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use uuid::Uuid;

use super::world::{World, database_file};

/// A database of its own on a server; dropped with this.
pub(crate) struct Database {
    name: String,
    server: PgConnectOptions,
    /// Where the program connects.
    pub(crate) url: String,
}

impl Database {
    pub(crate) async fn create(server_url: &str) -> Self {
        let server: PgConnectOptions = server_url.parse().expect("a URL of PostgreSQL");
        let name = format!("evergrant_e2e_{}", Uuid::now_v7().simple());
        let mut connection = server.connect().await.expect("PostgreSQL is there");
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let url = server.clone().database(&name).to_url_lossy().to_string();
        Self { name, server, url }
    }

    async fn connection(&self) -> PgConnection {
        self.server.clone().database(&self.name).connect().await.unwrap()
    }

    /// The first column of every row, as text.
    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&mut self.connection().await).await.unwrap()
    }

    /// Changes rows around the program: how many.
    pub(crate) async fn execute(&self, sql: &'static str) -> u64 {
        sqlx::query(sql).execute(&mut self.connection().await).await.unwrap().rows_affected()
    }

    /// Every table with all its rows as text.
    pub(crate) async fn tables(&self) -> Vec<(String, String)> {
        let names = self.texts("SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'");
        let mut tables = Vec::new();
        for name in names.await {
            let sql = AssertSqlSafe(format!("SELECT t::text FROM \"{name}\" t"));
            let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut self.connection().await).await.unwrap();
            tables.push((name, rows.join("\n")));
        }
        tables
    }

    pub(crate) async fn remove(&self) {
        let Ok(mut connection) = self.server.connect().await else { return };
        let sql = AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name));
        let _ = sqlx::raw_sql(sql).execute(&mut connection).await;
    }
}

/// Changes rows of an embedded database around the program: how many.
async fn change_sqlite(file: &Path, sql: &'static str) -> u64 {
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let changed = sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected();
    connection.close().await.unwrap();
    changed
}

impl World {
    /// Changes rows around the program, in either shape: how many.
    pub(crate) fn change_rows(&self, of_postgres: &'static str, of_sqlite: &'static str) -> u64 {
        match &self.cluster {
            Some(cluster) => self.runtime.block_on(cluster.database.execute(of_postgres)),
            None => self.runtime.block_on(change_sqlite(&database_file(&self.data_folder("cli")), of_sqlite)),
        }
    }
}

/// Attempts and failed jobs of an embedded database, as text.
pub(crate) async fn history_of_sqlite(file: &Path) -> String {
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let attempts = "SELECT message || ' ' || coalesce(code, '') FROM attempts";
    let failed_jobs = "SELECT payload || ' ' || attempts || ' ' || error FROM failed_jobs";
    let mut history: Vec<String> = sqlx::query_scalar(attempts).fetch_all(&mut connection).await.unwrap();
    history.extend(sqlx::query_scalar::<_, String>(failed_jobs).fetch_all(&mut connection).await.unwrap());
    connection.close().await.unwrap();
    history.join("\n")
}
