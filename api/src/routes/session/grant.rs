//! How somebody's Amazon grant stands, beside how their session stands. The two never stand for each other: what is wrong
//! with the one is no reason to refuse the other.

use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::connection::Connection;
use evergrant_contract::ids::{ConnectionId, UserId};
use evergrant_contract::job::ForceReason;
use evergrant_contract::state::{Reason, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::edges::trace::TraceContext;
use crate::problem::Problem;
use crate::routes::amazon::{best_first, own_amazon};
use crate::state::Api;
use crate::waits::{Ask, Waited};

/// How long the refresh of a session waits for that of the grant.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it waits for the store as well.
const BOUND: Duration = Duration::from_secs(3);

/// How a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum GrantStatus {
    /// Its access token is good.
    Ok,
    /// Its access token is good, and was refreshed by this request.
    Refreshed,
    /// Nothing is connected.
    None,
    /// It has ended: the user has to connect again.
    ReauthRequired,
    /// It has no good access token at this moment and will have one again: there is nothing to do.
    Unavailable,
}

/// The grant that matters: of several the one that is best off. A connection that was taken away is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Grant {
    pub(super) status: GrantStatus,
    /// Which connection holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(super) connection_id: Option<ConnectionId>,
    /// When its access token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) expires_at: Option<Timestamp>,
    /// Why it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "grant_invalid")]
    pub(super) reason: Option<Reason>,
}

impl Grant {
    /// How the grant stands, with its access token refreshed first if it has ended or nears its end. It takes a moment at
    /// most and cannot fail; the refresh goes on by itself.
    pub(super) async fn refreshed(api: &Api, user: &UserId) -> Self {
        let refreshed = async {
            let row = best(api, user).await?;
            Ok::<_, Problem>(match row {
                Some(row) if is_due(&row, api.clock.now()) => refresh(api, row).await?,
                row => Self::of(row.as_ref(), api.clock.now()),
            })
        };
        tokio::select! {
            biased;
            grant = refreshed => grant.unwrap_or(Self::UNKNOWN),
            () = api.clock.sleep(BOUND) => Self::UNKNOWN,
        }
    }

    /// How the grant stands. Nothing is refreshed: browsers ask for it all the time.
    pub(super) async fn as_it_stands(api: &Api, user: &UserId) -> Self {
        best(api, user).await.map_or(Self::UNKNOWN, |row| Self::of(row.as_ref(), api.clock.now()))
    }

    /// It cannot be told, which is nobody's reason to connect again.
    const UNKNOWN: Self =
        Self { status: GrantStatus::Unavailable, connection_id: None, expires_at: None, reason: None };

    fn of(row: Option<&Connection>, now: Timestamp) -> Self {
        let Some(row) = row else {
            return Self { status: GrantStatus::None, ..Self::UNKNOWN };
        };
        let status = match row.state {
            State::NeedsReauth => GrantStatus::ReauthRequired,
            State::Disconnected => GrantStatus::None,
            State::Active | State::Failing | State::Suspect if row.expires_at.is_some_and(|at| now < at) => {
                GrantStatus::Ok
            }
            State::Active | State::Failing | State::Suspect => GrantStatus::Unavailable,
        };
        Self { status, connection_id: Some(row.id), expires_at: row.expires_at, reason: row.reason }
    }
}

async fn best(api: &Api, user: &UserId) -> Result<Option<Connection>, Problem> {
    let rows = best_first(own_amazon(api, user).await?);
    Ok(rows.into_iter().find(|row| row.state != State::Disconnected))
}

/// Whether its token has ended, or is so near its end that the scheduler would have it refreshed.
fn is_due(row: &Connection, now: Timestamp) -> bool {
    let passed = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    row.state.is_refreshable() && (row.expires_at.is_none() || passed(row.expires_at) || passed(row.refresh_at))
}

async fn refresh(api: &Api, row: Connection) -> Result<Grant, Problem> {
    let ask = Ask {
        connection: row.id,
        observed: row.version,
        reason: ForceReason::Expiring,
        patience: Some(PATIENCE),
        traceparent: TraceContext::current(),
    };
    let waited = api.waits.refresh(ask).await;
    // The row tells everything but who refreshed it. Its old self does, if it cannot be read again.
    let row = api.store.find(row.id).await.unwrap_or_default().unwrap_or(row);
    let mut grant = Grant::of(Some(&row), api.clock.now());
    match waited {
        Waited::Refreshed(_) if grant.status == GrantStatus::Ok => grant.status = GrantStatus::Refreshed,
        Waited::NeedsReauth(reason) => (grant.status, grant.reason) = (GrantStatus::ReauthRequired, Some(reason)),
        Waited::NotFound => grant = Grant { status: GrantStatus::None, ..Grant::UNKNOWN },
        _ => {}
    }
    Ok(grant)
}
