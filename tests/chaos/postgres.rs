//! What befalls PostgreSQL.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};

use super::schedule::Store;
use super::system::System;

/// More than the server has places.
const STRANGERS: usize = 400;
/// The longest wait for a place.
const PLACE_LIMIT: Duration = Duration::from_secs(3);

impl System {
    pub(super) fn begin_store(&mut self, trouble: Store) {
        match trouble {
            Store::Restart => self.world.cluster().servers.postgres().restart().unwrap(),
            Store::Kill => self.world.cluster().servers.postgres().kill().unwrap(),
            Store::ReadOnly => self.tell_postgres("ALTER SYSTEM SET default_transaction_read_only = on"),
            Store::Full => self.take_every_place(),
        }
    }

    pub(super) fn end_store(&mut self, trouble: Store) {
        match trouble {
            Store::Restart => {}
            Store::Kill => self.world.cluster().servers.postgres().restart().unwrap(),
            Store::ReadOnly => self.tell_postgres("ALTER SYSTEM RESET default_transaction_read_only"),
            Store::Full => {
                // Gone without a goodbye.
                let _inside = self.world.runtime.enter();
                self.strangers.clear();
            }
        }
    }

    /// A session of our own that may always write.
    fn server(&self) -> PgConnectOptions {
        let options: PgConnectOptions = self.world.env["DATABASE_URL"].parse().expect("a URL of PostgreSQL");
        options.options([("default_transaction_read_only", "off")])
    }

    fn tell_postgres(&self, setting: &'static str) {
        let options = self.server();
        self.world.runtime.block_on(async move {
            let mut session = options.connect().await.unwrap();
            sqlx::raw_sql(setting).execute(&mut session).await.unwrap();
            sqlx::raw_sql("SELECT pg_reload_conf()").execute(&mut session).await.unwrap();
        });
    }

    fn take_every_place(&mut self) {
        let options = self.server();
        self.strangers = self.world.runtime.block_on(async {
            let mut strangers = Vec::new();
            take_places(&options, &mut strangers).await;
            let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name <> 'stranger'";
            sqlx::raw_sql(others).execute(&mut strangers[0]).await.unwrap();
            take_places(&options, &mut strangers).await;
            strangers
        });
    }
}

/// Takes places until there are none.
async fn take_places(options: &PgConnectOptions, strangers: &mut Vec<PgConnection>) {
    let options = options.clone().application_name("stranger");
    while strangers.len() < STRANGERS {
        match tokio::time::timeout(PLACE_LIMIT, options.connect()).await {
            Ok(Ok(stranger)) => strangers.push(stranger),
            _ => return,
        }
    }
}
