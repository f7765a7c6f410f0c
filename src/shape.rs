//! The two shapes: the only place that names a database or a broker.

use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use evergrant_api::Check;
use evergrant_cluster::broker::{Broker, BrokerOptions};
use evergrant_cluster::{PgOptions, PgStore};
use evergrant_contract::ids::ProcessId;
use evergrant_contract::ports::{Clock, EventBus, JobQueue, Offices, Store};
use evergrant_contract::secret::Secret;
use evergrant_embedded::{LocalEvents, LocalQueue, SqliteOptions, SqliteStore};
use evergrant_vault::Keyring;

use crate::config::{Config, Mode};

/// The rows, without a queue: what a command needs that only looks or writes.
pub enum Rows {
    /// One SQLite file.
    Embedded(Arc<SqliteStore>),
    /// PostgreSQL.
    Cluster(Arc<PgStore>),
}

impl Rows {
    /// Opens the store of the configuration's mode.
    pub async fn open(config: &Config, keyring: Arc<Keyring>, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        match config.mode {
            Mode::Embedded => {
                std::fs::create_dir_all(&config.data_dir)
                    .with_context(|| format!("the data folder {} cannot be made", config.data_dir.display()))?;
                let options = SqliteOptions::new(config.sqlite_path());
                Ok(Self::Embedded(Arc::new(SqliteStore::open(options, keyring, clock).await?)))
            }
            Mode::Cluster => Ok(Self::Cluster(Arc::new(PgStore::connect(&pg_options(config)?, keyring).await?))),
        }
    }

    /// The ports.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Embedded(store) => Arc::clone(store) as _,
            Self::Cluster(store) => Arc::clone(store) as _,
        }
    }

    /// Closes connections in order, so that the server sees a leave-taking and not a loss.
    pub async fn close(&self) {
        match self {
            Self::Embedded(store) => store.close().await,
            Self::Cluster(store) => store.close().await,
        }
    }
}

/// Store, queue and events of one process.
pub struct Shape {
    /// The rows.
    pub store: Arc<dyn Store>,
    /// The jobs.
    pub queue: Arc<dyn JobQueue>,
    /// The events.
    pub events: Arc<dyn EventBus>,
    /// What must answer before the process is ready.
    pub checks: Vec<Arc<dyn Check>>,
    /// Whether jobs published by this process reach workers of other processes.
    pub queue_is_shared: bool,
    rows: Rows,
    broker: Option<Arc<Broker>>,
}

impl Shape {
    /// Opens what the configuration's mode asks for.
    pub async fn open(config: &Config, keyring: Arc<Keyring>, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let rows = Rows::open(config, keyring, Arc::clone(&clock)).await?;
        let store = rows.store();
        let store_check: Arc<dyn Check> = Arc::new(StoreCheck(Arc::clone(&store) as _));
        if config.mode == Mode::Embedded {
            let (queue, events) = (Arc::new(LocalQueue::default()), Arc::new(LocalEvents::default()));
            let checks = vec![store_check];
            return Ok(Self { store, queue, events, checks, queue_is_shared: false, rows, broker: None });
        }
        let broker = Arc::new(Broker::connect(broker_options(config)?, clock).await?);
        Ok(Self {
            store,
            queue: broker.queue(),
            events: broker.events(),
            checks: vec![store_check, Arc::new(BrokerCheck(Arc::clone(&broker)))],
            queue_is_shared: true,
            rows,
            broker: Some(broker),
        })
    }

    /// Closes connections in order, so that the servers see a leave-taking and not a loss.
    pub async fn close(&self) {
        if let Some(broker) = &self.broker {
            broker.close().await;
        }
        self.rows.close().await;
    }
}

/// Brings the database's schema up to date: the names of the migrations that were applied.
pub async fn migrate(config: &Config, keyring: Arc<Keyring>, clock: Arc<dyn Clock>) -> anyhow::Result<Vec<String>> {
    match config.mode {
        Mode::Cluster => Ok(PgStore::migrate(&pg_options(config)?).await?),
        // An embedded store brings itself up to date whenever it is opened.
        Mode::Embedded => {
            Rows::open(config, keyring, clock).await?.close().await;
            Ok(Vec::new())
        }
    }
}

fn pg_options(config: &Config) -> anyhow::Result<PgOptions> {
    let database = &config.database;
    let url = given(database.url.as_ref(), "DATABASE_URL")?;
    Ok(PgOptions {
        max_connections: database.pool_size,
        acquire_timeout: database.acquire_timeout,
        ..PgOptions::new(url)
    })
}

fn broker_options(config: &Config) -> anyhow::Result<BrokerOptions> {
    let broker = &config.broker;
    let url = given(broker.url.as_ref(), "AMQP_URL")?;
    Ok(BrokerOptions {
        name: format!("evergrant {}", ProcessId::generate()),
        namespace: broker.namespace.clone(),
        publish_timeout: broker.publish_timeout,
        ..BrokerOptions::new(url)
    })
}

fn given(url: Option<&Secret>, name: &str) -> anyhow::Result<Secret> {
    url.cloned().with_context(|| format!("set {name}: mode = \"cluster\" needs it"))
}

struct StoreCheck(Arc<dyn Offices>);

#[async_trait]
impl Check for StoreCheck {
    fn name(&self) -> &'static str {
        "store"
    }

    async fn check(&self) -> Result<(), String> {
        let alive = self.0.peers(std::time::Duration::from_secs(1)).await;
        alive.map(drop).map_err(|error| error.to_string())
    }
}

struct BrokerCheck(Arc<Broker>);

#[async_trait]
impl Check for BrokerCheck {
    fn name(&self) -> &'static str {
        "queue"
    }

    async fn check(&self) -> Result<(), String> {
        self.0.check().await.map(drop).map_err(|error| error.to_string())
    }
}
