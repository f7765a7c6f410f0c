//! Events in memory.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use evergrant_contract::event::Event;
use evergrant_contract::ports::{EventBus, Heard};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::lock;

/// A subscriber that falls further behind than this hears a gap.
const KEPT_FOR_SLOW_SUBSCRIBERS: usize = 1024;

/// Events in memory, with a log of everything that was published. It can be made deaf, to prove that events are hints.
pub struct MemoryEvents {
    sender: broadcast::Sender<Heard>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    published: Vec<Event>,
    deaf: bool,
}

impl MemoryEvents {
    /// A bus that nobody listens to yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { sender: broadcast::Sender::new(KEPT_FOR_SLOW_SUBSCRIBERS), log: Mutex::default() })
    }

    /// Everything that was published, in order, heard or not.
    pub fn published(&self) -> Vec<Event> {
        lock(&self.log).published.clone()
    }

    /// How many listen.
    pub fn subscribers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Loses every event from now on, as a broker does that is away; or passes them on again.
    pub fn set_deaf(&self, deaf: bool) {
        lock(&self.log).deaf = deaf;
    }

    /// Tells every subscriber that it may have missed something.
    pub fn gap(&self) {
        let _ = self.sender.send(Heard::Gap);
    }
}

#[async_trait]
impl EventBus for MemoryEvents {
    async fn publish(&self, events: Vec<Event>) {
        let deaf = {
            let mut log = lock(&self.log);
            log.published.extend(events.iter().cloned());
            log.deaf
        };
        for event in events.into_iter().filter(|_| !deaf) {
            // An error says that nobody listens, which is nobody's failure.
            let _ = self.sender.send(Heard::Event(event));
        }
    }

    async fn subscribe(&self) -> BoxStream<'static, Heard> {
        let listen = |mut receiver: broadcast::Receiver<Heard>| async move {
            let heard = match receiver.recv().await {
                Ok(heard) => heard,
                Err(RecvError::Lagged(_)) => Heard::Gap,
                Err(RecvError::Closed) => return None,
            };
            Some((heard, receiver))
        };
        stream::unfold(self.sender.subscribe(), listen).boxed()
    }
}
