//! Publishing with pipelined confirms.
//!
//! Every message is published as `mandatory`: a broker confirms a message that no queue takes as happily as any other, and only
//! hands it back first. The client library attaches a returned message to *some* confirm of the channel, not to its own. So
//! each call has a channel to itself until its last confirm is in, and a returned message is told by its own message id.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evergrant_contract::ids::JobId;
use evergrant_contract::job::Job;
use evergrant_contract::ports::QueueError;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation, PublisherConfirm};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::warn;

use super::message;
use super::pack::{Pack, pack};
use crate::broker::{Shared, lost};

/// Calls that publish at the same time; the others wait. Each has a channel, and one connection has few of them.
const CHANNELS: usize = 16;

/// Confirms that one call waits for at the same time. More gains nothing, and fewer costs throughput.
const WINDOW: usize = 500;

/// Times that a call declares what somebody deleted, before it gives up.
const ROUNDS: usize = 3;

/// Why a round did not publish everything.
enum Failed {
    /// The queue or the exchange is not there: declare it and publish again.
    Missing(String),
    /// Everything else.
    Queue(QueueError),
}

/// What became of a round's messages, apart from those that the queue has taken.
#[derive(Default)]
struct Outcome {
    unroutable: HashSet<JobId>,
    refused: usize,
    /// A returned message that does not tell its id, so nobody knows which was not taken.
    nameless: bool,
}

impl Outcome {
    fn note(&mut self, confirmation: Confirmation) {
        let returned = match confirmation {
            Confirmation::Ack(returned) => returned,
            Confirmation::Nack(returned) => {
                self.refused += 1;
                returned
            }
            Confirmation::NotRequested => {
                self.nameless = true;
                return;
            }
        };
        if let Some(returned) = returned {
            match message::job_id(&returned.delivery.properties) {
                Some(id) => drop(self.unroutable.insert(id)),
                None => self.nameless = true,
            }
        }
    }
}

/// Publishes jobs on a small pool of confirming channels.
pub(super) struct Publisher {
    shared: Arc<Shared>,
    exchange: ShortString,
    turns: Semaphore,
    idle: Mutex<Vec<Channel>>,
}

