//! Reading failed jobs as operators look for them.

use evergrant_contract::failed_job::{FailedJob, FailedJobFilter, FailedJobKey};
use evergrant_contract::ids::{ConnectionId, JobId, ProviderName, UserId};
use evergrant_contract::ports::StoreError;
use evergrant_contract::verdict::VerdictKind;
use sqlx::SqlitePool;
use uuid::Uuid;

use super::columns::{Row, integer, json_text, millis};
use super::error::Explain;

/// A failed job as its row holds it.
struct FailedJobRow {
    id: Uuid,
    kind: String,
    connection_id: Option<Vec<u8>>,
    provider: Option<String>,
    payload: String,
    attempts: String,
    error: String,
    traceparent: Option<String>,
    failed_at: i64,
    state: String,
}

/// The one list of columns, with the rest of the query behind it.
macro_rules! failed_jobs {
    ($($rest:literal)+, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            FailedJobRow,
            r#"SELECT f.id AS "id!: Uuid", f.kind AS "kind!", f.connection_id AS "connection_id?: Vec<u8>",
                   f.provider AS "provider?", f.payload AS "payload!", f.attempts AS "attempts!", f.error AS "error!",
                   f.traceparent AS "traceparent?", f.failed_at AS "failed_at!: i64", f.state AS "state!"
               FROM failed_jobs f "#
                $(+ $rest)+,
            $($argument),+
        )
    };
}

/// A filter as the parameters of a query. Unnamed is NULL, or the end of the range.
struct Wanted<'a> {
    before_time: i64,
    before_id: Uuid,
    since: i64,
    states: Option<String>,
    kind: Option<&'a str>,
    provider: Option<&'a str>,
    verdict: Option<&'static str>,
    code: Option<&'a str>,
    user: Option<&'a str>,
    connection: Option<Uuid>,
    text: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn new(filter: &'a FailedJobFilter, after: Option<FailedJobKey>) -> Self {
        // "Before this time" is "before the first id of this time", so that one place says where a page begins.
        let until = filter.until.map(|until| (millis(until), Uuid::nil()));
        let after = after.map(|after| (millis(after.failed_at), after.id.uuid()));
        let (before_time, before_id) = until.into_iter().chain(after).min().unwrap_or((i64::MAX, Uuid::max()));
        Self {
            before_time,
            before_id,
            since: filter.since.map_or(i64::MIN, millis),
            states: (!filter.states.is_empty()).then(|| json_text(&filter.states)),
            kind: filter.kind.as_deref(),
            provider: filter.provider.as_ref().map(ProviderName::as_str),
            verdict: filter.verdict.map(VerdictKind::as_str),
            code: filter.code.as_deref(),
            user: filter.user.as_ref().map(UserId::as_str),
            connection: filter.connection.map(ConnectionId::uuid),
            text: filter.text.as_deref(),
        }
    }
}

/// Everything that a filter may name, with what it named as arguments: 1 to 11, and 12 for the limit.
///
/// `$way` repeats the condition whose index leads to the fewest rows; behind an `IS NULL OR` SQLite cannot use one.
macro_rules! narrowed {
    ($query:ident, $head:literal, $way:literal, $tail:literal, $wanted:ident, $limit:ident) => {
        $query!(
            $head
            "WHERE (f.failed_at, f.id) < (?1, ?2)
               AND f.failed_at >= ?3
               AND (?4 IS NULL OR f.state IN (SELECT value FROM json_each(?4)))
               AND (?5 IS NULL OR f.kind = ?5)
               AND (?6 IS NULL OR f.provider = ?6)
               AND (?7 IS NULL OR f.last_verdict = ?7)
               AND (?8 IS NULL OR f.last_code = ?8)
               AND (?9 IS NULL OR f.connection_id IN (SELECT id FROM connections WHERE user_id = ?9))
               AND (?10 IS NULL OR f.connection_id = ?10)
               AND (?11 IS NULL OR instr(lower(f.error), lower(?11)) > 0) "
            $way
            $tail,
            $wanted.before_time,
            $wanted.before_id,
            $wanted.since,
            $wanted.states,
            $wanted.kind,
            $wanted.provider,
            $wanted.verdict,
            $wanted.code,
            $wanted.user,
            $wanted.connection,
            $wanted.text,
            $limit,
        )
    };
}

/// Goes the way that leads to the fewest rows.
macro_rules! by_the_shortest_way {
    ($filter:ident, $query:ident, $head:literal, $tail:literal, $wanted:ident, $limit:ident, $fetch:ident($db:expr)) => {
        if $filter.connection.is_some() {
            narrowed!($query, $head, "AND f.connection_id = ?10 ", $tail, $wanted, $limit).$fetch($db).await
        } else if $filter.user.is_some() {
            narrowed!(
                $query,
                $head,
                "AND f.connection_id IN (SELECT id FROM connections WHERE user_id = ?9) ",
                $tail,
                $wanted,
                $limit
            )
            .$fetch($db)
            .await
        } else if $filter.states.len() == 1 {
            narrowed!($query, $head, "AND f.state = ?4 ->> 0 ", $tail, $wanted, $limit).$fetch($db).await
        } else {
            narrowed!($query, $head, "", $tail, $wanted, $limit).$fetch($db).await
        }
    };
}

macro_rules! counted {
    ($first:literal $($rest:literal)+, $($argument:expr),+ $(,)?) => {
        sqlx::query_scalar!($first $(+ $rest)+, $($argument),+)
    };
}

pub(super) async fn page(
    readers: &SqlitePool,
    filter: &FailedJobFilter,
    after: Option<FailedJobKey>,
    limit: u32,
) -> Result<Vec<FailedJob>, StoreError> {
    let wanted = Wanted::new(filter, after);
    let rows = by_the_shortest_way!(
        filter,
        failed_jobs,
        "",
        "ORDER BY f.failed_at DESC, f.id DESC LIMIT ?12",
        wanted,
        limit,
        fetch_all(readers)
    )
    .explain()?;
    rows.into_iter().map(FailedJobRow::read).collect()
}

pub(super) async fn count(readers: &SqlitePool, filter: &FailedJobFilter, at_most: u64) -> Result<u64, StoreError> {
    let (wanted, limit) = (Wanted::new(filter, None), integer(at_most));
    by_the_shortest_way!(
        filter,
        counted,
        r#"SELECT count(*) AS "n!: u64" FROM (SELECT 1 FROM failed_jobs f "#,
        "LIMIT ?12)",
        wanted,
        limit,
        fetch_one(readers)
    )
    .explain()
}

pub(super) async fn find(readers: &SqlitePool, id: JobId) -> Result<Option<FailedJob>, StoreError> {
    let id = id.uuid();
    let row = failed_jobs!("WHERE f.id = ?", id).fetch_optional(readers).await.explain()?;
    row.map(FailedJobRow::read).transpose()
}

impl FailedJobRow {
    fn read(self) -> Result<FailedJob, StoreError> {
        let cell = Row::of("failed_jobs", &self.id);
        Ok(FailedJob {
            id: self.id.into(),
            kind: self.kind,
            connection: self.connection_id.map(|id| cell.id("connection_id", &id)).transpose()?,
            provider: self.provider.map(|name| cell.word("provider", &name)).transpose()?,
            payload: self.payload,
            attempts: cell.json("attempts", &self.attempts)?,
            error: self.error,
            traceparent: self.traceparent,
            failed_at: cell.time("failed_at", self.failed_at)?,
            state: cell.word("state", &self.state)?,
        })
    }
}
