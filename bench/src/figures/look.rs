//! The scheduler's look: its cost follows what is due, not what is stored.

use std::time::Instant;

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use evergrant_vault::Keyring;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use crate::figure::{Figure, Target};
use crate::number::millis;
use crate::product::Product;
use crate::rows::PROVIDER;
use crate::screen;
use crate::stats::median;
use crate::world::{Database, Lab, Mock, quick_mock};

pub(super) const TOLD: &str = "The product's own statement reads 1,000 due rows in pages of 500, out of 100,000 stored and out of 10,000,000, in turn: \
medians of the whole look. <= 1.5 x the time; the plan is index-only and fetches nothing from the heap.";

/// The very statement of the product.
const DUE: &str = include_str!("../../../common/cluster/src/store/sql/due.sql");
const PAGE: i64 = 500;
const DUE_ROWS: usize = 1_000;
const FEW: usize = 100_000;

/// Narrow rows alone: a look reads nothing else. Their ids do not lie in the order of their times.
const FILL: &str = "SET session_replication_role = replica; \
    INSERT INTO schedules (connection_id, provider, state, version, refresh_at) \
    SELECT (lpad(to_hex(n), 12, '0') || substr(md5(n::text), 1, 20))::uuid, 'amazon-na', 'active', 1, \
        CASE WHEN n % ($STORED / 1000) = 0 THEN now() - n * interval '1 microsecond' \
             ELSE now() + interval '1 hour' + (hashint8(n) & 2147483647) % 21600 * interval '1 second' END \
    FROM generate_series(1, $STORED) n; \
    RESET session_replication_role; VACUUM ANALYZE schedules; CHECKPOINT";

pub(super) async fn look(lab: &Lab) -> Result<Vec<Figure>> {
    let many = lab.scale.pick(200_000, 1_000_000, 10_000_000);
    let looks = lab.scale.pick(5, 100, 300);
    let (small, large) = (filled(lab, FEW).await?, filled(lab, many).await?);
    let (mut a, mut b) = (small.connect().await?, large.connect().await?);
    // In turn, so that whatever else the machine does befalls both.
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..looks {
        of_few.push(timed_look(&mut a).await?);
        of_many.push(timed_look(&mut b).await?);
    }
    let plan = plan(&mut b).await?;
    a.close().await?;
    b.close().await?;
    small.remove(lab.servers()?).await?;
    large.remove(lab.servers()?).await?;
    let [few_ms, many_ms] = [&of_few, &of_many].map(|times| median(times).unwrap_or(f64::NAN));
    let is_index_only = plan.contains("Index Only Scan using schedules_due") && plan.contains("Heap Fetches: 0");
    screen::progress(&format!("{few_ms:.2} ms of {FEW}, {many_ms:.2} ms of {many}; index-only: {is_index_only}"));
    let conditions = format!("{DUE_ROWS} due of {many} and of {FEW} stored, {looks} looks each, pages of {PAGE}");
    let figure = |what, value, unit, target| {
        Figure::new("look", what, value, unit, target)
            .under(&conditions)
            .with("plan", &plan)
            .only_if(many == 10_000_000)
    };
    Ok(vec![
        figure("look, many stored", many_ms, "ms", Target::Told),
        figure("look, few stored", few_ms, "ms", Target::Told),
        figure("times few stored", many_ms / few_ms, "", Target::AtMost(1.5)),
        figure("index-only plan (1 = yes)", if is_index_only { 1.0 } else { 0.0 }, "", Target::AtLeast(1.0)),
    ])
}

async fn filled(lab: &Lab, stored: usize) -> Result<Database> {
    screen::progress(&format!("storing {stored} rows"));
    let mock = Mock::start(lab, "look", quick_mock(1, 0)?).await?;
    let database = lab.servers()?.database().await?;
    Product::cluster(lab, "look", &Keyring::generate_key(), &mock, &database)?;
    let mut db = database.connect().await?;
    for statement in FILL.replace("$STORED", &stored.to_string()).split("; ") {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut db).await?;
    }
    db.close().await?;
    Ok(database)
}

/// One look, as the scheduler takes it: page behind page until one is not full. In milliseconds.
async fn timed_look(db: &mut PgConnection) -> Result<f64> {
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT now()").fetch_one(&mut *db).await?;
    let begun = Instant::now();
    let mut behind: Option<(DateTime<Utc>, Uuid)> = None;
    let mut seen = 0;
    loop {
        let query = sqlx::query(DUE).bind(PROVIDER).bind(now).bind(behind.map(|row| row.0));
        let page = query.bind(behind.map(|row| row.1)).bind(PAGE).fetch_all(&mut *db).await?;
        seen += page.len();
        behind = page.last().map(|row| Ok::<_, sqlx::Error>((row.try_get(2)?, row.try_get(0)?))).transpose()?;
        if i64::try_from(page.len())? < PAGE {
            break;
        }
    }
    let took = begun.elapsed();
    ensure!(seen == DUE_ROWS, "{seen} rows are due");
    Ok(millis(took))
}

/// The plan that a prepared statement settles on, run once.
async fn plan(db: &mut PgConnection) -> Result<String> {
    sqlx::raw_sql("SET plan_cache_mode = force_generic_plan").execute(&mut *db).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("PREPARE look AS {DUE}"))).execute(&mut *db).await?;
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS) EXECUTE look ('{PROVIDER}', now(), NULL, NULL, {PAGE})");
    let lines = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(db).await?;
    let lines = lines.iter().map(|line| line.try_get::<String, _>(0)).collect::<Result<Vec<_>, _>>()?;
    Ok(lines.join("\n"))
}
