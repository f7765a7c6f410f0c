use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evergrant_testkit::ManualClock;
use futures::future::{BoxFuture, join_all};
use futures::poll;
use tokio::sync::Semaphore;

use super::super::file;
use super::*;

/// A writer on a fresh file, and a table to write to.
struct Bench {
    writer: Arc<Writer>,
    options: SqliteOptions,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::with_patience(Duration::from_secs(5)).await
    }

    async fn with_patience(busy_timeout: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions { busy_timeout, ..SqliteOptions::new(folder.path().join("evergrant.db")) };
        let mut connection = file::prepare(&options).await.unwrap();
        statement(&mut connection, "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")
            .await
            .unwrap();
        let keyring = Arc::new(Keyring::parse(&Keyring::generate_key()).unwrap());
        let writer = Arc::new(Writer::start(&options, connection, keyring, ManualClock::new()));
        Self { writer, options, _folder: folder }
    }

    fn write<W: Write>(&self, write: W) -> BoxFuture<'static, Result<W::Output, StoreError>> {
        let writer = self.writer.clone();
        async move { writer.write(write).await }.boxed()
    }

    /// Hands writes over in this order while the writer is busy, so that they are one group; their answers.
    async fn group(&self, notes: Vec<Note>) -> Vec<Result<(), StoreError>> {
        let gate = Gate::new();
        let mut busy = self.write(gate.clone());
        assert!(poll!(&mut busy).is_pending());
        gate.entered().await;
        let mut waiting: Vec<_> = notes.into_iter().map(|note| self.write(note)).collect();
        for write in &mut waiting {
            assert!(poll!(write).is_pending());
        }
        gate.open();
        busy.await.unwrap();
        join_all(waiting).await
    }

    async fn notes(&self) -> Vec<String> {
        let mut reader = self.options.open_writer().await.unwrap();
        sqlx::query_scalar("SELECT text FROM notes ORDER BY id").fetch_all(&mut reader).await.unwrap()
    }
}

/// Keeps the writer busy until it is opened.
#[derive(Clone)]
struct Gate {
    entered: Arc<Semaphore>,
    opened: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { entered: Arc::new(Semaphore::new(0)), opened: Arc::new(Semaphore::new(0)) }
    }

    async fn entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    fn open(&self) {
        self.opened.add_permits(1);
    }
}

#[async_trait]
impl Write for Gate {
    type Output = ();

    async fn apply(&self, _: &mut Scope<'_>) -> Result<(), StoreError> {
        self.entered.add_permits(1);
        self.opened.acquire().await.unwrap().forget();
        Ok(())
    }
}

/// Writes a line, and then does what it is told.
struct Note {
    text: &'static str,
    then: fn() -> Result<(), StoreError>,
    applied: Arc<AtomicUsize>,
}

fn note(text: &'static str) -> Note {
    Note { text, then: || Ok(()), applied: Arc::default() }
}

fn poison() -> Note {
    Note { then: || Err(StoreError::Refused("poison".into())), ..note("poison") }
}

#[async_trait]
impl Write for Note {
    type Output = ();

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), StoreError> {
        self.applied.fetch_add(1, Ordering::SeqCst);
        sqlx::query("INSERT INTO notes (text) VALUES (?)").bind(self.text).execute(&mut *scope.db).await.explain()?;
        (self.then)()
    }
}

#[tokio::test]
async fn what_waits_is_one_commit_in_its_order() {
    let bench = Bench::new().await;
    let (first, last) = (Gate::new(), Gate::new());
    let mut busy = bench.write(first.clone());
    assert!(poll!(&mut busy).is_pending());
    first.entered().await;
    let (mut one, mut two, mut three) = (bench.write(note("one")), bench.write(note("two")), bench.write(last.clone()));
    assert!(poll!(&mut one).is_pending() && poll!(&mut two).is_pending() && poll!(&mut three).is_pending());
    first.open();
    last.entered().await;
    assert_eq!(bench.notes().await, [""; 0], "both are applied, and neither is committed before the whole group");
    assert!(poll!(&mut one).is_pending(), "an answer follows the commit");
    last.open();
    three.await.unwrap();
    assert_eq!(bench.notes().await, ["one", "two"]);
    one.await.unwrap();
    two.await.unwrap();
    busy.await.unwrap();
}

#[tokio::test]
async fn a_poisoned_write_fails_alone() {
    let bench = Bench::new().await;
    let good = note("good");
    let applied = good.applied.clone();
    let answers = bench.group(vec![good, poison(), note("too")]).await;
    assert!(matches!(answers[..], [Ok(()), Err(StoreError::Refused(_)), Ok(())]));
    assert_eq!(bench.notes().await, ["good", "too"], "in their order, and nothing of the poisoned one");
    assert_eq!(applied.load(Ordering::SeqCst), 2, "once in the group that was rolled back, once alone");
    assert!(bench.write(poison()).await.is_err(), "a group of one fails too");
    bench.write(note("after")).await.unwrap();
}

#[tokio::test]
async fn a_write_that_panics_does_not_end_all_writing() {
    let bench = Bench::new().await;
    let panicking = Note { then: || panic!("a write that panics"), ..note("panic") };
    let answers = bench.group(vec![note("neighbour"), panicking]).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(StoreError::is_transient)));
    bench.write(note("after")).await.unwrap();
    assert_eq!(bench.notes().await, ["after"]);
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_nothing() {
    let bench = Bench::new().await;
    let gate = Gate::new();
    let mut busy = bench.write(gate.clone());
    assert!(poll!(&mut busy).is_pending());
    gate.entered().await;
    let mut abandoned = bench.write(note("abandoned"));
    assert!(poll!(&mut abandoned).is_pending());
    drop((busy, abandoned));
    gate.open();
    bench.writer.close().await;
    assert_eq!(bench.notes().await, ["abandoned"]);
    assert!(bench.write(note("late")).await.is_err_and(|error| error.is_transient()));
}

#[tokio::test]
async fn a_transaction_that_cannot_begin_fails_its_whole_group_and_no_other() {
    let bench = Bench::with_patience(Duration::from_millis(1)).await;
    let mut other = bench.options.open_writer().await.unwrap();
    statement(&mut other, "BEGIN IMMEDIATE").await.unwrap();
    let answers = join_all((0..3).map(|_| bench.write(note("refused")))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(StoreError::is_transient)));
    statement(&mut other, "ROLLBACK").await.unwrap();
    bench.write(note("after")).await.unwrap();
    assert_eq!(bench.notes().await, ["after"]);
}
