//! Making connections, thousands in one commit.

use std::collections::HashMap;

use evergrant_contract::Timestamp;
use evergrant_contract::connection::{IfPresent, NewConnection, Stored};
use evergrant_contract::ids::{ConnectionId, ProviderName, UserId};
use evergrant_contract::ports::StoreError;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::to_millis;
use evergrant_vault::Field;
use sqlx::PgConnection;
use uuid::Uuid;

use super::PgStore;
use super::begin::begin;
use super::error::store_error;
use super::row::text;
use super::seal::{Vault, present};
use super::webhooks;

/// Rows in one statement. Sealing so many takes a few milliseconds, short enough to do it between two statements.
const ROWS_AT_ONCE: usize = 1_000;

impl PgStore {
    pub(super) async fn put_all(
        &self,
        new: &[NewConnection],
        if_present: IfPresent,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        let mut stored = HashMap::with_capacity(new.len());
        for wave in waves(new) {
            for places in wave.chunks(ROWS_AT_ONCE) {
                let rows: Vec<_> = places.iter().map(|place| Identity::new(&new[*place])).collect();
                let chunk = Chunk { rows, if_present, vault: &self.vault, now: self.time.now() };
                let outcomes = chunk.put(&mut transaction).await?;
                stored.extend(places.iter().copied().zip(outcomes));
            }
        }
        transaction.commit().await.map_err(store_error)?;
        Ok((0..new.len()).filter_map(|place| stored.get(&place).copied()).collect())
    }
}

/// Places of the input, such that no connection is twice in one wave, and one given twice meets itself in a later wave.
/// Each wave is in the order of the unique key, so that concurrent imports wait for each other in one direction only.
fn waves(new: &[NewConnection]) -> Vec<Vec<usize>> {
    let mut times: HashMap<Key<'_>, usize> = HashMap::new();
    let mut waves: Vec<Vec<usize>> = Vec::new();
    for (place, connection) in new.iter().enumerate() {
        let wave = times.entry(key(connection)).or_default();
        if *wave == waves.len() {
            waves.push(Vec::new());
        }
        waves[*wave].push(place);
        *wave += 1;
    }
    for wave in &mut waves {
        wave.sort_by_key(|place| key(&new[*place]));
    }
    waves
}

type Key<'a> = (&'a UserId, &'a ProviderName, &'a str);

fn key(new: &NewConnection) -> Key<'_> {
    (&new.user, &new.provider, &new.account)
}

/// A connection to be made, with the id that it gets if it is new.
pub(super) struct Identity<'a> {
    id: ConnectionId,
    new: &'a NewConnection,
    account: String,
}

impl<'a> Identity<'a> {
    pub(super) fn new(new: &'a NewConnection) -> Self {
        Self { id: ConnectionId::generate(), new, account: text(&new.account) }
    }
}

/// Different connections that are made together.
struct Chunk<'a> {
    rows: Vec<Identity<'a>>,
    if_present: IfPresent,
    vault: &'a Vault,
    now: Option<Timestamp>,
}

