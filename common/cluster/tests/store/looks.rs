//! What operators look for, on tables of some size.

use chrono::TimeDelta;
use evergrant_contract::connection::ConnectionFilter;
use evergrant_contract::failed_job::{FailedJobFilter, FailedJobKey, FailedJobState};
use evergrant_contract::ids::{AuditId, ConnectionId, JobId};
use evergrant_contract::ports::{Connections as _, Operations as _};
use evergrant_contract::state::{Reason, State};
use evergrant_testkit::conformance::eventually;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use crate::database::{Database, keyring};
use crate::steps::noon;

/// Ids in no order: neighbours in a page are nowhere near each other in the table. One connection of a thousand has ended,
/// one failed job of a thousand is open, and half of the shops are called "Winter".
const FIFTY_THOUSAND_ROWS: &str = "
    INSERT INTO connections (id, user_id, provider, account, label, created_at)
    SELECT md5(n::text)::uuid, 'user-' || n, 'amazon-na', 'Account-' || n, CASE n % 2 WHEN 0 THEN 'Winter ' ELSE '' END || n, now()
    FROM generate_series(1, 50000) n;
    INSERT INTO schedules (connection_id, provider, state, reason, version, refresh_at)
    SELECT md5(n::text)::uuid, 'amazon-na', CASE n % 1000 WHEN 0 THEN 'needs_reauth' ELSE 'active' END,
           CASE n % 1000 WHEN 0 THEN 'grant_invalid' END, 1, CASE WHEN n % 1000 > 0 THEN now() END
    FROM generate_series(1, 50000) n;
    INSERT INTO tokens (connection_id, expires_at) SELECT id, now() FROM connections;
    INSERT INTO failed_jobs (id, kind, connection_id, provider, payload, attempts, error, failed_at, state)
    SELECT md5(n::text)::uuid, 'refresh_due', md5(n::text)::uuid, 'amazon-na', '', '[]', 'It failed',
           '2027-01-15 08:00:00Z'::timestamptz + n * interval '1 second', CASE n % 1000 WHEN 0 THEN 'open' ELSE 'replayed' END
    FROM generate_series(1, 50000) n;
    INSERT INTO audit_log (id, at, actor, action, subject, reason, outcome)
    SELECT md5(n::text)::uuid, now(), 'user admin', 'replay_job', 'subject-' || n, '', 'published'
    FROM generate_series(1, 50000) n;
    INSERT INTO activity (minute, series, provider, label, count)
    SELECT '2027-01-15 08:00:00Z'::timestamptz + n * interval '1 minute', 'attempts', 'amazon-na', 'refreshed', n
    FROM generate_series(1, 50000) n;
    ANALYZE connections, schedules, tokens, failed_jobs, audit_log, activity";

/// Of a row in the middle.
const USER: &str = "user-44242";

/// A look: the very text that the store runs, its parameters, the indexes that answer it.
struct Look {
    sql: &'static str,
    types: &'static str,
    parameters: &'static str,
    indexes: &'static [&'static str],
}

const LIST: &str = include_str!("../../src/store/sql/list.sql");
const LIST_TYPES: &str = "uuid, bigint, text[], text, text, timestamptz, text, text, uuid, uuid[]";
const LIST_BY_STATE: &str = include_str!("../../src/store/sql/list_by_state.sql");
const LIST_BY_STATE_TYPES: &str = "uuid, bigint, text[], text, timestamptz, text, text, uuid";
const SEARCH: &str = include_str!("../../src/store/sql/search.sql");
const FAILED_JOBS: &str = include_str!("../../src/store/sql/failed_jobs.sql");
const FAILED_JOBS_TYPES: &str = "timestamptz, uuid, bigint, text[], text, text, text, text, text, uuid, timestamptz,
                                 timestamptz, text";
const COUNT: &str = include_str!("../../src/store/sql/count_failed_jobs.sql");
const COUNT_TYPES: &str = "bigint, text[], text, text, text, text, text, uuid, timestamptz, timestamptz, text";
const BEHIND: &str = "'80000000-0000-0000-0000-000000000000'";

/// Every index that a search may need.
const NAMES: [&str; 4] =
    ["connections_by_user_prefix", "connections_by_account_prefix", "connections_by_label_prefix", "connections_pkey"];