impl Publisher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let exchange = shared.topology.jobs_exchange().into();
        Self { shared, exchange, turns: Semaphore::new(CHANNELS), idle: Mutex::default() }
    }

    /// Returns when the queue has taken all of them.
    pub(super) async fn publish(&self, jobs: &[Job]) -> Result<(), QueueError> {
        self.publish_packs(pack(jobs)).await
    }

    /// As [`Publisher::publish`], each in a message of its own.
    pub(super) async fn publish_apart(&self, jobs: &[Job]) -> Result<(), QueueError> {
        self.publish_packs(jobs.iter().map(Pack::alone).collect()).await
    }

    async fn publish_packs(&self, mut left: Vec<Pack<'_>>) -> Result<(), QueueError> {
        let patience = self.patience();
        let turn = timeout(patience, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| silent("no channel became free", patience))?.map_err(|_| closed())?;
        for _ in 0..ROUNDS {
            let missing = match self.round(&left).await {
                Ok(outcome) if outcome.refused > 0 => return Err(QueueError::Full),
                Ok(outcome) if outcome.nameless => {
                    return Err(QueueError::Unavailable("the broker returned a message without an id".into()));
                }
                Ok(outcome) if outcome.unroutable.is_empty() => return Ok(()),
                Ok(outcome) => {
                    left.retain(|pack| outcome.unroutable.contains(&pack.id()));
                    format!("{} messages had no queue to go to", left.len())
                }
                Err(Failed::Missing(what)) => what,
                Err(Failed::Queue(problem)) => return Err(problem),
            };
            warn!(reason = %missing, "Declaring the queues again and publishing again");
            let connection = self.shared.publish.up_within(patience).await?;
            let declared = timeout(patience, self.shared.publish.declare_missing(&connection)).await;
            declared.map_err(|_| silent("declaring the queues", patience))??;
        }
        Err(QueueError::Unavailable(
            "the queues vanish as fast as they are declared; is somebody deleting them?".into(),
        ))
    }

    /// Publishes each once, on a channel that nobody else uses meanwhile.
    async fn round(&self, packs: &[Pack<'_>]) -> Result<Outcome, Failed> {
        let channel = self.channel().await.map_err(Failed::Queue)?;
        let sent = self.send_all(&channel, packs).await;
        match &sent {
            // Only a channel with no open confirms may serve another call.
            Ok(_) => self.idle().push(channel),
            // Dropping the last handle closes it.
            Err(_) => drop(channel),
        }
        sent
    }

    async fn send_all(&self, channel: &Channel, packs: &[Pack<'_>]) -> Result<Outcome, Failed> {
        let mut window: VecDeque<PublisherConfirm> = VecDeque::with_capacity(packs.len().min(WINDOW));
        let mut outcome = Outcome::default();
        for pack in packs {
            if window.len() >= WINDOW {
                self.settle(&mut window, &mut outcome).await?;
            }
            window.push_back(self.send(channel, pack).await?);
        }
        while !window.is_empty() {
            self.settle(&mut window, &mut outcome).await?;
        }
        Ok(outcome)
    }

    async fn send(&self, channel: &Channel, pack: &Pack<'_>) -> Result<PublisherConfirm, Failed> {
        if let Some(reason) = self.shared.publish.blocked() {
            let text = format!("the broker takes no messages until its alarm is over: {reason}");
            return Err(Failed::Queue(QueueError::Unavailable(text)));
        }
        let job = pack.lead();
        let key = job.payload.kind().as_str().into();
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let properties = message::properties(job, self.shared.clock.now());
        let body = pack.encode();
        let sent = channel.basic_publish(self.exchange.clone(), key, options, &body, properties);
        match timeout(self.patience(), sent).await {
            Ok(sent) => sent.map_err(|problem| self.failed(problem)),
            Err(_) => Err(Failed::Queue(silent("the broker takes no messages", self.patience()))),
        }
    }

    /// Waits for the oldest confirm.
    async fn settle(&self, window: &mut VecDeque<PublisherConfirm>, outcome: &mut Outcome) -> Result<(), Failed> {
        let Some(confirm) = window.pop_front() else { return Ok(()) };
        match timeout(self.patience(), confirm).await {
            Ok(Ok(confirmation)) => outcome.note(confirmation),
            Ok(Err(problem)) => return Err(self.failed(problem)),
            Err(_) => return Err(Failed::Queue(silent("no confirm came", self.patience()))),
        }
        Ok(())
    }

    /// A channel that is lost while its connection lives was closed by the broker, over something that is not there.
    fn failed(&self, problem: lapin::Error) -> Failed {
        if self.shared.publish.is_up() { Failed::Missing(problem.to_string()) } else { Failed::Queue(lost(problem)) }
    }

    async fn channel(&self) -> Result<Channel, QueueError> {
        loop {
            let idle = self.idle().pop();
            match idle {
                Some(channel) if channel.status().connected() => return Ok(channel),
                Some(_) => {}
                None => break,
            }
        }
        let patience = self.patience();
        let connection = self.shared.publish.up_within(patience).await?;
        let open = async {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(channel)
        };
        timeout(patience, open).await.map_err(|_| silent("no channel was opened", patience))?.map_err(lost)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patience(&self) -> Duration {
        self.shared.publish_timeout
    }
}

fn silent(what: &str, patience: Duration) -> QueueError {
    QueueError::Unavailable(format!("{what} within {patience:?}"))
}

fn closed() -> QueueError {
    QueueError::Unavailable("the broker was closed".into())
}

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;
    use lapin::message::{BasicReturnMessage, Delivery};

    use super::*;

    fn returned(properties: BasicProperties) -> BasicReturnMessage {
        let mut delivery = Delivery::mock(0, "".into(), "".into(), false, Vec::new());
        delivery.properties = properties;
        BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() }
    }

    #[test]
    fn a_returned_message_is_known_by_its_own_id_whichever_confirm_carries_it() {
        let id = JobId::generate();
        let mut outcome = Outcome::default();
        outcome.note(Confirmation::Ack(None));
        let message = returned(BasicProperties::default().with_message_id(id.to_string().into()));
        outcome.note(Confirmation::Ack(Some(message)));
        assert_eq!(outcome.unroutable, HashSet::from([id]));
        assert!(outcome.refused == 0 && !outcome.nameless);
    }

    #[test]
    fn only_a_plain_ack_counts_as_taken() {
        let mut outcome = Outcome::default();
        outcome.note(Confirmation::Nack(None));
        assert_eq!(outcome.refused, 1);
        outcome.note(Confirmation::NotRequested);
        assert!(outcome.nameless);

        let mut outcome = Outcome::default();
        outcome.note(Confirmation::Ack(Some(returned(BasicProperties::default()))));
        assert!(outcome.nameless);
    }
}
