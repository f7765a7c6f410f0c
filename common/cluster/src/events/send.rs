//! Sending events without anybody waiting for it.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::event::Event;
use evergrant_contract::ports::{Heard, QueueError};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::pack::pack;
use crate::broker::{Shared, lost, pauses};

/// Events that wait to be sent while the broker is away. More are dropped.
const OUTBOX_MAX: usize = 10_000;

/// Events whose confirms are awaited together.
const GROUP: usize = 256;

/// Times that a group is sent before it is given up, with a pause and whatever was missing declared again in between.
const TRIES: usize = 3;

/// Events on their way to the broker.
pub(super) struct Outbox {
    waiting: mpsc::Sender<Event>,
    heard: broadcast::Sender<Heard>,
}

impl Outbox {
    pub(super) fn start(shared: &Arc<Shared>, heard: broadcast::Sender<Heard>, exchange_was_gone: Arc<Notify>) -> Self {
        let (waiting, events) = mpsc::channel(OUTBOX_MAX);
        let carrier = Carrier { shared: Arc::clone(shared), exchange_was_gone, channel: None };
        shared.tasks.spawn(carrier.run(events));
        Self { waiting, heard }
    }

    /// Takes the events, or drops them if too many wait. Those who listen in this process are told of the gap; the others
    /// look at the rows now and then anyway.
    pub(super) fn put(&self, events: Vec<Event>) {
        let dropped = events.into_iter().filter_map(|event| self.waiting.try_send(event).err()).count();
        if dropped > 0 {
            warn!(dropped, "Events were dropped: too many wait to be sent");
            let _ = self.heard.send(Heard::Gap);
        }
    }
}

struct Carrier {
    shared: Arc<Shared>,
    exchange_was_gone: Arc<Notify>,
    channel: Option<Channel>,
}

impl Carrier {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let closing = self.shared.closing.clone();
        let mut group = Vec::with_capacity(GROUP);
        while let Some(1..) = closing.run_until_cancelled(events.recv_many(&mut group, GROUP)).await {
            // While the broker is away the events wait: the outbox is their bound.
            if closing.run_until_cancelled(self.carry(&group)).await.is_none() {
                break;
            }
            group.clear();
        }
        // What was said last is still said, if somebody is there to hear it now.
        while group.len() < OUTBOX_MAX
            && let Ok(event) = events.try_recv()
        {
            group.push(event);
        }
        if !group.is_empty() && self.shared.events.is_up() {
            let _ = self.send(&group).await;
        }
    }

    async fn carry(&mut self, group: &[Event]) {
        for pause in pauses().take(TRIES) {
            if self.shared.events.up().await.is_none() {
                return;
            }
            let Err(problem) = self.send(group).await else { return };
            debug!(error = %problem, "sending events failed");
            if self.shared.events.is_up() {
                self.exchange_was_gone.notify_one();
            }
            self.channel = None;
            sleep(pause).await;
        }
        warn!(dropped = group.len(), "Events were dropped: sending them failed {TRIES} times");
    }

    async fn send(&mut self, group: &[Event]) -> Result<(), QueueError> {
        let patience = self.shared.publish_timeout;
        let sent = timeout(patience, self.send_confirmed(group)).await;
        sent.map_err(|_| QueueError::Unavailable(format!("no confirm came within {patience:?}")))?
    }

    /// Sends a group and waits for its confirms: an exchange that is gone is only noticed through them.
    async fn send_confirmed(&mut self, group: &[Event]) -> Result<(), QueueError> {
        let channel = self.channel().await?;
        let exchange = self.shared.topology.events_exchange();
        let mut confirms = Vec::new();
        for (key, body) in pack(group) {
            let (options, properties) = (BasicPublishOptions::default(), properties());
            let sent = channel.basic_publish(exchange.as_str().into(), key.into(), options, &body, properties).await;
            confirms.push(sent.map_err(lost)?);
        }
        for confirm in confirms {
            confirm.await.map_err(lost)?;
        }
        Ok(())
    }

    async fn channel(&mut self) -> Result<Channel, QueueError> {
        if let Some(channel) = self.channel.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        let connection = self.shared.events.up_within(Duration::ZERO).await?;
        self.shared.events.redeclare(&connection).await?;
        let channel = connection.create_channel().await.map_err(lost)?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(lost)?;
        Ok(self.channel.insert(channel).clone())
    }
}

/// Events are hints and live for a minute at most: not worth a disk.
fn properties() -> BasicProperties {
    BasicProperties::default().with_content_type("application/json".into())
}
