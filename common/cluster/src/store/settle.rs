//! Writing results and giving leases back, many in one short transaction.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::Settled;
use evergrant_contract::failed_job::FailedJob;
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::StoreError;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::to_millis;
use evergrant_contract::verdict::Attempt;
use evergrant_vault::Field;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::batch::Batch;
use super::begin::begin;
use super::error::store_error;
use super::failed_jobs;
use super::row::{counter, text};
use super::seal::{SealedSettlement, SealedTokens, Vault};
use super::webhooks::{self, Moved};

pub(super) struct Settle {
    pub(super) pool: PgPool,
    pub(super) vault: Vault,
}

#[async_trait]
impl Batch for Settle {
    type Question = SealedSettlement;
    type Answer = Settled;

    fn connection(settlement: &SealedSettlement) -> ConnectionId {
        settlement.lease.connection
    }

    fn is_awaited(settlement: &SealedSettlement) -> bool {
        settlement.lease.is_awaited
    }

    async fn run(&self, settlements: &[SealedSettlement]) -> Result<Vec<Settled>, StoreError> {
        let versions = self.write(settlements).await?;
        let settled = |settlement: &SealedSettlement| match versions.get(&settlement.lease.connection.uuid()) {
            Some(version) => Settled::Written(Version::new(*version)),
            None => Settled::Lost,
        };
        Ok(settlements.iter().map(settled).collect())
    }
}

/// Stored ciphertexts that stay and were under a key that no longer encrypts, under the one that does.
struct CarriedOver {
    access_token: Option<String>,
    refresh_token: Option<String>,
}

