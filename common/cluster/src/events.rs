//! The event bus on RabbitMQ: a topic exchange, and one queue for each instance that listens.

mod listen;
mod pack;
mod send;

use std::sync::{Arc, Once};

use async_trait::async_trait;
use evergrant_contract::event::Event;
use evergrant_contract::ports::{EventBus, Heard};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::timeout;

use crate::broker::Shared;
use listen::Listener;
use send::Outbox;

/// What one slow subscriber of this process may leave unheard before it is told of a gap.
const UNHEARD_MAX: usize = 4_096;

/// The event bus on RabbitMQ.
///
/// The connection to hear with is one for the whole process, however many subscribe, and begins with the first of them.
pub struct RabbitEvents {
    shared: Arc<Shared>,
    outbox: Outbox,
    heard: broadcast::Sender<Heard>,
    /// The sender notices it first, and the listener's queue is then bound to nothing.
    exchange_was_gone: Arc<Notify>,
    listener: Once,
    listening: watch::Sender<bool>,
}

impl RabbitEvents {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let (heard, _) = broadcast::channel(UNHEARD_MAX);
        let exchange_was_gone = Arc::new(Notify::new());
        let outbox = Outbox::start(&shared, heard.clone(), Arc::clone(&exchange_was_gone));
        Self { shared, outbox, heard, exchange_was_gone, listener: Once::new(), listening: watch::Sender::new(false) }
    }
}

#[async_trait]
impl EventBus for RabbitEvents {
    async fn publish(&self, events: Vec<Event>) {
        self.outbox.put(events);
    }

    async fn subscribe(&self) -> BoxStream<'static, Heard> {
        self.listener.call_once(|| {
            let listener = Listener {
                shared: Arc::clone(&self.shared),
                heard: self.heard.clone(),
                listening: self.listening.clone(),
                exchange_was_gone: Arc::clone(&self.exchange_was_gone),
            };
            self.shared.tasks.spawn(listener.run());
        });
        // "From now on" begins when this returns, so the queue should be there by then. If it is not, the subscriber hears
        // of a gap as soon as it is.
        let mut listening = self.listening.subscribe();
        let _ = timeout(self.shared.publish_timeout, listening.wait_for(|listening| *listening)).await.map(|_| ());
        let closing = self.shared.closing.clone();
        let heard = self.heard.subscribe();
        stream::unfold((heard, closing), |(mut heard, closing)| async move {
            let next = match closing.run_until_cancelled(heard.recv()).await? {
                Ok(next) => next,
                Err(RecvError::Lagged(_)) => Heard::Gap,
                Err(RecvError::Closed) => return None,
            };
            Some((next, (heard, closing)))
        })
        .boxed()
    }
}
