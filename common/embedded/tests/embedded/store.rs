//! What only a SQLite store must do: its file, its processes, its keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use evergrant_contract::connection::{
    Grant, IfPresent, Lease, LeaseRequest, Leased, NewConnection, Settled, Settlement, Stored,
};
use evergrant_contract::ids::{ConnectionId, ProcessId, Version};
use evergrant_contract::ports::{Apps, Clock, Connections, Leases, Offices, Peer, StoreError};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::transition::{Change, Standing};
use evergrant_contract::verdict::Tokens;
use evergrant_embedded::{SqliteOptions, SqliteStore};
use evergrant_testkit::ManualClock;
use evergrant_vault::Keyring;
use sqlx::{Connection as _, SqliteConnection};

const HOUR: Duration = Duration::from_hours(1);

/// A database file in a folder of its own, both removed in the end.
pub(crate) struct File {
    folder: tempfile::TempDir,
}

impl File {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("evergrant.db")
    }

    pub(crate) async fn open(&self, keyring: &Arc<Keyring>, clock: &Arc<ManualClock>) -> SqliteStore {
        self.try_open(keyring, clock).await.unwrap()
    }

    async fn try_open(&self, keyring: &Arc<Keyring>, clock: &Arc<ManualClock>) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(SqliteOptions::new(self.path()), keyring.clone(), clock.clone()).await
    }

    /// A connection past the store, for what no port can do.
    pub(crate) async fn raw(&self) -> SqliteConnection {
        SqliteConnection::connect(&format!("sqlite://{}", self.path().display())).await.unwrap()
    }

    /// Everything on the disk, the write-ahead log included.
    fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

pub(crate) fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::parse(&Keyring::generate_key()).unwrap())
}

pub(crate) fn keyring_of(keys: &[&Secret]) -> Arc<Keyring> {
    let keys: Vec<_> = keys.iter().map(|key| key.expose()).collect();
    Arc::new(Keyring::parse(&Secret::new(keys.join(","))).unwrap())
}

fn new_connection(user: &str, clock: &ManualClock) -> NewConnection {
    NewConnection {
        user: user.parse().unwrap(),
        provider: "amazon-na".parse().unwrap(),
        account: String::new(),
        label: String::new(),
        scopes: String::new(),
        access_token: Some(Secret::new("Atza|plain-access")),
        refresh_token: Some(Secret::new("Atzr|plain-refresh")),
        expires_at: Some(clock.now() + TimeDelta::hours(1)),
        refresh_at: clock.now(),
        consent_at: None,
        refresh_expires_at: None,
    }
}

async fn connect(store: &SqliteStore, clock: &ManualClock, user: &str) -> ConnectionId {
    match store.put(vec![new_connection(user, clock)], IfPresent::Keep).await.unwrap()[..] {
        [Stored::Inserted(id)] => id,
        ref other => panic!("one new connection was put, the answer is {other:?}"),
    }
}

fn request(connection: ConnectionId) -> LeaseRequest {
    LeaseRequest {
        connection,
        version: Version::FIRST,
        seen_refresh_at: None,
        owner: ProcessId::generate(),
        ttl: HOUR,
        takeover_grace: HOUR,
        is_awaited: false,
    }
}

/// The lease of a row as it stands.
async fn hold(store: &SqliteStore, id: ConnectionId) -> Grant {
    let version = store.find(id).await.unwrap().unwrap().version;
    match store.acquire(LeaseRequest { version, ..request(id) }).await.unwrap() {
        Leased::Held(grant) => *grant,
        _ => panic!("the lease is free"),
    }
}

fn only_giving_back(lease: Lease, clock: &ManualClock) -> Settlement {
    Settlement {
        lease,
        change: None,
        tokens: None,
        unread_answer: None,
        attempts: vec![],
        last_error: None,
        failed_job: None,
        decided_at: clock.now(),
    }
}

