//! How PostgreSQL answers, on a table of some size.

use evergrant_contract::ports::{Leases as _, Schedule as _};
use evergrant_testkit::conformance::eventually;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::database::{Database, keyring};
use crate::steps::{connect, given_back, hold_all, noon};

/// The very text that the store runs.
const DUE: &str = include_str!("../../src/store/sql/due.sql");
const BACKLOG: &str = include_str!("../../src/store/sql/backlog.sql");

const FIFTY_THOUSAND_ROWS: &str = "
    INSERT INTO connections (id, user_id, provider, created_at)
    SELECT gen_random_uuid(), 'user-' || n, 'amazon-na', now() FROM generate_series(1, 50000) n;
    INSERT INTO schedules (connection_id, provider, state, version, refresh_at)
    SELECT id, provider, 'active', 1, '2027-01-15 08:00:00Z'::timestamptz + random() * interval '1 hour' FROM connections;
    VACUUM ANALYZE schedules";

async fn plan(connection: &mut PgConnection, call: &str) -> String {
    let sql = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE {call}");
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

/// The scheduler's look costs what is due, never what is stored: no table page, no sort, no row read and thrown away.
#[tokio::test]
async fn what_is_due_is_answered_from_its_index_alone() {
    let Some(database) = Database::fresh().await else { return };
    database.execute("ALTER TABLE schedules SET (autovacuum_enabled = off)").await;
    let mut connection = database.connection().await;
    for statement in FIFTY_THOUSAND_ROWS.split(';') {
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
    for prepare in [
        format!("PREPARE due(text, timestamptz, timestamptz, uuid, bigint) AS {DUE}"),
        format!("PREPARE backlog(text, timestamptz, bigint) AS {BACKLOG}"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut connection).await.unwrap();
    }
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let set = format!("SET plan_cache_mode = {mode}");
        sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut connection).await.unwrap();
        for after in ["NULL, NULL", "'2027-01-15 08:10:00Z', '80000000-0000-0000-0000-000000000000'"] {
            let due = format!("due('amazon-na', '2027-01-15 08:30:00Z', {after}, 500)");
            let backlog = "backlog('amazon-na', '2027-01-15 08:30:00Z', 1000000)".to_owned();
            for call in [due, backlog] {
                let plan = plan(&mut connection, &call).await;
                assert!(plan.contains("Index Only Scan using schedules_due"), "{mode}, {call}:\n{plan}");
                assert!(plan.contains("Heap Fetches: 0"), "{mode}, {call}:\n{plan}");
                assert!(!plan.contains("Sort") && !plan.contains("Rows Removed"), "{mode}, {call}:\n{plan}");
            }
        }
    }
    let store = database.store(keyring()).await;
    let page = store.due(&"amazon-na".parse().unwrap(), noon() + chrono::TimeDelta::minutes(30), None, 500).await;
    assert_eq!(page.unwrap().len(), 500, "the plan was looked at with rows to find");
}

/// A lease changes nothing that is indexed, so its row is rewritten in place and no index grows.
#[tokio::test]
async fn leases_are_written_in_place() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    // From all over the table: rows of one page that are all leased at once do fill it up.
    let ids: Vec<_> = connect(&store, 2_000).await.into_iter().step_by(40).collect();
    for lease in hold_all(&store, &ids).await {
        store.settle(given_back(lease)).await.unwrap();
    }
    // A session hands in its statistics when it ends.
    store.close().await;
    let mut connection = database.connection().await;
    let written = async || {
        let sql = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'schedules'";
        let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
        let (all, in_place): (i64, i64) = (row.get(0), row.get(1));
        (all == 100).then_some(in_place)
    };
    let in_place = eventually("the statistics of a hundred updates", written).await;
    assert_eq!(in_place, 100, "every one of them was in place");
}
