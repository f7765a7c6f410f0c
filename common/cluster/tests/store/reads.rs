//! What the API reads and writes at every request, on tables of some size.

use std::time::Duration;

use evergrant_contract::ids::{ApiKeyId, ConnectionId, SessionId};
use evergrant_contract::people::{Session, UserKey};
use evergrant_contract::ports::{ApiKeys as _, Connections as _, Sessions as _, Users as _};
use evergrant_contract::timing::after;
use evergrant_testkit::conformance::eventually;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use crate::database::{Database, keyring};
use crate::steps::{HOUR, new_session, new_user, noon, saved};

/// Row `n` of each table has the id that ends in the digits of `n`.
const FIVE_THOUSAND_ROWS: &str = "
    INSERT INTO users (id, email, email_key, account, created_at)
    SELECT 'user-' || n, 'User-' || n || '@example.com', 'user-' || n || '@example.com', 'account-' || n, now()
    FROM generate_series(1, 5000) n;
    INSERT INTO sessions (id, user_id, generation, rotated_at, created_at, idle_until, ends_at)
    SELECT lpad(n::text, 32, '0')::uuid, 'user-' || n, 1, now(), now(), now(), now() FROM generate_series(1, 5000) n;
    INSERT INTO api_keys (id, name, digest, scopes, created_at)
    SELECT lpad(n::text, 32, '0')::uuid, 'key-' || n, sha256('x'), '{}', now() FROM generate_series(1, 5000) n;
    INSERT INTO connections (id, user_id, provider, created_at)
    SELECT lpad(n::text, 32, '0')::uuid, 'user-' || n, 'amazon-na', now() FROM generate_series(1, 5000) n;
    INSERT INTO schedules (connection_id, provider, state, version, refresh_at)
    SELECT id, provider, 'active', 1, now() FROM connections;
    INSERT INTO tokens (connection_id, access_token) SELECT id, 'x' FROM connections;
    ANALYZE users, sessions, api_keys, connections, schedules, tokens";

/// A read: the very text that the store runs, its parameters, the indexes that answer it.
struct Read {
    sql: &'static str,
    types: &'static str,
    parameters: &'static str,
    indexes: &'static [&'static str],
}

const ROW_42: &str = "'00000000-0000-0000-0000-000000000042'";

const READS: [Read; 8] = [
    Read {
        sql: include_str!("../../src/store/sql/session.sql"),
        types: "uuid",
        parameters: ROW_42,
        indexes: &["sessions_pkey"],
    },
    Read {
        sql: include_str!("../../src/store/sql/api_key.sql"),
        types: "uuid",
        parameters: ROW_42,
        indexes: &["api_keys_pkey"],
    },
    Read {
        sql: include_str!("../../src/store/sql/user_by_id.sql"),
        types: "text",
        parameters: "'user-42'",
        indexes: &["users_pkey"],
    },
    Read {
        sql: include_str!("../../src/store/sql/user_by_email.sql"),
        types: "text",
        parameters: "'user-42@example.com'",
        indexes: &["users_email_key_key"],
    },
    Read {
        sql: include_str!("../../src/store/sql/user_by_account.sql"),
        types: "text",
        parameters: "'account-42'",
        indexes: &["users_by_account"],
    },
    Read {
        sql: include_str!("../../src/store/sql/users.sql"),
        types: "text, bigint",
        parameters: "'user-42', 100",
        indexes: &["users_in_order"],
    },
    Read {
        sql: include_str!("../../src/store/sql/connection.sql"),
        types: "uuid",
        parameters: ROW_42,
        indexes: &["connections_pkey", "schedules_pkey", "tokens_pkey"],
    },
    Read {
        sql: include_str!("../../src/store/sql/access_token.sql"),
        types: "uuid",
        parameters: ROW_42,
        indexes: &["schedules_pkey", "tokens_pkey"],
    },
];

async fn run(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

/// None of them costs more in a large table than in a small one: no scan, no sort, no row read and thrown away.
#[tokio::test]
async fn what_every_request_reads_is_answered_from_indexes() {
    let Some(database) = Database::fresh().await else { return };
    database.execute(FIVE_THOUSAND_ROWS).await;
    let mut connection = database.connection().await;
    for (n, read) in READS.iter().enumerate() {
        run(&mut connection, format!("PREPARE read_{n}({}) AS {}", read.types, read.sql)).await;
        for mode in ["force_custom_plan", "force_generic_plan"] {
            run(&mut connection, format!("SET plan_cache_mode = {mode}")).await;
            let explain = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE read_{n}({})", read.parameters);
            let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await.unwrap();
            let plan = rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n");
            for index in read.indexes {
                assert!(plan.contains(&format!("Index Scan using {index} ")), "{mode}, {}:\n{plan}", read.sql);
            }
            for costly in ["Seq Scan", "Bitmap", "Sort", "Rows Removed"] {
                assert!(!plan.contains(costly), "{mode}, {}:\n{plan}", read.sql);
            }
        }
    }
    // The plans were looked at with rows to find.
    let (store, row_42) = (database.store(keyring()).await, Uuid::from_u128(0x42));
    let user = "user-42".parse().unwrap();
    assert!(store.session(SessionId::from(row_42)).await.unwrap().is_some());
    assert!(store.api_key(ApiKeyId::from(row_42)).await.unwrap().is_some());
    assert!(store.find(ConnectionId::from(row_42)).await.unwrap().is_some());
    for key in [UserKey::Id(&user), UserKey::Email("USER-42@example.com"), UserKey::Account("account-42")] {
        assert_eq!(store.user(key).await.unwrap().unwrap().id, user);
    }
    assert_eq!(store.users(Some(&user), 100).await.unwrap().len(), 100);
}

/// The next token changes nothing that is indexed, so its row is rewritten in place and no index grows.
#[tokio::test]
async fn sessions_move_on_in_place() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    let user = saved(&store, new_user("user")).await;
    let sessions: Vec<Session> = (0..2_000).map(|_| new_session(&user)).collect();
    for session in &sessions {
        store.open_session(session).await.unwrap();
    }
    // From all over the table: rows of one page that all move on at once do fill it up.
    let now = after(noon(), Duration::from_mins(15));
    for session in sessions.iter().step_by(40) {
        for generation in 1..=2 {
            assert!(store.advance_session(session.id, generation, now, after(now, HOUR)).await.unwrap());
        }
    }
    // A session of the database hands in its statistics when it ends.
    store.close().await;
    let mut connection = database.connection().await;
    let written = async || {
        let sql = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sessions'";
        let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
        let (all, in_place): (i64, i64) = (row.get(0), row.get(1));
        (all == 100).then_some(in_place)
    };
    let in_place = eventually("the statistics of a hundred updates", written).await;
    assert_eq!(in_place, 100, "every one of them was in place");
}