/// A success whose answer had no refresh token.
fn refreshed(lease: Lease, clock: &ManualClock) -> Settlement {
    let tokens = Tokens {
        access_token: Secret::new("Atza|plain-second"),
        refresh_token: None,
        lifetime: HOUR,
        refresh_expires_at: None,
        scopes: None,
    };
    let change = Change { standing: Standing::ACTIVE, reason: None, refresh_at: Some(clock.now()), gives_up: false };
    Settlement { change: Some(change), tokens: Some((tokens, clock.now())), ..only_giving_back(lease, clock) }
}

fn ended(lease: Lease, clock: &ManualClock, reason: Reason) -> Settlement {
    let standing = Standing { state: State::NeedsReauth, failures: 0, suspicions: 0 };
    let change = Change { standing, reason: Some(reason), refresh_at: None, gives_up: false };
    Settlement { change: Some(change), ..only_giving_back(lease, clock) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_one_gets_each_lease() {
    const CONNECTIONS: usize = 100;
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let one = Arc::new(file.open(&keyring, &clock).await);
    let other = Arc::new(file.open(&keyring, &clock).await);
    let offer = (0..CONNECTIONS).map(|n| new_connection(&format!("user-{n}"), &clock)).collect();
    let ids: Vec<_> = one.put(offer, IfPresent::Keep).await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for stored in ids {
        let Stored::Inserted(id) = stored else { panic!("all are new, the answer is {stored:?}") };
        for store in [&one, &other] {
            let store = Arc::clone(store);
            calls.spawn(async move { store.acquire(request(id)).await.unwrap() });
        }
    }
    let answers = calls.join_all().await;
    let held = answers.iter().filter(|answer| matches!(answer, Leased::Held(_))).count();
    let busy = answers.iter().filter(|answer| matches!(answer, Leased::Busy)).count();
    assert_eq!((held, busy), (CONNECTIONS, CONNECTIONS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_start_on_a_new_file_at_once() {
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let opened = futures::future::join_all((0..8).map(|_| file.try_open(&keyring, &clock))).await;
    for store in opened {
        connect(&store.unwrap(), &clock, &ProcessId::generate().to_string()).await;
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let store = file.open(&keyring, &clock).await;
    let id = connect(&store, &clock, "user").await;
    store.close().await;
    let closed = store.disconnect(id).await.unwrap_err();
    assert!(closed.is_transient(), "{closed}");
    let store = file.open(&keyring, &clock).await;
    assert_eq!(hold(&store, id).await.refresh_token.expose(), "Atzr|plain-refresh");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_and_holds_no_plaintext() {
    use std::os::unix::fs::PermissionsExt;

    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let store = file.open(&keyring, &clock).await;
    let id = connect(&store, &clock, "user").await;
    let lease = hold(&store, id).await.lease;
    let answer = Settlement { unread_answer: Some(Secret::new("plain-answer")), ..only_giving_back(lease, &clock) };
    assert_eq!(store.settle(answer).await.unwrap(), Settled::Written(Version::FIRST));
    for entry in std::fs::read_dir(file.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
    let bytes = file.bytes();
    assert!(contains(&bytes, b"amazon-na"), "the bytes are those of the database");
    assert!(!contains(&bytes, b"plain-"), "a secret is on the disk in the clear");
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[tokio::test]
async fn what_a_result_carries_over_follows_the_primary_key() {
    let (old, new) = (Keyring::generate_key(), Keyring::generate_key());
    let (before, after) = (keyring_of(&[&old]), keyring_of(&[&new, &old]));
    let (file, clock) = (File::new(), ManualClock::new());
    let store = file.open(&before, &clock).await;
    let (with_tokens, with_answer) = (connect(&store, &clock, "tokens").await, connect(&store, &clock, "answer").await);
    assert_eq!(store.keys_in_use().await.unwrap(), [(before.primary().as_str().to_owned(), 2)]);
    store.close().await;

    let store = file.open(&after, &clock).await;
    let lease = hold(&store, with_tokens).await.lease;
    assert_eq!(store.settle(refreshed(lease, &clock)).await.unwrap(), Settled::Written(Version::FIRST.next()));
    let lease = hold(&store, with_answer).await.lease;
    let answer = Settlement { unread_answer: Some(Secret::new("answer")), ..only_giving_back(lease, &clock) };
    assert_eq!(store.settle(answer).await.unwrap(), Settled::Written(Version::FIRST));
    assert_eq!(store.keys_in_use().await.unwrap(), [(after.primary().as_str().to_owned(), 2)]);
    store.close().await;

    let store = file.open(&keyring_of(&[&new]), &clock).await;
    for (id, access_token) in [(with_tokens, "Atza|plain-second"), (with_answer, "Atza|plain-access")] {
        assert_eq!(hold(&store, id).await.refresh_token.expose(), "Atzr|plain-refresh");
        assert_eq!(store.access_token(id).await.unwrap().unwrap().token.expose(), access_token);
    }
}

#[tokio::test]
async fn a_key_that_comes_back_ends_the_quarantine() {
    let (file, clock, right) = (File::new(), ManualClock::new(), keyring());
    let store = file.open(&right, &clock).await;
    let id = connect(&store, &clock, "user").await;
    store.close().await;

    let store = file.open(&keyring(), &clock).await;
    assert!(store.access_token(id).await.unwrap().is_none(), "what cannot be opened is not given out");
    let Leased::Unspendable { lease, reason, .. } = store.acquire(request(id)).await.unwrap() else {
        panic!("the refresh token cannot be opened");
    };
    assert_eq!(reason, Reason::Undecryptable);
    assert_eq!(store.settle(ended(lease, &clock, reason)).await.unwrap(), Settled::Written(Version::FIRST));
    assert_eq!(store.restore_decryptable(clock.now()).await.unwrap(), 0, "the key is still the wrong one");
    store.close().await;

    let store = file.open(&right, &clock).await;
    assert_eq!(store.restore_decryptable(clock.now()).await.unwrap(), 1);
    let row = store.find(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.version, row.refresh_at), (State::Active, Version::FIRST, Some(clock.now())));
    assert_eq!(hold(&store, id).await.refresh_token.expose(), "Atzr|plain-refresh");
}

#[tokio::test]
async fn a_quarantine_of_many_pages_ends_as_a_whole() {
    const CONNECTIONS: usize = 2_100;
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let store = file.open(&keyring, &clock).await;
    let offer = (0..CONNECTIONS).map(|n| new_connection(&format!("user-{n}"), &clock)).collect();
    store.put(offer, IfPresent::Keep).await.unwrap();
    let raw = "UPDATE schedules SET state = 'needs_reauth', reason = 'undecryptable', refresh_at = NULL";
    sqlx::query(raw).execute(&mut file.raw().await).await.unwrap();
    assert_eq!(store.restore_decryptable(clock.now()).await.unwrap(), CONNECTIONS as u64);
    assert_eq!(store.stats(clock.now(), clock.now()).await.unwrap().due, CONNECTIONS as u64);
}

#[tokio::test]
async fn a_lease_lapses_and_its_grace_ends_to_the_millisecond() {
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let store = file.open(&keyring, &clock).await;
    let id = connect(&store, &clock, "user").await;
    let (almost, millisecond) = (Duration::from_millis(9_999), Duration::from_millis(1));
    let ask = async || {
        let (ttl, takeover_grace) = (almost + millisecond, almost + millisecond);
        store.acquire(LeaseRequest { ttl, takeover_grace, ..request(id) }).await.unwrap()
    };
    let Leased::Held(former) = ask().await else { panic!("the lease is free") };

    clock.advance(almost).await;
    assert!(matches!(ask().await, Leased::Busy), "it has a millisecond left");
    clock.advance(millisecond).await;
    assert!(matches!(ask().await, Leased::Busy), "it has lapsed, and this call contests it");
    clock.advance(almost).await;
    assert!(matches!(ask().await, Leased::Busy), "the grace has a millisecond left");
    clock.advance(millisecond).await;
    let Leased::Held(taker) = ask().await else { panic!("the grace is over") };
    assert_eq!(taker.taken_over_from, Some(former.lease.owner));
}

#[tokio::test]
async fn a_process_that_died_is_forgotten_after_a_day() {
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let store = file.open(&keyring, &clock).await;
    let peer = |process| Peer {
        process,
        role: "worker".into(),
        primary_key: "k".into(),
        keys: vec!["k".into(), "old".into()],
        seen_at: clock.now(),
        drain: None,
    };
    let (dead, alive) = (ProcessId::generate(), ProcessId::generate());
    store.announce(&peer(dead)).await.unwrap();
    clock.advance(25 * HOUR).await;
    store.announce(&peer(alive)).await.unwrap();
    assert_eq!(store.peers(100 * HOUR).await.unwrap(), [peer(alive)]);
}

#[tokio::test]
async fn a_ciphertext_moved_to_another_row_does_not_open() {
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let store = file.open(&keyring, &clock).await;
    let (mine, theirs) = (connect(&store, &clock, "mine").await, connect(&store, &clock, "theirs").await);
    sqlx::query("UPDATE tokens SET refresh_token = (SELECT refresh_token FROM tokens WHERE connection_id = ?) WHERE connection_id = ?")
        .bind(theirs.uuid())
        .bind(mine.uuid())
        .execute(&mut file.raw().await)
        .await
        .unwrap();
    let answer = store.acquire(request(mine)).await.unwrap();
    assert!(matches!(answer, Leased::Unspendable { reason: Reason::Undecryptable, .. }));
}

#[tokio::test]
async fn a_corrupt_row_is_named_and_its_neighbours_are_served() {
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let store = file.open(&keyring, &clock).await;
    let (bad, good) = (connect(&store, &clock, "bad").await, connect(&store, &clock, "good").await);
    sqlx::query("UPDATE connections SET provider = 'No Provider' WHERE id = ?")
        .bind(bad.uuid())
        .execute(&mut file.raw().await)
        .await
        .unwrap();
    for error in [store.find(bad).await.unwrap_err(), store.acquire(request(bad)).await.err().unwrap()] {
        let StoreError::Corrupt { table: "connections", column: "provider", row, problem } = error else {
            panic!("the cell is named, the error is {error}");
        };
        assert_eq!((row, problem.contains("No Provider")), (bad.to_string(), false));
    }
    assert_eq!(hold(&store, good).await.lease.connection, good);
}

#[tokio::test]
async fn a_settlement_that_breaks_a_rule_is_refused_without_its_ciphertext() {
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let store = file.open(&keyring, &clock).await;
    let id = connect(&store, &clock, "user").await;
    let lease = hold(&store, id).await.lease;
    let mut settlement = refreshed(lease, &clock);
    settlement.change = settlement.change.map(|change| Change { reason: Some(Reason::ByUser), ..change });
    let error = store.settle(settlement).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(!error.to_string().contains("gAAAA"), "{error}");
    assert_eq!(store.find(id).await.unwrap().unwrap().version, Version::FIRST, "nothing of it was written");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_says_what_to_do() {
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    file.open(&keyring, &clock).await.close().await;
    sqlx::query("UPDATE _evergrant_migrations SET version = 9999 WHERE version = 1")
        .execute(&mut file.raw().await)
        .await
        .unwrap();
    let newer = file.try_open(&keyring, &clock).await.err().unwrap();
    assert!(newer.to_string().contains("newer release"), "{newer}");

    let missing = SqliteOptions::new(file.folder.path().join("no-folder/evergrant.db"));
    let missing = SqliteStore::open(missing, keyring, clock).await.err().unwrap();
    assert!(missing.to_string().contains("check that its folder exists"), "{missing}");
}

#[tokio::test]
async fn another_writer_makes_it_unavailable_and_leaves_reads_alone() {
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let options = SqliteOptions { busy_timeout: Duration::from_millis(1), ..SqliteOptions::new(file.path()) };
    let store = SqliteStore::open(options, keyring, clock.clone()).await.unwrap();
    let id = connect(&store, &clock, "user").await;
    let mut other = file.raw().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let error = store.disconnect(id).await.unwrap_err();
    assert!(error.to_string().starts_with("the store is unavailable: another process is writing"), "{error}");
    assert_eq!(store.find(id).await.unwrap().unwrap().state, State::Active);
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert!(store.disconnect(id).await.unwrap());
    assert!(store.apps().await.unwrap().is_empty());
}
