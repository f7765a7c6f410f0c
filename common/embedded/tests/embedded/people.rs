//! What only a SQLite store must do with users, sessions, consents under way and keys: its cells and its processes.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ApiKeyId, SessionId};
use evergrant_contract::people::{ApiKey, FIRST_GENERATION, Flow, FlowPurpose, Saved, Scope, Session, User, UserKey};
use evergrant_contract::ports::{ApiKeys, Clock, Sessions, StoreError, Users};
use evergrant_contract::timing::after;
use evergrant_embedded::SqliteStore;
use evergrant_testkit::ManualClock;

use crate::store::{File, keyring};

fn new_user(id: &str, now: Timestamp) -> User {
    User {
        id: id.parse().unwrap(),
        email: format!("{id}@example.com"),
        name: String::new(),
        account: String::new(),
        is_admin: false,
        is_active: true,
        profile_ids: vec![],
        marketplace_ids: vec![],
        created_at: now,
    }
}

fn new_session(user: &User, now: Timestamp) -> Session {
    Session {
        id: SessionId::generate(),
        user: user.id.clone(),
        generation: FIRST_GENERATION,
        rotated_at: now,
        created_at: now,
        idle_until: after(now, Duration::from_mins(10)),
        ends_at: after(now, Duration::from_hours(1)),
        ended_at: None,
        end_reason: None,
    }
}

fn new_flow(state: u8, now: Timestamp) -> Flow {
    Flow {
        state: [state; 32],
        purpose: FlowPurpose::SignIn,
        provider: "amazon-na".parse().unwrap(),
        redirect_uri: "https://app.example/callback".into(),
        return_to: String::new(),
        expires_at: after(now, Duration::from_mins(10)),
    }
}

fn new_key(name: &str, now: Timestamp) -> ApiKey {
    ApiKey {
        id: ApiKeyId::generate(),
        name: name.into(),
        digest: [7; 32],
        scopes: vec![Scope::Ops],
        user: None,
        created_at: now,
        expires_at: None,
        used_at: None,
        revoked_at: None,
    }
}

/// A store with one row in each of the tables.
struct Rows {
    file: File,
    store: SqliteStore,
    user: User,
    session: Session,
    flow: Flow,
    key: ApiKey,
    now: Timestamp,
}

async fn rows() -> Rows {
    let (file, clock) = (File::new(), ManualClock::new());
    let (store, now) = (file.open(&keyring(), &clock).await, clock.now());
    let user = new_user("user", now);
    let (session, flow, key) = (new_session(&user, now), new_flow(1, now), new_key("key", now));
    assert_eq!(store.save_user(&user).await.unwrap(), Saved::Done);
    store.open_session(&session).await.unwrap();
    store.keep_flow(&flow, now).await.unwrap();
    assert!(store.keep_api_key(&key).await.unwrap());
    Rows { file, store, user, session, flow, key, now }
}

impl Rows {
    /// Writes something into a cell that no port would, and no rule of the schema lets through.
    async fn corrupt(&self, table: &str, column: &str, value: &str) {
        let mut raw = self.file.raw().await;
        for sql in [
            "PRAGMA foreign_keys = OFF".to_owned(),
            "PRAGMA ignore_check_constraints = ON".to_owned(),
            format!("UPDATE {table} SET {column} = {value}"),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut raw).await.unwrap();
        }
    }

    async fn read(&self, table: &str) -> StoreError {
        match table {
            "users" => self.store.user(UserKey::Email("user@example.com")).await.unwrap_err(),
            "sessions" => self.store.session(self.session.id).await.unwrap_err(),
            "flows" => self.store.take_flow(&self.flow.state, self.now).await.unwrap_err(),
            _ => self.store.api_key(self.key.id).await.unwrap_err(),
        }
    }
}