impl Settle {
    /// Brings what a write leaves standing to the key that it writes with, so that one column can name the key of the row.
    ///
    /// Read behind the lock of the schedule, which whoever encrypts rows again takes as well: what is read here stands until
    /// the commit. A row that does not open here is not among the answers, and keeps what it has.
    async fn carried_over(
        &self,
        connection: &mut PgConnection,
        written: &[&SealedSettlement],
    ) -> Result<HashMap<Uuid, CarriedOver>, sqlx::Error> {
        let carries = |s: &&&SealedSettlement| match &s.tokens {
            Some(tokens) => tokens.refresh_token.is_none(),
            None => s.unread_answer.is_some(),
        };
        let ids: Vec<_> = written.iter().filter(carries).map(|settlement| settlement.lease.connection.uuid()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = sqlx::query!(
            "SELECT connection_id, access_token, refresh_token FROM tokens
             WHERE connection_id = ANY($1::uuid[]) AND key <> $2",
            &ids,
            self.vault.primary(),
        )
        .fetch_all(connection)
        .await?;
        let reseal = |id: Uuid, field, ciphertext: Option<String>| match ciphertext {
            None => Some(None),
            Some(ciphertext) => self.vault.reseal(id.into(), field, ciphertext).map(Some),
        };
        let opened = rows.into_iter().filter_map(|row| {
            let id = row.connection_id;
            let refresh_token = reseal(id, Field::RefreshToken, row.refresh_token)?;
            // An access token that does not open is worth nothing and can be had again.
            let access_token = reseal(id, Field::AccessToken, row.access_token).flatten();
            Some((id, CarriedOver { access_token, refresh_token }))
        });
        Ok(opened.collect())
    }

    /// The versions of the rows that were written.
    async fn write(&self, settlements: &[SealedSettlement]) -> Result<HashMap<Uuid, i64>, StoreError> {
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        let (versions, news) = self.write_rows(&mut transaction, settlements).await.map_err(store_error)?;
        webhooks::moved(&mut transaction, &news).await?;
        transaction.commit().await.map_err(store_error)?;
        Ok(versions)
    }

    /// The versions of the rows that were written, and those of which there may be something to tell.
    async fn write_rows(
        &self,
        transaction: &mut PgConnection,
        settlements: &[SealedSettlement],
    ) -> Result<(HashMap<Uuid, i64>, Vec<Moved>), sqlx::Error> {
        let rows = write_schedules(transaction, settlements).await?;
        let versions: HashMap<_, _> = rows.iter().map(|row| (row.id, row.version)).collect();
        let is_written = |settlement: &&SealedSettlement| versions.contains_key(&settlement.lease.connection.uuid());
        let written: Vec<_> = settlements.iter().filter(is_written).collect();
        let carried = self.carried_over(transaction, &written).await?;
        write_tokens(transaction, &written, &carried, self.vault.primary()).await?;
        write_identities(transaction, &written).await?;
        write_attempts(transaction, &written).await?;
        let given_up: Vec<&FailedJob> =
            written.iter().filter_map(|settlement| settlement.failed_job.as_ref()).collect();
        failed_jobs::insert(transaction, &given_up).await?;
        Ok((versions, possible_news(&written, &rows)))
    }
}

/// A row that was written.
struct WrittenRow {
    id: Uuid,
    version: i64,
    /// Receivers of webhooks were told of trouble that still holds.
    told: bool,
}

/// Those of which there may be something to tell. A refresh that changes nothing of an active connection is no news, and
/// costs no look.
fn possible_news(written: &[&SealedSettlement], rows: &[WrittenRow]) -> Vec<Moved> {
    let told: HashSet<_> = rows.iter().filter(|row| row.told).map(|row| row.id).collect();
    let may_be_news = |settlement: &&&SealedSettlement| {
        let id = settlement.lease.connection.uuid();
        settlement.change.is_some_and(|change| change.standing.state != State::Active || told.contains(&id))
    };
    let moved = |settlement: &&SealedSettlement| (settlement.lease.connection.uuid(), Some(settlement.decided_at));
    written.iter().filter(may_be_news).map(moved).collect()
}

async fn write_schedules(
    connection: &mut PgConnection,
    settlements: &[SealedSettlement],
) -> Result<Vec<WrittenRow>, sqlx::Error> {
    let changes: Vec<_> = settlements.iter().map(|settlement| settlement.change).collect();
    let standings: Vec<_> = changes.iter().map(|change| change.map(|change| change.standing)).collect();
    let reasons: Vec<_> = changes.iter().map(|change| change.and_then(|change| change.reason)).collect();
    let rows = sqlx::query_file!(
        "src/store/sql/settle_schedules.sql",
        &settlements.iter().map(|settlement| settlement.lease.connection.uuid()).collect::<Vec<_>>(),
        &settlements.iter().map(|settlement| settlement.lease.version.number()).collect::<Vec<_>>(),
        &settlements.iter().map(|settlement| settlement.lease.owner.uuid()).collect::<Vec<_>>(),
        &settlements.iter().map(|settlement| settlement.tokens.is_some()).collect::<Vec<_>>(),
        &changes.iter().map(Option::is_some).collect::<Vec<_>>(),
        &standings.iter().map(|s| s.map(|s| s.state.as_str())).collect::<Vec<_>>() as &[Option<&str>],
        &reasons.iter().map(|reason| reason.map(Reason::as_str)).collect::<Vec<_>>() as &[Option<&str>],
        &changes.iter().map(|change| change.and_then(|change| change.refresh_at).map(to_millis)).collect::<Vec<_>>()
            as &[Option<Timestamp>],
        &standings.iter().map(|s| s.map(|s| counter(s.failures))).collect::<Vec<_>>() as &[Option<i32>],
        &standings.iter().map(|s| s.map(|s| counter(s.suspicions))).collect::<Vec<_>>() as &[Option<i32>],
    )
    .fetch_all(connection)
    .await?;
    let written =
        rows.into_iter().map(|row| WrittenRow { id: row.connection_id, version: row.version, told: row.told });
    Ok(written.collect())
}

/// What one settlement puts into its `tokens` row; `None` leaves a column as it is.
struct TokensRow<'a> {
    id: Uuid,
    has_tokens: bool,
    changes: bool,
    access_token: Option<&'a str>,
    refresh_token: Option<&'a str>,
    key: Option<&'a str>,
    expires_at: Option<Timestamp>,
    refreshed_at: Option<Timestamp>,
    last_error: Option<String>,
    unread_answer: Option<&'a str>,
}

fn tokens_row<'a>(
    settlement: &'a SealedSettlement,
    carried: Option<&'a CarriedOver>,
    primary: &'a str,
) -> Option<TokensRow<'a>> {
    let tokens = settlement.tokens.as_ref();
    let changes = settlement.change.is_some() || tokens.is_some();
    if !changes && settlement.unread_answer.is_none() {
        return None;
    }
    let new_refresh_token = tokens.and_then(|tokens| tokens.refresh_token.as_deref());
    // The column names the key of the refresh token above all: it is the one that cannot be had again.
    let rekeyed = new_refresh_token.is_some() || carried.is_some();
    Some(TokensRow {
        id: settlement.lease.connection.uuid(),
        has_tokens: tokens.is_some(),
        changes,
        access_token: tokens
            .map(|tokens| tokens.access_token.as_str())
            .or(carried.and_then(|carried| carried.access_token.as_deref())),
        refresh_token: new_refresh_token.or(carried.and_then(|carried| carried.refresh_token.as_deref())),
        key: rekeyed.then_some(primary),
        expires_at: tokens.map(|tokens| tokens.expires_at),
        refreshed_at: tokens.map(|tokens| tokens.refreshed_at),
        last_error: settlement.last_error.as_deref().map(text),
        unread_answer: settlement.unread_answer.as_deref(),
    })
}

