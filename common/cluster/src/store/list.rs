//! Pages of connections.
//!
//! ```text
//! of a user        --> the index of users
//! search, few hits --> search.sql --> those alone
//! not active       --> the index of those, state by state
//! all else         --> the key, from page to page
//! ```
//!
//! Each costs the page or [`FEW`], whichever is more, where hits are spread over the ids.

use evergrant_contract::connection::{Connection, ConnectionFilter};
use evergrant_contract::ids::{ConnectionId, ProviderName, UserId};
use evergrant_contract::ports::StoreError;
use evergrant_contract::state::{Reason, State};
use sqlx::PgConnection;
use uuid::Uuid;

use super::PgStore;
use super::error::store_error;
use super::row::{ConnectionRow, text};

/// Hits of a search that are sorted rather than met in the order of the ids. Among a million connections, a page of a
/// hundred of more hits than that lies among about as many rows.
const FEW: usize = 10_000;

/// What is searched for.
struct Search {
    prefix: String,
    /// If it may be an id.
    id: Option<Uuid>,
}

impl Search {
    /// Nothing is searched for by nothing.
    fn of(filter: &ConnectionFilter) -> Option<Self> {
        let wanted = filter.text.as_deref().filter(|wanted| !wanted.is_empty())?;
        Some(Self { prefix: text(wanted), id: wanted.parse().ok().map(ConnectionId::uuid) })
    }
}

impl PgStore {
    pub(super) async fn page(
        &self,
        filter: &ConnectionFilter,
        after: Option<ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Connection>, StoreError> {
        let search = Search::of(filter);
        let (after, limit) = (after.map_or(Uuid::nil(), ConnectionId::uuid), i64::from(limit));
        let mut look = self.look().await?;
        let few = match &search {
            Some(search) if filter.user.is_none() => few(&mut look, search).await.map_err(store_error)?,
            _ => None,
        };
        let rows = match not_active(filter) {
            Some(states) if filter.user.is_none() && few.is_none() => {
                by_state(&mut look, &states, filter, search.as_ref(), after, limit).await
            }
            _ => by_id(&mut look, few.as_deref(), filter, search.as_ref(), after, limit).await,
        };
        let rows = rows.map_err(store_error)?;
        look.commit().await.map_err(store_error)?;
        rows.into_iter().map(Connection::try_from).collect()
    }
}

/// The states that are asked for, each once, if `active` is none of them. Whatever has a reason is not active.
fn not_active(filter: &ConnectionFilter) -> Option<Vec<&'static str>> {
    let mut states = filter.states.clone();
    if filter.reason.is_some() {
        if states.is_empty() {
            states.extend(State::ALL);
        }
        states.retain(|state| *state != State::Active);
    } else if states.is_empty() || states.contains(&State::Active) {
        return None;
    }
    states.sort_unstable();
    states.dedup();
    Some(states.into_iter().map(State::as_str).collect())
}

/// Everything that a search hits, unless that is too much.
async fn few(connection: &mut PgConnection, search: &Search) -> Result<Option<Vec<Uuid>>, sqlx::Error> {
    let one_too_many = i64::try_from(FEW + 1).unwrap_or(i64::MAX);
    let hits = sqlx::query_file_scalar!("src/store/sql/search.sql", search.prefix, search.id, one_too_many)
        .fetch_all(connection)
        .await?;
    Ok((hits.len() <= FEW).then(|| hits.into_iter().flatten().collect()))
}

async fn by_id(
    connection: &mut PgConnection,
    few: Option<&[Uuid]>,
    filter: &ConnectionFilter,
    search: Option<&Search>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<ConnectionRow>, sqlx::Error> {
    sqlx::query_file_as!(
        ConnectionRow,
        "src/store/sql/list.sql",
        after,
        limit,
        &filter.states.iter().map(|state| state.as_str()).collect::<Vec<_>>() as &[&str],
        filter.provider.as_ref().map(ProviderName::as_str),
        filter.user.as_ref().map(UserId::as_str),
        filter.expired_before,
        filter.reason.map(Reason::as_str),
        search.map(|search| search.prefix.as_str()),
        search.and_then(|search| search.id),
        few,
    )
    .fetch_all(connection)
    .await
}

async fn by_state(
    connection: &mut PgConnection,
    states: &[&str],
    filter: &ConnectionFilter,
    search: Option<&Search>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<ConnectionRow>, sqlx::Error> {
    sqlx::query_file_as!(
        ConnectionRow,
        "src/store/sql/list_by_state.sql",
        after,
        limit,
        states as &[&str],
        filter.provider.as_ref().map(ProviderName::as_str),
        filter.expired_before,
        filter.reason.map(Reason::as_str),
        search.map(|search| search.prefix.as_str()),
        search.and_then(|search| search.id),
    )
    .fetch_all(connection)
    .await
}
