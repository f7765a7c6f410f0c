//! The one writer: what is waiting shares a transaction and a commit.
//!
//! A commit costs a visit to the disk, whatever is in it. So the writer takes everything that waits (up to a limit), commits
//! once and answers all of them; when nobody else waits, a single write goes at once. Answers follow the commit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ports::{Clock, StoreError};
use evergrant_vault::Keyring;
use futures::FutureExt;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::Explain;
use super::file::SqliteOptions;

/// What a write may use.
pub(super) struct Scope<'a> {
    pub(super) db: &'a mut SqliteConnection,
    pub(super) keyring: &'a Keyring,
    pub(super) now: Timestamp,
}

/// One write. Applied twice if a neighbour in the group fails: the first time is then rolled back.
#[async_trait]
pub(super) trait Write: Send + Sync + 'static {
    type Output: Send + 'static;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Self::Output, StoreError>;
}

/// Writes that may wait for the writer; a caller beyond that waits with its write in hand.
const WAITING_LIMIT: usize = 1024;

/// A handle of the writer. The task ends, with everything handed over committed, when the handle is dropped or closed.
pub(super) struct Writer {
    waiting: mpsc::Sender<Box<dyn Item>>,
    closing: CancellationToken,
    task: TaskTracker,
}

impl Writer {
    pub(super) fn start(
        options: &SqliteOptions,
        connection: SqliteConnection,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (waiting, queue) = mpsc::channel(WAITING_LIMIT);
        let closing = CancellationToken::new();
        let task = TaskTracker::new();
        let desk = Desk { options: options.clone(), connection: Some(connection), keyring, clock };
        task.spawn(desk.run(queue, closing.clone()));
        task.close();
        Self { waiting, closing, task }
    }

    /// Hands a write over and waits for its commit. Once handed over it is done, whether the caller waits or not.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        let (reply, answer) = oneshot::channel();
        let slip = Slip { write, output: None, reply };
        self.waiting
            .send(Box::new(slip))
            .await
            .map_err(|_| StoreError::Unavailable("the database is closed".into()))?;
        answer.await.map_err(|_| StoreError::Unavailable("the write was given up; the log says why".into()))?
    }

    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.task.wait().await;
    }
}

/// A write with the way back to its caller, its type forgotten.
#[async_trait]
trait Item: Send {
    async fn apply(&mut self, scope: &mut Scope<'_>) -> Result<(), StoreError>;
    fn committed(self: Box<Self>);
    fn failed(self: Box<Self>, error: StoreError);
}

struct Slip<W: Write> {
    write: W,
    output: Option<W::Output>,
    reply: oneshot::Sender<Result<W::Output, StoreError>>,
}

#[async_trait]
impl<W: Write> Item for Slip<W> {
    async fn apply(&mut self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        self.output = Some(self.write.apply(scope).await?);
        Ok(())
    }

    fn committed(self: Box<Self>) {
        if let Some(output) = self.output {
            // An error says that the caller went away, which changes nothing.
            let _ = self.reply.send(Ok(output));
        }
    }

    fn failed(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}

/// Why a transaction was rolled back.
enum Failure {
    /// One of its writes failed; its neighbours may succeed without it.
    Write(StoreError),
    /// It could not begin or commit: nothing in it can succeed now.
    Transaction(String),
}

impl Failure {
    fn transaction(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(text) | StoreError::Refused(text) => Self::Transaction(text),
            corrupt @ StoreError::Corrupt { .. } => Self::Transaction(corrupt.to_string()),
        }
    }
}

/// Where the writer sits.
struct Desk {
    options: SqliteOptions,
    /// `None` after a transaction whose end is uncertain: the next one begins on a fresh connection.
    connection: Option<SqliteConnection>,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
}

impl Desk {
    async fn run(mut self, queue: mpsc::Receiver<Box<dyn Item>>, closing: CancellationToken) {
        self.serve(queue, closing).await;
        // Waits for the end of the connection, which locks the file while it merges the write-ahead log into it.
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "The database file was not closed well; the next start recovers it");
        }
    }

    async fn serve(&mut self, mut queue: mpsc::Receiver<Box<dyn Item>>, closing: CancellationToken) {
        let mut group = Vec::new();
        loop {
            let taken = tokio::select! {
                biased;
                () = closing.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
                taken = queue.recv_many(&mut group, self.options.group_limit.max(1)) => taken,
            };
            if taken == 0 {
                return;
            }
            // A panic is answered to this group's callers by their dropped replies, and must not end all writing.
            let group = std::mem::take(&mut group);
            if AssertUnwindSafe(self.commit(group)).catch_unwind().await.is_err() {
                tracing::error!("A write panicked; the writer goes on with a fresh connection");
                self.connection = None;
            }
        }
    }

    /// Commits the group as one, or, if a write in it fails, one by one.
    async fn commit(&mut self, mut group: Vec<Box<dyn Item>>) {
        match self.transaction(&mut group).await {
            Ok(()) => group.into_iter().for_each(Item::committed),
            Err(Failure::Transaction(text)) => fail_all(group, &text),
            Err(Failure::Write(_)) => self.commit_one_by_one(group).await,
        }
    }

    async fn commit_one_by_one(&mut self, group: Vec<Box<dyn Item>>) {
        let mut rest = group.into_iter();
        while let Some(item) = rest.next() {
            let mut alone = [item];
            let outcome = self.transaction(&mut alone).await;
            let [item] = alone;
            match outcome {
                Ok(()) => item.committed(),
                Err(Failure::Write(error)) => item.failed(error),
                Err(Failure::Transaction(text)) => {
                    item.failed(StoreError::Unavailable(text.clone()));
                    return fail_all(rest, &text);
                }
            }
        }
    }

    async fn transaction(&mut self, items: &mut [Box<dyn Item>]) -> Result<(), Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.open_writer().await.explain().map_err(Failure::transaction)?,
        };
        let outcome = self.attempt(&mut connection, items).await;
        // After a failure SQLite may or may not have rolled back by itself, or never have begun. A rollback that fails too
        // leaves the state of the connection unknown: closing it ends whatever was left open.
        if outcome.is_ok() || statement(&mut connection, "ROLLBACK").await.is_ok() {
            self.connection = Some(connection);
        } else {
            let _ = connection.close().await;
        }
        outcome
    }

    async fn attempt(&self, db: &mut SqliteConnection, items: &mut [Box<dyn Item>]) -> Result<(), Failure> {
        statement(db, "BEGIN IMMEDIATE").await.map_err(Failure::transaction)?;
        for item in items {
            let mut scope = Scope { db: &mut *db, keyring: &self.keyring, now: self.clock.now() };
            item.apply(&mut scope).await.map_err(Failure::Write)?;
        }
        statement(db, "COMMIT").await.map_err(Failure::transaction)
    }
}

async fn statement(db: &mut SqliteConnection, sql: &'static str) -> Result<(), StoreError> {
    sqlx::query(sql).execute(db).await.map(drop).explain()
}

fn fail_all(items: impl IntoIterator<Item = Box<dyn Item>>, text: &str) {
    for item in items {
        item.failed(StoreError::Unavailable(text.to_owned()));
    }
}

#[cfg(test)]
mod tests;