#[tokio::test]
async fn a_corrupt_cell_is_named_without_its_content() {
    const BEYOND_TIME: &str = "9223372036854775807";
    let cases = [
        ("users", "id", "'se' || char(10) || 'cret'"),
        ("users", "profile_ids", r#"'{"secret": 1}'"#),
        ("users", "marketplace_ids", "'[\"secret\", 7]'"),
        ("users", "created_at", BEYOND_TIME),
        ("sessions", "user_id", "char(10) || 'secret'"),
        ("sessions", "rotated_at", BEYOND_TIME),
        ("sessions", "created_at", BEYOND_TIME),
        ("sessions", "idle_until", BEYOND_TIME),
        ("sessions", "ends_at", BEYOND_TIME),
        ("sessions", "ended_at", BEYOND_TIME),
        ("sessions", "end_reason", "'secret'"),
        ("flows", "purpose", r#"'{"for": "secret"}'"#),
        ("flows", "provider", "'secret provider'"),
        ("flows", "expires_at", BEYOND_TIME),
        ("api_keys", "digest", "x'0123'"),
        ("api_keys", "scopes", r#"'["ops", "secret"]'"#),
        ("api_keys", "user_id", "char(10) || 'secret'"),
        ("api_keys", "created_at", BEYOND_TIME),
        ("api_keys", "expires_at", BEYOND_TIME),
        ("api_keys", "used_at", BEYOND_TIME),
        ("api_keys", "revoked_at", BEYOND_TIME),
    ];
    for (table, column, value) in cases {
        let rows = rows().await;
        rows.corrupt(table, column, value).await;
        let error = rows.read(table).await;
        let StoreError::Corrupt { table: named_table, column: named_column, row, problem } = error else {
            panic!("{table}.{column} is to be named, the error is {error}");
        };
        assert_eq!((named_table, named_column), (table, column));
        assert!(!problem.contains("secret"), "{table}.{column}: {problem}");
        let expected = match table {
            "users" if column == "id" => "se\ncret".to_owned(),
            "users" => rows.user.id.to_string(),
            "sessions" => rows.session.id.to_string(),
            "flows" => "01".repeat(32),
            _ => rows.key.id.to_string(),
        };
        assert_eq!(row, expected, "{table}.{column}");
    }
}

#[tokio::test]
async fn a_corrupt_row_spoils_no_other() {
    let rows = rows().await;
    rows.corrupt("users", "profile_ids", "'{}'").await;
    rows.corrupt("api_keys", "scopes", "'{}'").await;
    let other = User { profile_ids: vec!["1".into()], ..new_user("other", rows.now) };
    assert_eq!(rows.store.save_user(&other).await.unwrap(), Saved::Done);
    assert_eq!(rows.store.user(UserKey::Id(&other.id)).await.unwrap(), Some(other));
    let other = new_key("other", rows.now);
    assert!(rows.store.keep_api_key(&other).await.unwrap());
    assert_eq!(rows.store.api_key(other.id).await.unwrap(), Some(other));
    assert_eq!(rows.store.save_user(&rows.user).await.unwrap(), Saved::Done, "to save it again mends it");
    assert_eq!(rows.store.user(UserKey::Id(&rows.user.id)).await.unwrap(), Some(rows.user));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_one_takes_a_flow_and_one_advances_a_session() {
    const ROUNDS: u8 = 50;
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let stores = [Arc::new(file.open(&keyring, &clock).await), Arc::new(file.open(&keyring, &clock).await)];
    let (user, now) = (new_user("user", clock.now()), clock.now());
    assert_eq!(stores[0].save_user(&user).await.unwrap(), Saved::Done);
    let session = new_session(&user, now);
    stores[0].open_session(&session).await.unwrap();
    for round in 0..ROUNDS {
        let flow = new_flow(round, now);
        stores[0].keep_flow(&flow, now).await.unwrap();
        let taken = stores.each_ref().map(|store| store.take_flow(&flow.state, now));
        let taken = futures::future::join_all(taken).await;
        assert_eq!(taken.into_iter().filter_map(Result::unwrap).collect::<Vec<_>>(), [flow]);
        let generation = FIRST_GENERATION + i64::from(round);
        let advanced = stores.each_ref().map(|store| store.advance_session(session.id, generation, now, now));
        let advanced = futures::future::join_all(advanced).await;
        assert_eq!(advanced.into_iter().filter(|advanced| *advanced.as_ref().unwrap()).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_one_gets_an_address_and_one_a_name() {
    const ROUNDS: u32 = 25;
    let (file, keyring, clock) = (File::new(), keyring(), ManualClock::new());
    let stores = [Arc::new(file.open(&keyring, &clock).await), Arc::new(file.open(&keyring, &clock).await)];
    let now = clock.now();
    for round in 0..ROUNDS {
        let email = format!("ärger-{round}@example.com");
        let offers = [(0, email.to_uppercase()), (1, email)];
        let saved = stores.iter().zip(offers).map(|(store, (n, email))| {
            let user = User { email, ..new_user(&format!("user-{round}-{n}"), now) };
            async move { store.save_user(&user).await.unwrap() }
        });
        let mut saved = futures::future::join_all(saved).await;
        saved.sort_by_key(|saved| *saved != Saved::Done);
        assert_eq!(saved, [Saved::Done, Saved::EmailTaken]);
        let kept = stores.iter().map(|store| {
            let key = new_key(&format!("key-{round}"), now);
            async move { store.keep_api_key(&key).await.unwrap() }
        });
        let kept = futures::future::join_all(kept).await;
        assert_eq!(kept.into_iter().filter(|kept| *kept).count(), 1);
    }
}

#[tokio::test]
async fn what_people_do_is_there_after_a_restart() {
    let rows = rows().await;
    rows.store.close().await;
    let store = rows.file.open(&keyring(), &ManualClock::new()).await;
    assert_eq!(store.user(UserKey::Email("USER@example.com")).await.unwrap(), Some(rows.user));
    assert_eq!(store.session(rows.session.id).await.unwrap(), Some(rows.session));
    assert_eq!(store.take_flow(&rows.flow.state, rows.now).await.unwrap(), Some(rows.flow));
    assert_eq!(store.api_keys().await.unwrap(), [rows.key]);
}
