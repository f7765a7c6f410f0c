//! Answers deliveries: many with one frame where it can.

use std::time::Duration;

use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::ledger::{Ack, AckLedger};
use crate::broker::close_channel;

/// Answers taken from the workers at once.
const BATCH: usize = 256;

/// What to tell the broker about a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is dealt with.
    Ack,
    /// It goes back to the queue.
    PutBack,
    /// Nobody can read it: to the dead letters.
    Reject,
}

/// When finished deliveries are acked.
#[derive(Debug, Clone, Copy)]
pub(super) struct AckPace {
    /// How long a finished delivery may wait for others to be acked with.
    pub(super) linger: Duration,
    /// How many times longer it may wait behind an unfinished one.
    pub(super) patience: u32,
    /// Finished deliveries that the prefetch has room for; when they are more, no new work would come.
    pub(super) room: usize,
}

/// Where handlers report the end of a delivery, by its tag. The channel is closed after the last one is dropped.
pub(super) type Answers = mpsc::UnboundedSender<(u64, Answer)>;

/// Answers deliveries of one channel until every sender is gone; then closes the channel.
///
/// The number waiting is bounded by the prefetch, so the way to it needs no bound. Acks go through the channel and not
/// through the deliveries: a channel that is lost answers with an error, and its tags mean nothing to any other.
pub(super) async fn answer_deliveries(
    channel: Channel,
    pace: AckPace,
    mut answers: mpsc::UnboundedReceiver<(u64, Answer)>,
) {
    let mut writer = AckWriter { channel, ledger: AckLedger::default(), sent: 0, lost: 0 };
    let mut batch = Vec::with_capacity(BATCH);
    let mut flush_at = None;
    loop {
        let waiting = flush_at.is_some();
        tokio::select! {
            got = answers.recv_many(&mut batch, BATCH) => {
                if got == 0 {
                    break;
                }
                for (tag, answer) in batch.drain(..) {
                    writer.take(tag, answer).await;
                }
                if writer.ledger.waiting() >= pace.room {
                    writer.flush(0).await;
                    flush_at = None;
                }
            }
            () = sleep_until(flush_at.unwrap_or_else(Instant::now)), if waiting => {
                writer.flush(pace.patience).await;
                flush_at = None;
            }
        }
        if writer.ledger.waiting() > 0 && flush_at.is_none() {
            flush_at = Some(Instant::now() + pace.linger);
        }
    }
    writer.flush(0).await;
    writer.close().await;
}

struct AckWriter {
    channel: Channel,
    ledger: AckLedger,
    sent: u64,
    lost: u64,
}

impl AckWriter {
    async fn take(&mut self, tag: u64, answer: Answer) {
        let answered = match answer {
            Answer::Ack => return self.ledger.finish(tag),
            Answer::PutBack => {
                let options = BasicNackOptions { requeue: true, multiple: false };
                self.channel.basic_nack(tag, options).await
            }
            Answer::Reject => self.channel.basic_reject(tag, BasicRejectOptions { requeue: false }).await,
        };
        self.ledger.answered(tag);
        self.count(answered);
    }

    async fn flush(&mut self, patience: u32) {
        for Ack { tag, multiple } in self.ledger.flush(patience) {
            let acked = self.channel.basic_ack(tag, BasicAckOptions { multiple }).await;
            self.count(acked);
        }
    }

    fn count(&mut self, answered: lapin::Result<()>) {
        match answered {
            Ok(()) => self.sent += 1,
            Err(problem) => {
                if self.lost == 0 {
                    warn!(error = %problem, "Acks were lost with their channel: these jobs come again, and the rows know them");
                }
                self.lost += 1;
            }
        }
    }

    async fn close(self) {
        debug!(sent = self.sent, lost = self.lost, "the last delivery of this channel is answered");
        if self.channel.status().connected() {
            close_channel(&self.channel).await;
        }
    }
}
