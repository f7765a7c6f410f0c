//! Access tokens out of the store, refreshed first only if they must be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evergrant_amc::{Held, Target, TokenError, Tokens};
use evergrant_contract::connection::{AccessToken, Connection};
use evergrant_contract::ids::{ConnectionId, ProviderName, Version};
use evergrant_contract::job::ForceReason;
use evergrant_contract::ports::Clock;
use evergrant_contract::state::Reason;
use evergrant_contract::timing::{before, until};
use evergrant_contract::usage::Meter;

use super::problem::NoToken;
use super::{Ask, Waited, Waits};
use crate::edges::trace::TraceContext;
use crate::reads::Reads;

/// A token that lasts for less is of no use to anybody who still has to send it.
const USABLE: Duration = Duration::from_secs(10);
/// Nobody may demand more than this share of a token's whole life, in percent: whoever did would cause a refresh with every
/// request.
const DEMAND_MAX_PERCENT: u32 = 75;

/// Access tokens out of the store: the AMC client's source where it runs in one process with the API.
pub struct LocalTokens {
    reads: Arc<Reads>,
    waits: Arc<Waits>,
    targets: BTreeMap<ProviderName, Target>,
    clock: Arc<dyn Clock>,
    meter: Arc<Meter>,
}

/// A connection with the access token that it has.
pub(crate) struct Access {
    pub(crate) connection: Connection,
    pub(crate) token: AccessToken,
}

impl LocalTokens {
    /// Tokens of the connections that are read here. `targets` says where the tokens of each provider app are good.
    pub fn new(
        reads: Arc<Reads>,
        waits: Arc<Waits>,
        targets: BTreeMap<ProviderName, Target>,
        clock: Arc<dyn Clock>,
        meter: Arc<Meter>,
    ) -> Self {
        Self { reads, waits, targets, clock, meter }
    }

    /// Where the tokens of a provider app are good, if its descriptor says so.
    pub(crate) fn target(&self, provider: &ProviderName) -> Option<&Target> {
        self.targets.get(provider)
    }

    /// An access token that lasts for `min_validity`, or as long as a new one can be expected to; refreshed first only if it
    /// must be. When it cannot be refreshed now, one that is still good for a little while is better than none.
    pub(crate) async fn access(&self, id: ConnectionId, min_validity: Duration) -> Result<Access, NoToken> {
        self.access_of(self.row(id).await?, min_validity).await
    }

    /// As [`LocalTokens::access`], of a connection that was read for this very question.
    pub(crate) async fn access_of(&self, connection: Connection, min_validity: Duration) -> Result<Access, NoToken> {
        let id = connection.id;
        let access = self.good_access(connection, min_validity).await?;
        let Connection { provider, user, .. } = &access.connection;
        self.meter.used(self.clock.now(), id, provider, user);
        Ok(access)
    }

    async fn good_access(&self, connection: Connection, min_validity: Duration) -> Result<Access, NoToken> {
        let id = connection.id;
        // Read after the row: a token may be newer than the row beside it, never older.
        let stored = self.reads.access_token(id).await?;
        let lasts = |token: &AccessToken, least| self.clock.now() < before(token.expires_at, least);
        let demanded = demand(&connection, min_validity);
        if let Some(token) = &stored
            && lasts(token, demanded)
        {
            return Ok(Access { connection, token: token.clone() });
        }
        let waited = self.force(id, connection.version, ForceReason::Expiring).await;
        let least = match &waited {
            Waited::Refreshed(_) | Waited::NeedsReauth(_) | Waited::NotFound => None,
            // It was just issued: one that lives for moments only is as good as they get.
            Waited::Rejected => Some(Duration::ZERO),
            _ => Some(USABLE),
        };
        if let (Some(token), Some(least)) = (stored, least)
            && lasts(&token, least)
        {
            return Ok(Access { connection, token });
        }
        waited.or_no_token(id)?;
        let connection = self.row(id).await?;
        let token = self.reads.access_token(id).await?;
        let ended = TokenError::NeedsReauth(connection.reason.unwrap_or(Reason::NoRefreshToken));
        token.map(|token| Access { connection, token }).ok_or(NoToken::Error(ended))
    }

    /// An access token newer than the one that was refused.
    pub(crate) async fn access_after(&self, id: ConnectionId, observed: Version) -> Result<Access, NoToken> {
        self.force(id, observed, ForceReason::Unauthorized).await.or_no_token(id)?;
        // The newer one may be of last week: then it is refreshed in its turn.
        self.access(id, USABLE).await
    }

    async fn row(&self, id: ConnectionId) -> Result<Connection, NoToken> {
        self.reads.connection(id).await?.ok_or(NoToken::Error(TokenError::NotFound(id)))
    }

    async fn force(&self, connection: ConnectionId, observed: Version, reason: ForceReason) -> Waited {
        let traceparent = TraceContext::current();
        self.waits.refresh(Ask { connection, observed, reason, patience: None, traceparent }).await
    }

    fn held(&self, access: Access) -> Result<Held, TokenError> {
        let provider = access.connection.provider;
        let Some(target) = self.target(&provider) else {
            return Err(TokenError::Refused(format!("no API is configured for the tokens of provider app {provider}")));
        };
        let AccessToken { token, version, expires_at } = access.token;
        Ok(Held { token, version, expires_at, target: target.clone() })
    }
}

/// How long the token must last: what the caller wants, or what a new token can be expected to last for a while.
fn demand(connection: &Connection, min_validity: Duration) -> Duration {
    let (Some(issued), Some(ends)) = (connection.refreshed_at, connection.expires_at) else { return min_validity };
    min_validity.min(until(issued, ends) * DEMAND_MAX_PERCENT / 100)
}

#[async_trait]
impl Tokens for LocalTokens {
    async fn token(&self, connection: ConnectionId, min_validity: Duration) -> Result<Held, TokenError> {
        let access = self.access(connection, min_validity).await;
        access.map_err(|error| error.error(connection)).and_then(|access| self.held(access))
    }

    async fn refused(&self, connection: ConnectionId, observed: Version) -> Result<Held, TokenError> {
        let access = self.access_after(connection, observed).await;
        access.map_err(|error| error.error(connection)).and_then(|access| self.held(access))
    }
}
