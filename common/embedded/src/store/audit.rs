//! Who did what. Lines are added, and never changed or taken away.

use evergrant_contract::ids::AuditId;
use evergrant_contract::operations::AuditEntry;
use evergrant_contract::ports::StoreError;
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::columns::{Row, millis};
use super::error::Explain;

/// A line as its row holds it.
struct AuditRow {
    id: Uuid,
    at: i64,
    actor: String,
    action: String,
    subject: String,
    reason: String,
    outcome: String,
}

/// The one list of columns, with the rest of the query behind it.
macro_rules! audit_log {
    ($rest:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            AuditRow,
            r#"SELECT id AS "id!: Uuid", at AS "at!: i64", actor AS "actor!", action AS "action!", subject AS "subject!",
                   reason AS "reason!", outcome AS "outcome!"
               FROM audit_log "#
                + $rest,
            $($argument),+
        )
    };
}

pub(super) async fn insert(db: &mut SqliteConnection, entry: &AuditEntry) -> Result<(), StoreError> {
    let (id, at, action) = (entry.id.uuid(), millis(entry.at), entry.action.as_str());
    sqlx::query!(
        "INSERT INTO audit_log (id, at, actor, action, subject, reason, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)",
        id,
        at,
        entry.actor,
        action,
        entry.subject,
        entry.reason,
        entry.outcome,
    )
    .execute(db)
    .await
    .map(drop)
    .explain()
}

/// A page, newest first, from behind `after`; of one subject, if named.
pub(super) async fn page(
    readers: &SqlitePool,
    subject: Option<&str>,
    after: Option<AuditId>,
    limit: u32,
) -> Result<Vec<AuditEntry>, StoreError> {
    let before = after.map_or(Uuid::max(), AuditId::uuid);
    let rows = if let Some(subject) = subject {
        audit_log!("WHERE subject = ? AND id < ? ORDER BY id DESC LIMIT ?", subject, before, limit)
            .fetch_all(readers)
            .await
    } else {
        audit_log!("WHERE id < ? ORDER BY id DESC LIMIT ?", before, limit).fetch_all(readers).await
    };
    rows.explain()?.into_iter().map(AuditRow::read).collect()
}

impl AuditRow {
    fn read(self) -> Result<AuditEntry, StoreError> {
        let cell = Row::of("audit_log", &self.id);
        Ok(AuditEntry {
            id: self.id.into(),
            at: cell.time("at", self.at)?,
            actor: self.actor,
            action: cell.word("action", &self.action)?,
            subject: self.subject,
            reason: self.reason,
            outcome: self.outcome,
        })
    }
}
