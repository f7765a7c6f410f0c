//! Where access tokens come from.

use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, ProviderName, Version};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::Reason;
use url::Url;

/// Gives out access tokens, and new ones for those that were refused.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// A token that is good for at least `min_validity`, if the provider gives such; refreshed first only if it must be.
    async fn token(&self, connection: ConnectionId, min_validity: Duration) -> Result<Held, TokenError>;
    /// A token newer than the one that was refused: one refresh, however many ask.
    async fn refused(&self, connection: ConnectionId, observed: Version) -> Result<Held, TokenError>;
}

/// A token to be used now.
#[derive(Clone)]
pub struct Held {
    /// The token.
    pub token: Secret,
    /// Its version, to be named when it is refused.
    pub version: Version,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Where it is good.
    pub target: Target,
}

/// The API that a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The provider app that issued it.
    pub provider: ProviderName,
    /// The API's address in the connection's region. Tokens are sent nowhere else.
    pub api_url: Url,
    /// The app's client id, which Amazon wants beside the token.
    pub client_id: String,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no such connection, or the caller may not know of it.
    #[error("there is no connection {0}")]
    NotFound(ConnectionId),
    /// The grant has ended, or the user took it away: the user has to connect again.
    #[error("the grant has ended ({}): the user has to connect again", .0.as_str())]
    NeedsReauth(Reason),
    /// Not now. The connection keeps its tokens.
    #[error("no token for now: {message}")]
    Unavailable {
        /// How long to wait before asking again.
        retry_after: Duration,
        /// One sentence for people.
        message: String,
        /// The provider refuses our own credentials: waiting does not help, an operator has to act.
        is_app_fault: bool,
    },
    /// An operator of Evergrant has paused refreshes: waiting helps when they are resumed. The connection keeps its tokens.
    #[error("no token for now: {message}")]
    Paused {
        /// How long to wait before asking again. Nobody knows how long the pause lasts.
        retry_after: Duration,
        /// One sentence for people: what is paused, and why.
        message: String,
    },
    /// The refresh was asked for and goes on; its outcome did not come in time.
    #[error("the refresh did not end in time; it goes on")]
    Pending {
        /// How long to wait before asking again.
        retry_after: Duration,
    },
    /// The token that was refused had just been issued: another one would be refused too.
    #[error("the API refuses a token that was just issued: this is no matter of tokens")]
    Rejected,
    /// Evergrant itself refuses: the API key is wrong, or lacks a scope.
    #[error("Evergrant refuses: {0}")]
    Refused(String),
}