const LOOKS: [Look; 14] = [
    Look {
        sql: LIST,
        types: LIST_TYPES,
        parameters: "$behind, 100, '{}', NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        indexes: &["connections_pkey", "schedules_pkey", "tokens_pkey"],
    },
    // What half of all have is met in the order of the ids.
    Look {
        sql: LIST,
        types: LIST_TYPES,
        parameters: "$behind, 100, '{}', NULL, NULL, NULL, NULL, 'WINTER', NULL, NULL",
        indexes: &["connections_pkey"],
    },
    Look {
        sql: LIST,
        types: LIST_TYPES,
        parameters: "$behind, 100, '{}', NULL, 'user-44242', NULL, NULL, NULL, NULL, NULL",
        indexes: &["connections_user_id_provider_account_key"],
    },
    Look {
        sql: LIST,
        types: LIST_TYPES,
        parameters: "$behind, 100, '{}', NULL, NULL, NULL, NULL, 'user-44242', NULL, ARRAY[md5('44242')::uuid]",
        indexes: &["connections_pkey"],
    },
    Look {
        sql: LIST_BY_STATE,
        types: LIST_BY_STATE_TYPES,
        parameters: "$behind, 100, '{needs_reauth}', NULL, NULL, NULL, NULL, NULL",
        indexes: &["schedules_not_active"],
    },
    Look {
        sql: LIST_BY_STATE,
        types: LIST_BY_STATE_TYPES,
        parameters: "$behind, 100, '{failing,suspect,needs_reauth,disconnected}', NULL, NULL, 'grant_invalid', 'winter', NULL",
        indexes: &["schedules_not_active"],
    },
    Look { sql: SEARCH, types: "text, uuid, bigint", parameters: "'USER-44242', $behind, 10001", indexes: &NAMES },
    Look {
        sql: SEARCH,
        types: "text, uuid, bigint",
        parameters: "'winter', NULL, 10001",
        indexes: &["connections_by_label_prefix"],
    },
    Look {
        sql: FAILED_JOBS,
        types: FAILED_JOBS_TYPES,
        parameters: "'2027-01-15 20:00Z', $behind, 100, '{open}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        indexes: &["failed_jobs_by_time"],
    },
    Look {
        sql: FAILED_JOBS,
        types: FAILED_JOBS_TYPES,
        parameters: "NULL, NULL, 100, '{open,replayed,discarded}', NULL, NULL, NULL, NULL, 'user-44242', NULL, NULL, NULL, NULL",
        indexes: &["failed_jobs_by_connection", "connections_user_id_provider_account_key"],
    },
    Look {
        sql: COUNT,
        types: COUNT_TYPES,
        parameters: "100, '{open}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        indexes: &["failed_jobs_by_time"],
    },
    Look {
        sql: include_str!("../../src/store/sql/audit.sql"),
        types: "uuid, bigint",
        parameters: "$behind, 100",
        indexes: &["audit_log_pkey"],
    },
    Look {
        sql: include_str!("../../src/store/sql/audit_of.sql"),
        types: "text, uuid, bigint",
        parameters: "'subject-4242', $behind, 100",
        indexes: &["audit_log_by_subject"],
    },
    Look {
        sql: include_str!("../../src/store/sql/activity.sql"),
        types: "timestamptz, timestamptz",
        parameters: "'2027-01-20 08:00Z', '2027-01-20 09:00Z'",
        indexes: &["activity_pkey"],
    },
];