impl Chunk<'_> {
    async fn put(&self, connection: &mut PgConnection) -> Result<Vec<Stored>, StoreError> {
        let ids = self.ids(connection).await.map_err(store_error)?;
        let found: Vec<_> = self.rows.iter().zip(&ids).map(|(row, id)| (ConnectionId::from(*id), row)).collect();
        let is_new = |id: ConnectionId, row: &Identity<'_>| id == row.id;
        let (fresh, present): (Vec<_>, Vec<_>) = found.iter().copied().partition(|(id, row)| is_new(*id, row));
        match self.if_present {
            IfPresent::Keep => write_tokens(connection, self.vault, &fresh).await.map_err(store_error)?,
            IfPresent::Replace => {
                write_tokens(connection, self.vault, &found).await.map_err(store_error)?;
                let replaced = replace_identities(connection, &present).await.map_err(store_error)?;
                if replaced != present.len() as u64 {
                    return Err(StoreError::Unavailable(
                        "the account of a connection became known meanwhile".to_owned(),
                    ));
                }
                let moves: Vec<_> = present.iter().map(|(id, _)| (id.uuid(), self.now)).collect();
                webhooks::moved(connection, &moves).await?;
            }
        }
        let outcome = |(id, row): (ConnectionId, &Identity<'_>)| match self.if_present {
            _ if is_new(id, row) => Stored::Inserted(id),
            IfPresent::Keep => Stored::Kept(id),
            IfPresent::Replace => Stored::Replaced(id),
        };
        Ok(found.into_iter().map(outcome).collect())
    }

    /// The ids under which the connections stand now: those just given, or older ones.
    async fn ids(&self, connection: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
        loop {
            self.insert_identities(connection).await?;
            let ids = self.stored_ids(connection).await?;
            // One that was in the way may have been given its account since: then this one is new after all.
            if ids.len() == self.rows.len() {
                return Ok(ids);
            }
        }
    }

    async fn insert_identities(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let rows = &self.rows;
        sqlx::query!(
            "INSERT INTO connections
                 (id, user_id, provider, account, label, scopes, consent_at, refresh_expires_at, created_at)
             SELECT n.*, date_trunc('milliseconds', coalesce($9::timestamptz, clock_timestamp()))
             FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
                         $8::timestamptz[])
                 AS n (id, user_id, provider, account, label, scopes, consent_at, refresh_expires_at)
             ON CONFLICT (user_id, provider, account) DO NOTHING",
            &rows.iter().map(|row| row.id.uuid()).collect::<Vec<_>>(),
            &rows.iter().map(|row| row.new.user.as_str()).collect::<Vec<_>>() as &[&str],
            &rows.iter().map(|row| row.new.provider.as_str()).collect::<Vec<_>>() as &[&str],
            &rows.iter().map(|row| row.account.as_str()).collect::<Vec<_>>() as &[&str],
            &rows.iter().map(|row| text(&row.new.label)).collect::<Vec<_>>(),
            &rows.iter().map(|row| text(&row.new.scopes)).collect::<Vec<_>>(),
            &rows.iter().map(|row| row.new.consent_at.map(to_millis)).collect::<Vec<_>>() as &[Option<Timestamp>],
            &rows.iter().map(|row| row.new.refresh_expires_at.map(to_millis)).collect::<Vec<_>>()
                as &[Option<Timestamp>],
            self.now,
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn stored_ids(&self, connection: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
        let rows = &self.rows;
        sqlx::query_scalar!(
            "SELECT c.id FROM unnest($1::text[], $2::text[], $3::text[])
                 WITH ORDINALITY AS n (user_id, provider, account, place)
             JOIN connections c USING (user_id, provider, account)
             ORDER BY n.place",
            &rows.iter().map(|row| row.new.user.as_str()).collect::<Vec<_>>() as &[&str],
            &rows.iter().map(|row| row.new.provider.as_str()).collect::<Vec<_>>() as &[&str],
            &rows.iter().map(|row| row.account.as_str()).collect::<Vec<_>>() as &[&str],
        )
        .fetch_all(connection)
        .await
    }
}

