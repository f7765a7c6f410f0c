//! Groups concurrent one-item calls into batches: a commit of a hundred rows costs a ninth of a hundred commits.

use std::collections::HashSet;
use std::sync::Arc;
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
/// Work that is done for many at once.
#[async_trait]
pub(super) trait Batch: Send + Sync + 'static {
    /// One call.
    type Question: Send + Sync;
    /// Its answer.
    type Answer: Send;

    /// The row that a call is about.
    fn connection(question: &Self::Question) -> ConnectionId;

    /// Whether somebody waits for the answer: such a call is not made to wait for company.
    fn is_awaited(question: &Self::Question) -> bool;

    /// All or nothing, in one commit. No two questions are about the same row; answers come in the order of the questions.
    async fn run(&self, questions: &[Self::Question]) -> Result<Vec<Self::Answer>, StoreError>;
}

/// The one-item interface to a [`Batch`].
pub(super) struct Batcher<B: Batch> {
    steady: mpsc::Sender<Call<B>>,
    awaited: mpsc::Sender<Call<B>>,
}

struct Call<B: Batch> {
    question: B::Question,
    reply: oneshot::Sender<Result<B::Answer, StoreError>>,
}

impl<B: Batch> Batcher<B> {
    /// Starts so many lanes, each with one batch under way at a time, and one more for calls that somebody waits for. They
    /// end when the batcher is gone and all is done.
    ///
    /// `pace` is from the start of one batch to that of the next, unless that one is full earlier. Calls that somebody
    /// waits for do not keep to it.
    pub(super) fn start(work: B, lanes: usize, pace: Duration) -> Self {
        let work = Arc::new(work);
        let (steady, calls) = mpsc::channel(WAITING_MAX);
        let inbox = Arc::new(Inbox::new(calls, pace));
        for _ in 0..lanes {
            tokio::spawn(lane(Arc::clone(&work), Arc::clone(&inbox)));
        }
        let (awaited, calls) = mpsc::channel(WAITING_MAX);
        tokio::spawn(lane(work, Arc::new(Inbox::new(calls, Duration::ZERO))));
        Self { steady, awaited }
    }

