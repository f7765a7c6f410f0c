//! Events within one process.

use async_trait::async_trait;
use evergrant_contract::event::Event;
use evergrant_contract::ports::{EventBus, Heard};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::broadcast::{self, error::RecvError};

/// An event bus within one process. A subscriber that falls behind by more than the backlog hears a gap.
#[derive(Debug)]
pub struct LocalEvents {
    sender: broadcast::Sender<Event>,
}

impl LocalEvents {
    /// How many events a slow subscriber may fall behind, unless told otherwise.
    pub const BACKLOG: usize = 4096;

    /// A bus that keeps this many events for slow subscribers; at least one, and rounded up to a power of two.
    pub fn new(backlog: usize) -> Self {
        Self { sender: broadcast::Sender::new(backlog.max(1)) }
    }
}

impl Default for LocalEvents {
    fn default() -> Self {
        Self::new(Self::BACKLOG)
    }
}

#[async_trait]
impl EventBus for LocalEvents {
    async fn publish(&self, events: Vec<Event>) {
        for event in events {
            // An error says that nobody listens, and then nobody misses it.
            let _ = self.sender.send(event);
        }
    }

    async fn subscribe(&self) -> BoxStream<'static, Heard> {
        stream::unfold(self.sender.subscribe(), |mut receiver| async move {
            let heard = match receiver.recv().await {
                Ok(event) => Heard::Event(event),
                Err(RecvError::Lagged(_)) => Heard::Gap,
                Err(RecvError::Closed) => return None,
            };
            Some((heard, receiver))
        })
        .boxed()
    }
}
