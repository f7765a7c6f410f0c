//! A broker of one's own for each test: a namespace, swept away at the end, and a network that can be cut.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evergrant_cluster::broker::{Broker, BrokerOptions};
use evergrant_cluster::topology::{Step, Topology};
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, JobId, Version};
use evergrant_contract::job::{ForceReason, Job, JobKind, Payload};
use evergrant_contract::ports::{Fate, JobHandler, JobQueue, QueueError};
use evergrant_contract::secret::Secret;
use evergrant_testkit::ManualClock;
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A namespace on the test broker, and the way to it.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) namespace: String,
}

impl Place {
    /// `None`: there is no broker, which was said loudly.
    pub(crate) fn new() -> Option<Self> {
        let url = evergrant_testkit::services::amqp_url()?;
        Some(Self { url, namespace: format!("test-{}", JobId::generate()) })
    }

    pub(crate) fn options(&self) -> BrokerOptions {
        let namespace = self.namespace.clone();
        BrokerOptions { namespace, ..BrokerOptions::new(Secret::new(self.url.clone())) }
    }

    pub(crate) async fn broker(&self) -> Broker {
        connect(self.options()).await.unwrap()
    }

    pub(crate) fn topology(&self) -> Topology {
        Topology {
            namespace: self.namespace.clone(),
            quorum_group_size: None,
            refresh_due_max_length: 500_000,
            force_refresh_max_length: 20_000,
        }
    }

    /// A channel that none of our code knows, for what operators do by hand.
    pub(crate) async fn by_hand(&self) -> (Connection, Channel) {
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    async fn sweep(&self) {
        let (connection, _) = self.by_hand().await;
        for step in self.topology().jobs().into_iter().rev().chain(self.topology().events()) {
            let channel = connection.create_channel().await.unwrap();
            let _ = match step {
                Step::Queue { name, .. } => {
                    channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.map(drop)
                }
                Step::Exchange { name, .. } => {
                    channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await
                }
                Step::Binding { .. } => Ok(()),
            };
        }
        // It may complain of the channels that are closing already.
        let _ = connection.close(200, "swept".into()).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let own = Self { url: self.url.clone(), namespace: std::mem::take(&mut self.namespace) };
        if own.namespace.is_empty() {
            return;
        }
        // A thread with a runtime of its own: the test's may be ending.
        let sweeper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(own.sweep());
            std::mem::forget(own);
        });
        let _ = sweeper.join();
    }
}

pub(crate) async fn connect(options: BrokerOptions) -> Result<Broker, QueueError> {
    Broker::connect(options, ManualClock::new()).await
}

pub(crate) fn moment() -> Timestamp {
    Timestamp::from_timestamp_millis(1_800_000_000_000).unwrap()
}

pub(crate) fn due() -> Job {
    let connection = ConnectionId::generate();
    Job::new(Payload::RefreshDue { connection, version: Version::FIRST, refresh_at: moment() })
}

pub(crate) fn force() -> Job {
    Job::new(Payload::ForceRefresh {
        connection: ConnectionId::generate(),
        observed_version: Version::FIRST,
        refresh_at: moment(),
        reason: ForceReason::Operator,
        deadline: moment(),
    })
}

pub(crate) fn many(count: usize, job: fn() -> Job) -> Vec<Job> {
    std::iter::repeat_with(job).take(count).collect()
}

/// Tells of each job that it is given, and keeps it in hand until there is a permit for its end.
pub(crate) struct Hands {
    told: mpsc::UnboundedSender<Job>,
    pub(crate) ends: Semaphore,
    fate: Fate,
}

pub(crate) type Told = mpsc::UnboundedReceiver<Job>;

impl Hands {
    /// Hands that finish at once.
    pub(crate) fn quick() -> (Arc<Self>, Told) {
        Self::new(Semaphore::MAX_PERMITS, Fate::Done)
    }

    /// Hands that finish only so many jobs, until more permits are added.
    pub(crate) fn slow(ends: usize) -> (Arc<Self>, Told) {
        Self::new(ends, Fate::Done)
    }

    pub(crate) fn new(ends: usize, fate: Fate) -> (Arc<Self>, Told) {
        let (told, jobs) = mpsc::unbounded_channel();
        (Arc::new(Self { told, ends: Semaphore::new(ends), fate }), jobs)
    }
}

#[async_trait]
impl JobHandler for Hands {
    async fn handle(&self, job: Job) -> Fate {
        self.told.send(job).unwrap();
        self.ends.acquire().await.unwrap().forget();
        self.fate
    }
}

/// A running `work`.
pub(crate) struct Working {
    pub(crate) stop: CancellationToken,
    task: JoinHandle<Result<(), QueueError>>,
}

impl Working {
    pub(crate) fn start(broker: &Broker, kind: JobKind, concurrency: u32, handler: Arc<dyn JobHandler>) -> Self {
        let (queue, stop) = (broker.queue(), CancellationToken::new());
        let token = stop.clone();
        Self { stop, task: tokio::spawn(async move { queue.work(kind, concurrency, handler, token).await }) }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        soon(self.task).await.unwrap().unwrap();
    }
}

/// Fails the test if this takes too long.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it took too long")
}

/// Asks the broker again and again until it agrees: its counters are late by nature.
pub(crate) async fn until(mut agrees: impl AsyncFnMut() -> bool) {
    let mut ticks = interval(Duration::from_millis(10));
    soon(async {
        while !agrees().await {
            ticks.tick().await;
        }
    })
    .await;
}

pub(crate) async fn until_depth(broker: &Broker, kind: JobKind, wanted: u64) {
    let queue = broker.queue();
    until(async || queue.depth(kind).await.is_ok_and(|depth| depth == wanted)).await;
}

/// The ids of this many jobs, each once.
pub(crate) async fn ids(told: &mut Told, count: usize) -> std::collections::HashSet<JobId> {
    let mut ids = std::collections::HashSet::new();
    while ids.len() < count {
        ids.insert(soon(told.recv()).await.unwrap().id);
    }
    ids
}