async fn write_tokens(
    connection: &mut PgConnection,
    written: &[&SealedSettlement],
    carried: &HashMap<Uuid, CarriedOver>,
    primary: &str,
) -> Result<(), sqlx::Error> {
    let carried = |settlement: &SealedSettlement| carried.get(&settlement.lease.connection.uuid());
    let rows: Vec<_> =
        written.iter().filter_map(|settlement| tokens_row(settlement, carried(settlement), primary)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query_file!(
        "src/store/sql/settle_tokens.sql",
        &rows.iter().map(|row| row.id).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.has_tokens).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.changes).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.access_token).collect::<Vec<_>>() as &[Option<&str>],
        &rows.iter().map(|row| row.refresh_token).collect::<Vec<_>>() as &[Option<&str>],
        &rows.iter().map(|row| row.key).collect::<Vec<_>>() as &[Option<&str>],
        &rows.iter().map(|row| row.expires_at).collect::<Vec<_>>() as &[Option<Timestamp>],
        &rows.iter().map(|row| row.refreshed_at).collect::<Vec<_>>() as &[Option<Timestamp>],
        &rows.iter().map(|row| row.last_error.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
        &rows.iter().map(|row| row.unread_answer).collect::<Vec<_>>() as &[Option<&str>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Scopes and the end of the consent, where an answer names them.
async fn write_identities(connection: &mut PgConnection, written: &[&SealedSettlement]) -> Result<(), sqlx::Error> {
    let named: Vec<(Uuid, &SealedTokens)> = written
        .iter()
        .filter_map(|settlement| Some((settlement.lease.connection.uuid(), settlement.tokens.as_ref()?)))
        .filter(|(_, tokens)| tokens.scopes.is_some() || tokens.refresh_expires_at.is_some())
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE connections c SET
             scopes = coalesce(w.scopes, c.scopes),
             refresh_expires_at = coalesce(w.refresh_expires_at, c.refresh_expires_at)
         FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS w (id, scopes, refresh_expires_at)
         WHERE c.id = w.id
           -- Most answers repeat what is known: those write nothing.
           AND (coalesce(w.scopes, c.scopes), coalesce(w.refresh_expires_at, c.refresh_expires_at))
               IS DISTINCT FROM (c.scopes, c.refresh_expires_at)",
        &named.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        &named.iter().map(|(_, tokens)| tokens.scopes.as_deref().map(text)).collect::<Vec<_>>() as &[Option<String>],
        &named.iter().map(|(_, tokens)| tokens.refresh_expires_at).collect::<Vec<_>>() as &[Option<Timestamp>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_attempts(connection: &mut PgConnection, written: &[&SealedSettlement]) -> Result<(), sqlx::Error> {
    let rows: Vec<(Uuid, &Attempt)> = written
        .iter()
        .flat_map(|settlement| settlement.attempts.iter().map(|attempt| (settlement.lease.connection.uuid(), attempt)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let traces: Vec<_> = rows.iter().map(|(_, attempt)| &attempt.trace).collect();
    sqlx::query_file!(
        "src/store/sql/settle_attempts.sql",
        &rows.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        &rows.iter().map(|(_, attempt)| to_millis(attempt.at)).collect::<Vec<_>>(),
        &rows.iter().map(|(_, attempt)| attempt.verdict.as_str()).collect::<Vec<_>>() as &[&str],
        &traces.iter().map(|trace| trace.status.map(i32::from)).collect::<Vec<_>>() as &[Option<i32>],
        &traces.iter().map(|trace| trace.code.as_deref().map(text)).collect::<Vec<_>>() as &[Option<String>],
        &traces.iter().map(|trace| text(&trace.message)).collect::<Vec<_>>(),
        &traces.iter().map(|trace| trace.request_id.as_deref().map(text)).collect::<Vec<_>>() as &[Option<String>],
        &traces.iter().map(|trace| i64::try_from(trace.duration_ms).unwrap_or(i64::MAX)).collect::<Vec<_>>(),
        &traces.iter().map(|trace| trace.ambiguous).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