async fn run(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

/// None reads a whole table, and none reads more rows than a search may have hits.
#[tokio::test]
async fn what_operators_look_for_is_found_by_index() {
    let Some(database) = Database::fresh().await else { return };
    database.execute(FIFTY_THOUSAND_ROWS).await;
    let mut connection = database.connection().await;
    run(&mut connection, "SET plan_cache_mode = force_custom_plan".into()).await;
    for (n, look) in LOOKS.iter().enumerate() {
        run(&mut connection, format!("PREPARE look_{n}({}) AS {}", look.types, look.sql)).await;
        let parameters = look.parameters.replace("$behind", BEHIND);
        let explain = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE look_{n}({parameters})");
        let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await.unwrap();
        let plan = rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n");
        for index in look.indexes {
            assert!(plan.contains(&format!(" {index} ")), "{parameters}:\n{plan}");
        }
        assert!(!plan.contains("Seq Scan"), "{parameters}:\n{plan}");
        for (at, count) in plan.match_indices("actual rows=") {
            let rows = plan[at + count.len()..].split(' ').next().unwrap();
            assert!(rows.parse::<u32>().unwrap() <= 10_001, "{parameters}:\n{plan}");
        }
    }
}

/// How often each table was read as a whole, and whether everything has been counted.
async fn scans(connection: &mut PgConnection) -> (i64, i64) {
    let sql = "SELECT sum(seq_scan)::bigint, sum(idx_scan)::bigint FROM pg_stat_user_tables
               WHERE relname IN ('connections', 'schedules', 'tokens', 'failed_jobs', 'audit_log', 'activity')";
    let row = sqlx::query(sql).fetch_one(connection).await.unwrap();
    (row.get(0), row.get(1))
}

/// Whoever looks often, and for one thing and another, has each look planned for what it is. A plan that was made for any
/// of them would read whole tables.
#[tokio::test]
async fn no_look_reads_a_whole_table() {
    let Some(database) = Database::fresh().await else { return };
    database.execute(FIFTY_THOUSAND_ROWS).await;
    database.execute("SELECT pg_stat_reset()").await;
    let store = database.store(keyring()).await;
    let any = ConnectionFilter::default;
    let text = |text: &str| ConnectionFilter { text: Some(text.to_owned()), ..any() };
    let lists = [
        (text("User-44242"), 1),
        (text("winter"), 100),
        (text("winter 44242"), 1),
        (text("nobody"), 0),
        (text("c81e728d-9d4c-2f63-6f06-7f89cc14862c"), 1),
        (ConnectionFilter { states: vec![State::NeedsReauth], ..any() }, 50),
        (ConnectionFilter { states: vec![State::Failing, State::NeedsReauth], ..text("WINTER") }, 50),
        (ConnectionFilter { reason: Some(Reason::GrantInvalid), ..any() }, 50),
        (ConnectionFilter { reason: Some(Reason::GrantInvalid), states: vec![State::Active], ..any() }, 0),
        (ConnectionFilter { user: USER.parse().ok(), ..any() }, 1),
        (ConnectionFilter { user: USER.parse().ok(), ..text("winter") }, 1),
        (any(), 100),
    ];
    let open = FailedJobFilter { states: vec![FailedJobState::Open], ..FailedJobFilter::default() };
    let theirs = FailedJobFilter { user: USER.parse().ok(), ..FailedJobFilter::default() };
    let since = noon() + TimeDelta::days(3);
    for _ in 0..7 {
        for (filter, expected) in &lists {
            assert_eq!(store.list(filter, None, 100).await.unwrap().len(), *expected, "{filter:?}");
        }
        let after = Some(FailedJobKey { failed_at: noon() + TimeDelta::days(1), id: JobId::from(Uuid::nil()) });
        assert_eq!(store.failed_jobs(&open, after, 20).await.unwrap().len(), 20);
        assert_eq!(store.failed_jobs(&theirs, None, 20).await.unwrap().len(), 1);
        assert_eq!(store.count_failed_jobs(&open, 20).await.unwrap(), 20);
        assert_eq!(store.audit_log(Some("subject-4242"), None, 20).await.unwrap().len(), 1);
        assert_eq!(store.audit_log(None, Some(AuditId::from(Uuid::max())), 20).await.unwrap().len(), 20);
        assert_eq!(store.activity(since, since + TimeDelta::hours(1)).await.unwrap().len(), 60);
    }
    // A session hands in its statistics when it ends.
    store.close().await;
    let mut connection = database.connection().await;
    let whole = eventually("the statistics of all looks", async || {
        let (whole, by_index) = scans(&mut connection).await;
        (by_index >= 7 * 18).then_some(whole)
    })
    .await;
    assert_eq!(whole, 0);
}

/// Each hit is met once, though it is found by its user, its account and its label alike, and however many there are.
#[tokio::test]
async fn searches_of_few_and_of_many_come_page_by_page() {
    let Some(database) = Database::fresh().await else { return };
    database.execute(FIFTY_THOUSAND_ROWS).await;
    let store = database.store(keyring()).await;
    for (text, expected) in [("user-49", 1_111), ("winter", 25_000)] {
        let filter = ConnectionFilter { text: Some(text.to_owned()), ..ConnectionFilter::default() };
        let (mut met, mut after) = (0, None::<ConnectionId>);
        loop {
            let page = store.list(&filter, after, 3_000).await.unwrap();
            let [first, .., last] = &page[..] else { break };
            assert!(page.is_sorted_by(|one, next| one.id < next.id) && after.is_none_or(|after| first.id > after));
            (met, after) = (met + page.len(), Some(last.id));
        }
        assert_eq!(met, expected, "{text}");
    }
}
