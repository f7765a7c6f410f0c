//! Counting what waits.

use evergrant_contract::ports::QueueError;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ErrorKind};
use tokio::time::timeout;

use crate::broker::{QueueReport, Shared, close_channel, lost};

/// What the broker counts in a queue.
///
/// Asks on the consuming connection: the other one falls silent when the broker has an alarm, and just then people ask.
pub(super) async fn count(shared: &Shared, name: String) -> Result<QueueReport, QueueError> {
    let patience = shared.publish_timeout;
    let connection = shared.consume.up_within(patience).await?;
    let counted = timeout(patience, ask(shared, &connection, name)).await;
    counted.map_err(|_| QueueError::Unavailable(format!("the broker did not answer within {patience:?}")))?
}

async fn ask(shared: &Shared, connection: &Connection, name: String) -> Result<QueueReport, QueueError> {
    let channel = connection.create_channel().await.map_err(lost)?;
    let passive = QueueDeclareOptions::default().passive();
    match channel.queue_declare(name.as_str().into(), passive, FieldTable::default()).await {
        Ok(queue) => {
            close_channel(&channel).await;
            let (waiting, consumers) = (queue.message_count().into(), queue.consumer_count().into());
            Ok(QueueReport { name, waiting, consumers })
        }
        // Somebody deleted it, and with it everything that was waiting.
        Err(problem) if matches!(problem.kind(), ErrorKind::ProtocolError(e) if e.get_id() == 404) => {
            shared.consume.declare_missing(connection).await?;
            Ok(QueueReport { name, waiting: 0, consumers: 0 })
        }
        Err(problem) => Err(lost(problem)),
    }
}