    /// Asks, and waits for the answer. Whoever stops waiting cancels nothing.
    pub(super) async fn call(&self, question: B::Question) -> Result<B::Answer, StoreError> {
        let gone = || StoreError::Unavailable("the store is closing".to_owned());
        let calls = if B::is_awaited(&question) { &self.awaited } else { &self.steady };
        let (reply, answer) = oneshot::channel();
        calls.send(Call { question, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// Where lanes find their calls.
struct Inbox<B: Batch> {
    waiting: Mutex<Waiting<B>>,
    pace: Duration,
}

struct Waiting<B: Batch> {
    calls: mpsc::Receiver<Call<B>>,
    /// A batch that is not full does not begin before this.
    not_before: Instant,
}

impl<B: Batch> Inbox<B> {
    fn new(calls: mpsc::Receiver<Call<B>>, pace: Duration) -> Self {
        Self { waiting: Mutex::new(Waiting { calls, not_before: Instant::now() }), pace }
    }

    /// The next batch; empty when there will be none.
    ///
    /// A call that comes after a pause goes out at once, alone or with whoever came with it. In a stream of calls each
    /// waits a little for company: a commit costs the disk the same for one row and for a hundred.
    async fn next(&self) -> Vec<Call<B>> {
        let mut waiting = self.waiting.lock().await;
        let mut batch = Vec::new();
        waiting.calls.recv_many(&mut batch, BATCH_MAX).await;
        while !batch.is_empty() && batch.len() < BATCH_MAX {
            let (room, deadline) = (BATCH_MAX - batch.len(), waiting.not_before);
            match timeout_at(deadline, waiting.calls.recv_many(&mut batch, room)).await {
                Ok(1..) => {}
                // Nobody calls any more, or nobody else in time.
                Ok(0) | Err(_) => break,
            }
        }
        waiting.not_before = Instant::now() + self.pace;
        batch
    }
}

async fn lane<B: Batch>(work: Arc<B>, inbox: Arc<Inbox<B>>) {
    loop {
        let mut calls = inbox.next().await;
        if calls.is_empty() {
            return;
        }
        while !calls.is_empty() {
            let later = split_off_repeats(&mut calls);
            answer(&*work, calls).await;
            calls = later;
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use tokio::sync::Semaphore;
    use tokio::time::sleep;
    use uuid::Uuid;

    use super::*;

    const PACE: Duration = Duration::from_hours(1);

    /// A question about this row; the answer is the row.
    #[derive(Clone, Copy)]
    enum Ask {
        Fine(u128),
        /// Somebody waits for this one.
        Awaited(u128),
        /// Fails whatever batch it is in, and would again.
        Poison(u128),
        /// Fails whatever batch it is in; the database is away.
        Away(u128),
    }

    impl Ask {
        const fn row(self) -> u128 {
            match self {
                Self::Fine(row) | Self::Awaited(row) | Self::Poison(row) | Self::Away(row) => row,
            }
        }
    }

    /// Writes down its batches, and runs one for each permit.
    #[derive(Clone)]
    struct Diary {
        batches: Arc<StdMutex<Vec<Vec<u128>>>>,
        permits: Arc<Semaphore>,
    }

    impl Diary {
        fn new(permits: usize) -> Self {
            Self { batches: Arc::default(), permits: Arc::new(Semaphore::new(permits)) }
        }

        fn sizes(&self) -> Vec<usize> {
            self.batches.lock().unwrap().iter().map(Vec::len).collect()
        }
    }

    #[async_trait]
    impl Batch for Diary {
        type Question = Ask;
        type Answer = u128;

        fn connection(ask: &Ask) -> ConnectionId {
            Uuid::from_u128(ask.row()).into()
        }

        fn is_awaited(ask: &Ask) -> bool {
            matches!(ask, Ask::Awaited(_))
        }

        async fn run(&self, asks: &[Ask]) -> Result<Vec<u128>, StoreError> {
            self.batches.lock().unwrap().push(asks.iter().map(|ask| ask.row()).collect());
            self.permits.acquire().await.unwrap().forget();
            if asks.iter().any(|ask| matches!(ask, Ask::Away(_))) {
                return Err(StoreError::Unavailable("away".to_owned()));
            }
            if asks.iter().any(|ask| matches!(ask, Ask::Poison(_))) {
                return Err(StoreError::Refused("poison".to_owned()));
            }
            Ok(asks.iter().map(|ask| ask.row()).collect())
        }
    }

    /// Each from a task of its own, as workers do; answers in the order of the questions.
    async fn ask_all(batcher: Batcher<Diary>, asks: impl IntoIterator<Item = Ask>) -> Vec<Result<u128, StoreError>> {
        let batcher = Arc::new(batcher);
        let ask = |ask| {
            let batcher = Arc::clone(&batcher);
            tokio::spawn(async move { batcher.call(ask).await })
        };
        let calls: Vec<_> = asks.into_iter().map(ask).collect();
        futures::future::join_all(calls).await.into_iter().map(Result::unwrap).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_after_a_pause_goes_out_at_once() {
        let diary = Diary::new(1_000);
        let batcher = Batcher::start(diary.clone(), 2, PACE);
        for row in 0..3 {
            let begun = Instant::now();
            assert_eq!(batcher.call(Ask::Fine(row)).await.unwrap(), row);
            assert_eq!(begun.elapsed(), Duration::ZERO);
            sleep(PACE).await;
        }
        assert_eq!(diary.sizes(), [1, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_a_stream_gather_until_the_pace_or_a_hundred_of_them_let_them_go() {
        let diary = Diary::new(1_000);
        let batcher = Batcher::start(diary.clone(), 2, PACE);
        let begun = Instant::now();
        batcher.call(Ask::Fine(0)).await.unwrap();
        ask_all(batcher, (1..=150).map(Ask::Fine)).await;
        assert_eq!(diary.sizes(), [1, 100, 50]);
        // The full one waited for nothing; the last one kept to the pace after it.
        assert_eq!(begun.elapsed(), PACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_somebody_waits_for_passes_those_that_gather() {
        let diary = Diary::new(1_000);
        let batcher = Batcher::start(diary.clone(), 2, PACE);
        batcher.call(Ask::Fine(0)).await.unwrap();
        let begun = Instant::now();
        let awaited = async {
            batcher.call(Ask::Awaited(2)).await.unwrap();
            assert_eq!(begun.elapsed(), Duration::ZERO);
        };
        let (steady, ()) = tokio::join!(batcher.call(Ask::Fine(1)), awaited);
        assert_eq!((steady.unwrap(), begun.elapsed()), (1, PACE));
        assert_eq!(*diary.batches.lock().unwrap(), [[0], [2], [1]]);
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_calls_share_batches_of_a_hundred_and_get_their_own_answers() {
        let diary = Diary::new(1_000);
        let batcher = Batcher::start(diary.clone(), 1, PACE);
        let answers = ask_all(batcher, (0..250).map(Ask::Fine)).await;
        let rows: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(rows, (0..250).collect::<Vec<_>>());
        assert_eq!(diary.sizes(), [100, 100, 50]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_asked_for_twice_is_in_two_batches() {
        let diary = Diary::new(1_000);
        let batcher = Batcher::start(diary.clone(), 1, PACE);
        let answers = ask_all(batcher, [1, 2, 1, 1, 3].map(Ask::Fine)).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(*diary.batches.lock().unwrap(), [vec![1, 2, 3], vec![1], vec![1]]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_bad_question_fails_alone() {
        let diary = Diary::new(1_000);
        let batcher = Batcher::start(diary.clone(), 1, PACE);
        let answers = ask_all(batcher, [Ask::Fine(1), Ask::Poison(2), Ask::Fine(3)]).await;
        let text: Vec<_> = answers.into_iter().map(|answer| answer.map_err(|error| error.to_string())).collect();
        assert_eq!(text, [Ok(1), Err("the store refused: poison".to_owned()), Ok(3)]);
    }

    /// Trying each alone would ask a database that is down a hundred times.
    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_to_all_at_once() {
        let diary = Diary::new(1_000);
        let batcher = Batcher::start(diary.clone(), 1, PACE);
        let answers = ask_all(batcher, [Ask::Fine(1), Ask::Away(2), Ask::Fine(3)]).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))));
        assert_eq!(diary.sizes(), [3]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_is_done_after_the_batcher_is_gone() {
        let diary = Diary::new(0);
        let batcher = Batcher::start(diary.clone(), 1, PACE);
        {
            let mut call = Box::pin(batcher.call(Ask::Fine(1)));
            assert!(futures::poll!(&mut call).is_pending());
        }
        drop(batcher);
        diary.permits.add_permits(1);
        while diary.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(diary.sizes(), [1]);
    }
}
