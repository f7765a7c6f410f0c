//! Hears every job and every event of a namespace on the broker, and can speak there too.

use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

/// What was heard, as text. It ends with the broker's connection; a new one goes on.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<String>>);

impl Heard {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

/// A connection of our own to the broker.
pub(crate) struct Tap {
    _connection: Connection,
    channel: Channel,
}

impl Tap {
    /// Listens to both exchanges of a namespace from now on.
    pub(crate) async fn open(url: &str, namespace: &str, heard: &Heard) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("the broker is there");
        let channel = connection.create_channel().await.unwrap();
        let exclusive = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("".into(), exclusive, FieldTable::default()).await.unwrap();
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let exchanges = [
            ("jobs", ExchangeKind::Direct, ["refresh_due", "force_refresh"].as_slice()),
            ("events", ExchangeKind::Topic, &["#"]),
        ];
        for (exchange, kind, keys) in exchanges {
            let name = format!("{namespace}.v1.{exchange}");
            channel.exchange_declare(name.as_str().into(), kind, durable, FieldTable::default()).await.unwrap();
            for key in keys {
                let options = QueueBindOptions::default();
                let bound = channel.queue_bind(
                    queue.name().clone(),
                    name.as_str().into(),
                    (*key).into(),
                    options,
                    FieldTable::default(),
                );
                bound.await.unwrap();
            }
        }
        let no_ack = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let mut deliveries =
            channel.basic_consume(queue.name().clone(), "".into(), no_ack, FieldTable::default()).await.unwrap();
        let heard = Arc::clone(&heard.0);
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = deliveries.next().await {
                let body = String::from_utf8_lossy(&delivery.data);
                let line = format!("{} {:?} {body}\n", delivery.routing_key, delivery.properties);
                heard.lock().unwrap().push_str(&line);
            }
        });
        Self { _connection: connection, channel }
    }

    /// How many messages wait in a queue that exists.
    pub(crate) async fn waiting(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap();
        queue.message_count()
    }

    /// Empties a queue: how many messages were lost.
    pub(crate) async fn purge(&self, queue: &str) -> u32 {
        self.channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await.unwrap()
    }

    /// Deletes a queue with all that is in it: how many messages were lost.
    pub(crate) async fn delete(&self, queue: &str) -> u32 {
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap()
    }

    /// Deletes an exchange, and with it every way through it.
    pub(crate) async fn delete_exchange(&self, exchange: &str) {
        self.channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await.unwrap();
    }

    /// Puts a message into a queue.
    pub(crate) async fn send(&self, queue: &str, body: &[u8]) {
        let options = BasicPublishOptions::default();
        let sent = self.channel.basic_publish("".into(), queue.into(), options, body, BasicProperties::default());
        sent.await.unwrap().await.unwrap();
    }
}
