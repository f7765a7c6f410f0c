//! Hearing events: one queue for this process, fanned out to everybody in it who listens.

use std::sync::Arc;

use evergrant_contract::ports::{Heard, QueueError};
use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, Consumer};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::pack::unpack;
use crate::broker::{Shared, lost, pauses};
use crate::topology::instance_events_arguments;

/// A queue that lived this long has earned a fresh start of the pauses.
const STEADY: std::time::Duration = std::time::Duration::from_secs(10);

/// How often the queue is bound again. Whoever deletes the exchange takes the binding with it and tells nobody, and the next
/// sender makes a new exchange that knows nothing of this queue.
const REBIND_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

/// Every event.
const EVERYTHING: &str = "#";

/// Keeps one queue of events open and passes on what arrives.
pub(super) struct Listener {
    pub(super) shared: Arc<Shared>,
    pub(super) heard: broadcast::Sender<Heard>,
    pub(super) listening: watch::Sender<bool>,
    pub(super) exchange_was_gone: Arc<Notify>,
}

/// The queue of this process. The channel closes with its last handle, and the queue with it.
struct Ear {
    connection: Arc<Connection>,
    channel: Channel,
    queue: ShortString,
    consumer: Consumer,
}

impl Listener {
    pub(super) async fn run(self) {
        let closing = self.shared.closing.clone();
        let mut pause = pauses();
        while !closing.is_cancelled() {
            let since = Instant::now();
            let ended = closing.run_until_cancelled(self.one_queue()).await;
            self.listening.send_replace(false);
            if let Some(Err(problem)) = ended {
                warn!(error = %problem, "Events are not heard; subscribing again");
            }
            if since.elapsed() >= STEADY {
                pause = pauses();
            }
            let _ = closing.run_until_cancelled(sleep(pause.next().unwrap_or(STEADY))).await;
        }
    }

    async fn one_queue(&self) -> Result<(), QueueError> {
        let Some(mut ear) = self.open().await? else { return Ok(()) };
        // Whatever was sent until now went by unheard.
        let _ = self.heard.send(Heard::Gap);
        self.listening.send_replace(true);
        loop {
            tokio::select! {
                delivery = ear.consumer.next() => match delivery {
                    Some(delivery) => self.pass_on(&delivery.map_err(lost)?),
                    None => return Ok(()),
                },
                () = self.exchange_was_gone.notified() => {
                    self.bind(&ear.connection, &ear.channel, &ear.queue).await?;
                    let _ = self.heard.send(Heard::Gap);
                }
                () = sleep(REBIND_EVERY) => self.bind(&ear.connection, &ear.channel, &ear.queue).await?,
            }
        }
    }

    fn pass_on(&self, delivery: &Delivery) {
        for event in unpack(&delivery.data) {
            let Some(event) = event else {
                debug!("an event of another release was dropped");
                continue;
            };
            // Nobody may be listening just now.
            let _ = self.heard.send(Heard::Event(event));
        }
    }

    /// A queue that belongs to this connection and vanishes with it. The broker names it: a fixed name would stay locked
    /// for as long as the broker believes in a dead connection.
    async fn open(&self) -> Result<Option<Ear>, QueueError> {
        let Some(connection) = self.shared.events.up().await else { return Ok(None) };
        let channel = connection.create_channel().await.map_err(lost)?;
        let own = QueueDeclareOptions::exclusive().auto_delete();
        let declared = channel.queue_declare("".into(), own, instance_events_arguments()).await.map_err(lost)?;
        let queue = declared.name().clone();
        self.bind(&connection, &channel, &queue).await?;
        let (options, nothing) = (BasicConsumeOptions { no_ack: true, ..Default::default() }, FieldTable::default());
        let consumer = channel.basic_consume(queue.clone(), "".into(), options, nothing).await.map_err(lost)?;
        Ok(Some(Ear { connection, channel, queue, consumer }))
    }

    async fn bind(&self, connection: &Connection, channel: &Channel, queue: &ShortString) -> Result<(), QueueError> {
        self.shared.events.redeclare(connection).await?;
        let (exchange, nothing) = (self.shared.topology.events_exchange(), FieldTable::default());
        let options = QueueBindOptions::default();
        channel.queue_bind(queue.clone(), exchange.into(), EVERYTHING.into(), options, nothing).await.map_err(lost)
    }
}
