//! Groups concurrent one-item calls into batches: a commit of a hundred rows costs a ninth of a hundred commits.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::StoreError;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::error::again;

/// Calls in one batch at most. More gains nothing and makes the first one wait longer.
const BATCH_MAX: usize = 100;
/// Calls that may wait for a batch; the next ones wait before they are counted.
const WAITING_MAX: usize = 4_096;
/// How long a batch gathers company while another is under way.
const LINGER: Duration = Duration::from_millis(2);

/// Work that is done for many at once.
#[async_trait]
pub(super) trait Batch: Send + Sync + 'static {
    /// One call.
    type Question: Send + Sync;
    /// Its answer.
    type Answer: Send;

    /// The row that a call is about.
    fn connection(question: &Self::Question) -> ConnectionId;

    /// All or nothing, in one commit. No two questions are about the same row; answers come in the order of the questions.
    async fn run(&self, questions: &[Self::Question]) -> Result<Vec<Self::Answer>, StoreError>;
}

/// The one-item interface to a [`Batch`].
pub(super) struct Batcher<B: Batch> {
    calls: mpsc::Sender<Call<B>>,
}

struct Call<B: Batch> {
    question: B::Question,
    reply: oneshot::Sender<Result<B::Answer, StoreError>>,
}

impl<B: Batch> Batcher<B> {
    /// Starts so many lanes, each with one batch under way at a time. They end when the batcher is gone and all is done.
    pub(super) fn start(work: B, lanes: usize) -> Self {
        let (calls, waiting) = mpsc::channel(WAITING_MAX);
        let inbox = Arc::new(Inbox { waiting: Mutex::new(waiting), under_way: AtomicUsize::new(0) });
        let work = Arc::new(work);
        for _ in 0..lanes {
            tokio::spawn(lane(Arc::clone(&work), Arc::clone(&inbox)));
        }
        Self { calls }
    }

    /// Asks, and waits for the answer. Whoever stops waiting cancels nothing.
    pub(super) async fn call(&self, question: B::Question) -> Result<B::Answer, StoreError> {
        let gone = || StoreError::Unavailable("the store is closing".to_owned());
        let (reply, answer) = oneshot::channel();
        self.calls.send(Call { question, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// Where the lanes of one batcher find their calls.
struct Inbox<B: Batch> {
    waiting: Mutex<mpsc::Receiver<Call<B>>>,
    under_way: AtomicUsize,
}

impl<B: Batch> Inbox<B> {
    /// The next batch; empty when there will be none.
    ///
    /// A call that finds no batch under way goes out at once, alone or with whoever came with it. One that does waits a
    /// little for company, since the database is busy anyway.
    async fn next(&self) -> Vec<Call<B>> {
        let mut waiting = self.waiting.lock().await;
        let mut calls = Vec::new();
        waiting.recv_many(&mut calls, BATCH_MAX).await;
        let deadline = Instant::now() + LINGER;
        while !calls.is_empty() && calls.len() < BATCH_MAX && self.under_way.load(Ordering::Relaxed) > 0 {
            let room = BATCH_MAX - calls.len();
            match timeout_at(deadline, waiting.recv_many(&mut calls, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        calls
    }
}

async fn lane<B: Batch>(work: Arc<B>, inbox: Arc<Inbox<B>>) {
    loop {
        let mut calls = inbox.next().await;
        if calls.is_empty() {
            return;
        }
        inbox.under_way.fetch_add(1, Ordering::Relaxed);
        while !calls.is_empty() {
            let later = split_off_repeats(&mut calls);
            answer(&*work, calls).await;
            calls = later;
        }
        inbox.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Leaves the first call about each row and returns the others, which see what became of the first.
fn split_off_repeats<B: Batch>(calls: &mut Vec<Call<B>>) -> Vec<Call<B>> {
    let mut seen = HashSet::with_capacity(calls.len());
    calls.extract_if(.., |call| !seen.insert(B::connection(&call.question))).collect()
}

/// Runs one batch and answers everybody. One bad row does not fail its neighbours: after an error that would come again
/// each call is run by itself.
async fn answer<B: Batch>(work: &B, calls: Vec<Call<B>>) {
    let (questions, replies): (Vec<_>, Vec<_>) = calls.into_iter().map(|call| (call.question, call.reply)).unzip();
    // A send fails when the caller went away: what was asked for is done all the same.
    match work.run(&questions).await {
        Ok(answers) => {
            for (reply, answer) in replies.into_iter().zip(answers) {
                let _ = reply.send(Ok(answer));
            }
        }
        Err(error) if error.is_transient() || questions.len() == 1 => {
            for reply in replies {
                let _ = reply.send(Err(again(&error)));
            }
        }
        Err(_) => {
            for (question, reply) in questions.iter().zip(replies) {
                let alone = work.run(std::slice::from_ref(question)).await;
                let _ = reply.send(alone.and_then(|answers| answers.into_iter().next().ok_or_else(no_answer)));
            }
        }
    }
}

fn no_answer() -> StoreError {
    StoreError::Refused("a batch of one came back without an answer".to_owned())
}
