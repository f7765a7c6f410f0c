//! RabbitMQ as one thing: three supervised connections and the two ports that live on them.
//!
//! Publishing, consuming and events each have a connection of their own, because a broker in need of memory or disk stops
//! reading whole connections: it must never stop the acks and the events along with the publishers.

mod link;
mod options;
mod status;

use std::sync::Arc;

use evergrant_contract::ports::{Clock, QueueError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use link::{Link, close_channel, lost, pauses};
pub use options::BrokerOptions;
pub use status::{BrokerStatus, LinkStatus, QueueReport};

use crate::events::RabbitEvents;
use crate::queue::RabbitQueue;
use crate::topology::Topology;

/// What everything on the broker shares.
pub(crate) struct Shared {
    pub(crate) topology: Topology,
    pub(crate) publish: Link,
    pub(crate) consume: Link,
    pub(crate) events: Link,
    pub(crate) publish_timeout: std::time::Duration,
    pub(crate) clock: Arc<dyn Clock>,
    /// Ends every background task when the broker is closed.
    pub(crate) closing: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// A RabbitMQ broker or cluster.
///
/// Losing it is a state, not an error: each connection is rebuilt, topology and all, for as long as it takes.
pub struct Broker {
    shared: Arc<Shared>,
    queue: Arc<RabbitQueue>,
    events: Arc<RabbitEvents>,
    /// The connections end after the tasks that use them.
    disconnecting: CancellationToken,
    connections: TaskTracker,
}

impl Broker {
    /// Starts the connections and waits up to [`BrokerOptions::start_timeout`] for them.
    ///
    /// A broker that is not there yet is no error: the connections go on trying. What waiting cannot heal is: an unusable
    /// URL, a refused login, a queue that exists with other arguments.
    pub async fn connect(options: BrokerOptions, clock: Arc<dyn Clock>) -> Result<Self, QueueError> {
        let uri = options.uri()?;
        let topology = options.topology()?;
        let (disconnecting, connections) = (CancellationToken::new(), TaskTracker::new());
        let link = |role: &'static str, steps| {
            let plan = link::Plan { uri: uri.clone(), name: format!("{} {role}", options.name), role, steps };
            Link::start(plan, &disconnecting, &connections)
        };
        let shared = Arc::new(Shared {
            publish: link("publish", topology.jobs()),
            consume: link("consume", topology.jobs()),
            events: link("events", topology.events()),
            topology,
            publish_timeout: options.publish_timeout,
            clock,
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let queue = Arc::new(RabbitQueue::new(Arc::clone(&shared)));
        let events = Arc::new(RabbitEvents::new(Arc::clone(&shared)));
        let broker = Self { shared, queue, events, disconnecting, connections };
        for link in broker.links() {
            if let Err(refused @ QueueError::Refused(_)) = link.up_within(options.start_timeout).await {
                broker.close().await;
                return Err(refused);
            }
        }
        Ok(broker)
    }

    /// The job queue.
    pub fn queue(&self) -> Arc<RabbitQueue> {
        Arc::clone(&self.queue)
    }

    /// The event bus.
    pub fn events(&self) -> Arc<RabbitEvents> {
        Arc::clone(&self.events)
    }

    /// How the connections are, as last seen. Costs nothing.
    pub fn status(&self) -> BrokerStatus {
        let Shared { publish, consume, events, .. } = &*self.shared;
        BrokerStatus { publish: publish.status(), consume: consume.status(), events: events.status() }
    }

    /// Asks the broker about every queue. For a person or a readiness check, not for a hot path.
    pub async fn check(&self) -> Result<Vec<QueueReport>, QueueError> {
        for link in self.links() {
            link.up_within(self.shared.publish_timeout).await?;
        }
        self.queue.report().await
    }

    /// Ends background tasks and closes the connections. Stop the workers first: what they have not acked comes again.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.disconnecting.cancel();
        self.connections.close();
        self.connections.wait().await;
    }

    fn links(&self) -> [&Link; 3] {
        [&self.shared.publish, &self.shared.consume, &self.shared.events]
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.shared.closing.cancel();
        self.disconnecting.cancel();
    }
}
