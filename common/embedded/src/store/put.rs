//! Making connections, one or a hundred thousand.

use std::collections::HashMap;

use async_trait::async_trait;
use evergrant_contract::connection::{IfPresent, NewConnection, Stored};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::StoreError;
use evergrant_contract::state::{Reason, State};
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::columns::millis;
use super::error::Explain;
use super::sealed::{Pair, present};
use super::webhooks;
use super::writer::{Scope, Write};

/// Rows that go to SQLite in one statement, as one JSON text: a statement for each would cost several times as much.
const CHUNK: usize = 500;

/// Makes connections, or replaces the tokens of those that exist.
pub(super) struct Put {
    pub(super) connections: Vec<NewConnection>,
    pub(super) if_present: IfPresent,
}

#[async_trait]
impl Write for Put {
    type Output = Vec<Stored>;

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<Vec<Stored>, StoreError> {
        let mut answers = Vec::with_capacity(self.connections.len());
        for chunk in self.connections.chunks(CHUNK) {
            let plan = self.plan(scope.db, chunk).await?;
            insert(scope, &plan).await?;
            for (connection, answer) in &plan {
                if let Stored::Replaced(id) = answer {
                    replace(scope, *id, connection).await?;
                }
            }
            answers.extend(plan.into_iter().map(|(_, answer)| answer));
        }
        Ok(answers)
    }
}

type Planned<'a> = (&'a NewConnection, Stored);

/// What makes a connection unique: owner, provider and account.
type Key<'a> = (&'a str, &'a str, &'a str);

fn key(connection: &NewConnection) -> Key<'_> {
    (connection.user.as_str(), connection.provider.as_str(), &connection.account)
}

impl Put {
    /// What becomes of each. One that is named twice is new the first time and present the second.
    async fn plan<'a>(
        &self,
        db: &mut SqliteConnection,
        chunk: &'a [NewConnection],
    ) -> Result<Vec<Planned<'a>>, StoreError> {
        let mut known = known(db, chunk).await?;
        let mut decide = |connection: &'a NewConnection| match (known.get(&key(connection)), self.if_present) {
            (Some(id), IfPresent::Keep) => Stored::Kept(*id),
            (Some(id), IfPresent::Replace) => Stored::Replaced(*id),
            (None, _) => {
                let id = ConnectionId::generate();
                known.insert(key(connection), id);
                Stored::Inserted(id)
            }
        };
        Ok(chunk.iter().map(|connection| (connection, decide(connection))).collect())
    }
}

/// The ids of those that exist already.
async fn known<'a>(
    db: &mut SqliteConnection,
    chunk: &'a [NewConnection],
) -> Result<HashMap<Key<'a>, ConnectionId>, StoreError> {
    let names = chunk.iter().map(|connection| {
        let (user, provider, account) = key(connection);
        json!([user, provider, account])
    });
    let keys = names.collect::<Value>().to_string();
    let rows = sqlx::query!(
        r#"SELECT k.key + 0 AS "position!: i64", c.id AS "id!: Uuid"
           FROM json_each(?) k
           JOIN connections c ON c.user_id = k.value ->> 0 AND c.provider = k.value ->> 1 AND c.account = k.value ->> 2"#,
        keys,
    )
    .fetch_all(db)
    .await
    .explain()?;
    let asked = |position: i64| usize::try_from(position).ok().and_then(|position| chunk.get(position));
    Ok(rows.into_iter().filter_map(|row| Some((key(asked(row.position)?), row.id.into()))).collect())
}

/// Where a connection with these tokens starts.
fn start(connection: &NewConnection) -> (State, Option<Reason>, Option<i64>) {
    match present(connection.refresh_token.as_ref()) {
        Some(_) => (State::Active, None, Some(millis(connection.refresh_at))),
        None => (State::NeedsReauth, Some(Reason::NoRefreshToken), None),
    }
}

fn seal(scope: &Scope<'_>, id: ConnectionId, connection: &NewConnection) -> Pair {
    Pair::seal(scope.keyring, id, connection.access_token.as_ref(), connection.refresh_token.as_ref())
}