/// Writes schedules and tokens; those of an existing connection take the place of the former ones.
pub(super) async fn write_tokens(
    connection: &mut PgConnection,
    vault: &Vault,
    rows: &[(ConnectionId, &Identity<'_>)],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let sealed: Vec<_> = rows.iter().map(|(id, row)| Sealed::new(vault, *id, row.new)).collect();
    sqlx::query!(
        // How a connection begins is nobody's news; what becomes of it is.
        "INSERT INTO schedules AS s (connection_id, provider, state, reason, version, refresh_at, told)
         SELECT n.connection_id, n.provider, n.state, n.reason, 1, n.refresh_at,
                CASE WHEN n.state = 'needs_reauth' THEN n.state END
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
             AS n (connection_id, provider, state, reason, refresh_at)
         ORDER BY n.connection_id
         -- Whoever holds the lease holds it for tokens that are gone.
         ON CONFLICT (connection_id) DO UPDATE SET
             state = excluded.state, reason = excluded.reason, version = s.version + 1,
             refresh_at = excluded.refresh_at, lease_owner = NULL, lease_until = NULL, contested_at = NULL,
             failures = 0, suspicions = 0",
        &rows.iter().map(|(id, _)| id.uuid()).collect::<Vec<_>>(),
        &rows.iter().map(|(_, row)| row.new.provider.as_str()).collect::<Vec<_>>() as &[&str],
        &sealed.iter().map(|row| row.state.as_str()).collect::<Vec<_>>() as &[&str],
        &sealed.iter().map(|row| row.reason.map(Reason::as_str)).collect::<Vec<_>>() as &[Option<&str>],
        &sealed.iter().map(|row| row.refresh_at).collect::<Vec<_>>() as &[Option<Timestamp>],
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO tokens (connection_id, access_token, refresh_token, key, expires_at)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
         ON CONFLICT (connection_id) DO UPDATE SET
             access_token = excluded.access_token, refresh_token = excluded.refresh_token, key = excluded.key,
             expires_at = excluded.expires_at, last_error = NULL, unread_answer = NULL",
        &rows.iter().map(|(id, _)| id.uuid()).collect::<Vec<_>>(),
        &sealed.iter().map(|row| row.access_token.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
        &sealed.iter().map(|row| row.refresh_token.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
        &sealed.iter().map(|row| row.key).collect::<Vec<_>>() as &[Option<&str>],
        &rows.iter().map(|(_, row)| row.new.expires_at.map(to_millis)).collect::<Vec<_>>() as &[Option<Timestamp>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes what else a consent says. How many rows: one that has another account is left alone, for the caller to give up.
pub(super) async fn replace_identities(
    connection: &mut PgConnection,
    rows: &[(ConnectionId, &Identity<'_>)],
) -> Result<u64, sqlx::Error> {
    if rows.is_empty() {
        return Ok(0);
    }
    let done = sqlx::query!(
        "UPDATE connections c SET
             account = n.account, label = n.label, scopes = n.scopes, consent_at = n.consent_at,
             refresh_expires_at = n.refresh_expires_at, expiry_told = NULL
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
             AS n (id, account, label, scopes, consent_at, refresh_expires_at)
         WHERE c.id = n.id AND c.account IN (n.account, '')",
        &rows.iter().map(|(id, _)| id.uuid()).collect::<Vec<_>>(),
        &rows.iter().map(|(_, row)| row.account.as_str()).collect::<Vec<_>>() as &[&str],
        &rows.iter().map(|(_, row)| text(&row.new.label)).collect::<Vec<_>>(),
        &rows.iter().map(|(_, row)| text(&row.new.scopes)).collect::<Vec<_>>(),
        &rows.iter().map(|(_, row)| row.new.consent_at.map(to_millis)).collect::<Vec<_>>() as &[Option<Timestamp>],
        &rows.iter().map(|(_, row)| row.new.refresh_expires_at.map(to_millis)).collect::<Vec<_>>()
            as &[Option<Timestamp>],
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Where a new connection starts, and its tokens without a plaintext in them.
struct Sealed<'a> {
    state: State,
    reason: Option<Reason>,
    refresh_at: Option<Timestamp>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    key: Option<&'a str>,
}

impl<'a> Sealed<'a> {
    fn new(vault: &'a Vault, id: ConnectionId, new: &NewConnection) -> Self {
        let access_token = present(new.access_token.as_ref()).map(|token| vault.seal(id, Field::AccessToken, token));
        let refresh_token = present(new.refresh_token.as_ref()).map(|token| vault.seal(id, Field::RefreshToken, token));
        let key = (access_token.is_some() || refresh_token.is_some()).then(|| vault.primary());
        let (state, reason, refresh_at) = match &refresh_token {
            Some(_) => (State::Active, None, Some(to_millis(new.refresh_at))),
            None => (State::NeedsReauth, Some(Reason::NoRefreshToken), None),
        };
        Self { state, reason, refresh_at, access_token, refresh_token, key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(user: &str) -> NewConnection {
        NewConnection {
            user: user.parse().unwrap(),
            provider: "amazon-na".parse().unwrap(),
            account: String::new(),
            label: String::new(),
            scopes: String::new(),
            access_token: None,
            refresh_token: None,
            expires_at: None,
            refresh_at: Timestamp::UNIX_EPOCH,
            consent_at: None,
            refresh_expires_at: None,
        }
    }

    #[test]
    fn a_connection_is_once_in_a_wave_and_waves_are_sorted() {
        let input: Vec<_> = ["b", "a", "b", "c", "b", "a"].map(new).into();
        assert_eq!(waves(&input), [vec![1, 0, 3], vec![5, 2], vec![4]]);
    }
}