/// Inserts those that are new.
async fn insert(scope: &mut Scope<'_>, plan: &[Planned<'_>]) -> Result<(), StoreError> {
    let new = plan.iter().filter_map(|(connection, answer)| match answer {
        Stored::Inserted(id) => Some(row(scope, *id, connection)),
        Stored::Kept(_) | Stored::Replaced(_) => None,
    });
    let (rows, now) = (new.collect::<Value>().to_string(), millis(scope.now));
    sqlx::query!(
        "INSERT INTO connections
             (id, user_id, provider, account, label, scopes, consent_at, refresh_expires_at, created_at)
         SELECT unhex(value ->> 'id'), value ->> 'user', value ->> 'provider', value ->> 'account', value ->> 'label',
             value ->> 'scopes', value ->> 'consent_at', value ->> 'refresh_expires_at', ?2
         FROM json_each(?1)",
        rows,
        now,
    )
    .execute(&mut *scope.db)
    .await
    .explain()?;
    sqlx::query!(
        // How a connection begins is nobody's news; what becomes of it is.
        "INSERT INTO schedules (connection_id, provider, state, reason, version, refresh_at, told)
         SELECT unhex(value ->> 'id'), value ->> 'provider', value ->> 'state', value ->> 'reason', 1, value ->> 'refresh_at',
             CASE value ->> 'state' WHEN 'needs_reauth' THEN 'needs_reauth' END
         FROM json_each(?)",
        rows,
    )
    .execute(&mut *scope.db)
    .await
    .explain()?;
    sqlx::query!(
        "INSERT INTO tokens (connection_id, access_token, refresh_token, key, expires_at)
         SELECT unhex(value ->> 'id'), value ->> 'access_token', value ->> 'refresh_token', value ->> 'key',
             value ->> 'expires_at'
         FROM json_each(?)",
        rows,
    )
    .execute(&mut *scope.db)
    .await
    .map(drop)
    .explain()
}

fn row(scope: &Scope<'_>, id: ConnectionId, connection: &NewConnection) -> Value {
    let (state, reason, refresh_at) = start(connection);
    let sealed = seal(scope, id, connection);
    json!({
        "id": id.uuid().simple().to_string(),
        "user": connection.user.as_str(),
        "provider": connection.provider.as_str(),
        "account": connection.account,
        "label": connection.label,
        "scopes": connection.scopes,
        "consent_at": connection.consent_at.map(millis),
        "refresh_expires_at": connection.refresh_expires_at.map(millis),
        "state": state.as_str(),
        "reason": reason.map(Reason::as_str),
        "refresh_at": refresh_at,
        "access_token": sealed.access_token,
        "refresh_token": sealed.refresh_token,
        "key": sealed.key,
        "expires_at": connection.expires_at.map(millis),
    })
}

/// Puts new tokens in the place of those of a connection, whatever its state was, and answers with the version that they
/// have. Whoever holds its lease loses by version.
pub(super) async fn replace(
    scope: &mut Scope<'_>,
    id: ConnectionId,
    connection: &NewConnection,
) -> Result<Version, StoreError> {
    let (state, reason, refresh_at) = start(connection);
    let (state, reason) = (state.as_str(), reason.map(Reason::as_str));
    let sealed = seal(scope, id, connection);
    let expires_at = connection.expires_at.map(millis);
    let id = id.uuid();
    let version = sqlx::query_scalar!(
        r#"UPDATE schedules SET state = ?, reason = ?, version = version + 1, refresh_at = ?, lease_owner = NULL,
               lease_until = NULL, contested_at = NULL, failures = 0, suspicions = 0
           WHERE connection_id = ?
           RETURNING version AS "version!: i64""#,
        state,
        reason,
        refresh_at,
        id,
    )
    .fetch_one(&mut *scope.db)
    .await
    .explain()?;
    sqlx::query!(
        "UPDATE tokens SET access_token = ?, refresh_token = ?, key = ?, expires_at = ?, last_error = NULL,
             unread_answer = NULL
         WHERE connection_id = ?",
        sealed.access_token,
        sealed.refresh_token,
        sealed.key,
        expires_at,
        id,
    )
    .execute(&mut *scope.db)
    .await
    .explain()?;
    rename(scope, id, connection).await?;
    webhooks::moved(scope.db, id.into(), scope.now).await?;
    Ok(Version::new(version))
}

/// Writes what a consent says besides its tokens.
async fn rename(scope: &mut Scope<'_>, id: Uuid, connection: &NewConnection) -> Result<(), StoreError> {
    let (consent_at, refresh_expires_at) =
        (connection.consent_at.map(millis), connection.refresh_expires_at.map(millis));
    sqlx::query!(
        "UPDATE connections SET label = ?, scopes = ?, consent_at = ?, refresh_expires_at = ?, expiry_told = NULL
         WHERE id = ?",
        connection.label,
        connection.scopes,
        consent_at,
        refresh_expires_at,
        id,
    )
    .execute(&mut *scope.db)
    .await
    .map(drop)
    .explain()
}
