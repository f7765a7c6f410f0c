//! How it is told that there is no token: the one place that knows.

use std::time::Duration;

use evergrant_amc::TokenError;
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::StoreError;
use evergrant_contract::state::Reason;
use tracing::error;

use super::Waited;
use super::decide::RETRY_MIN;
use crate::problem::{Problem, ProblemKind};

const OVERLOADED: &str = "Too many requests wait for refreshes already. Nothing was done; try again.";
const AWAY: &str = "The store or the queue is away: the refresh could not be asked for. Try again.";
const REJECTED: &str = "The token that was refused had just been issued, and another would be refused too: this is no \
                        matter of tokens. See whether the account may do what was asked.";
const PENDING: &str = "The refresh did not end in time. It goes on: ask again.";

/// Why there is no token, in everything that the API and the AMC client tell apart.
#[derive(Debug)]
pub(crate) enum NoToken {
    /// What the AMC client knows too.
    Error(TokenError),
    /// Too many requests wait already.
    Overloaded,
    /// The store or the queue was away all the time.
    Away(Duration),
    /// The store could not be read.
    Store(StoreError),
}

impl From<StoreError> for NoToken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Waited {
    /// The version that is stored now, or why there is none.
    pub(super) fn or_no_token(self, connection: ConnectionId) -> Result<Version, NoToken> {
        Err(NoToken::Error(match self {
            Self::Refreshed(version) => return Ok(version),
            Self::Overloaded => return Err(NoToken::Overloaded),
            Self::Away { retry_after } => return Err(NoToken::Away(retry_after)),
            Self::NeedsReauth(reason) => TokenError::NeedsReauth(reason),
            Self::Unavailable { retry_after, message, is_app_fault } => {
                TokenError::Unavailable { retry_after, message, is_app_fault }
            }
            Self::Paused { retry_after, message } => TokenError::Paused { retry_after, message },
            Self::Pending { retry_after } => TokenError::Pending { retry_after },
            Self::Rejected => TokenError::Rejected,
            Self::NotFound => TokenError::NotFound(connection),
        }))
    }

    /// The version that is stored now, or the problem to answer with.
    pub(crate) fn or_problem(self, connection: ConnectionId) -> Result<Version, Problem> {
        self.or_no_token(connection).map_err(|error| error.problem(connection))
    }
}

impl NoToken {
    /// The problem to answer with.
    pub(crate) fn problem(self, connection: ConnectionId) -> Problem {
        let (kind, detail, retry_after) = match self {
            Self::Error(error) => return Problem::of_token(error, connection),
            Self::Store(error) => return error.into(),
            Self::Overloaded => (ProblemKind::Overloaded, OVERLOADED, RETRY_MIN),
            Self::Away(retry_after) => (ProblemKind::Unavailable, AWAY, retry_after),
        };
        Problem::new(kind, detail).about(connection).retry_after(retry_after)
    }

    /// What the AMC client is told.
    pub(super) fn error(self, connection: ConnectionId) -> TokenError {
        let (message, retry_after) = match self {
            Self::Error(error) => return error,
            Self::Overloaded => (OVERLOADED, RETRY_MIN),
            Self::Away(retry_after) => (AWAY, retry_after),
            Self::Store(error) => {
                if !error.is_transient() {
                    error!(%connection, %error, "An access token cannot be read");
                }
                (AWAY, RETRY_MIN)
            }
        };
        TokenError::Unavailable { retry_after, message: message.to_owned(), is_app_fault: false }
    }
}

impl Problem {
    /// Why there is no access token.
    pub(crate) fn of_token(error: TokenError, connection: ConnectionId) -> Self {
        let problem = match error {
            TokenError::NotFound(_) => return Self::not_found("connection"),
            TokenError::NeedsReauth(reason) => {
                Self::new(ProblemKind::ProviderReauthRequired, ended(reason)).because(reason)
            }
            TokenError::Unavailable { retry_after, message, is_app_fault: true } => {
                Self::new(ProblemKind::AppCredentialsInvalid, message).retry_after(retry_after)
            }
            TokenError::Unavailable { retry_after, message, is_app_fault: false } => {
                Self::new(ProblemKind::ProviderUnavailable, message).retry_after(retry_after)
            }
            TokenError::Paused { retry_after, message } => {
                Self::new(ProblemKind::RefreshPaused, message).retry_after(retry_after)
            }
            TokenError::Pending { retry_after } => {
                Self::new(ProblemKind::RefreshTimeout, PENDING).retry_after(retry_after)
            }
            TokenError::Rejected => Self::new(ProblemKind::ProviderRejected, REJECTED),
            TokenError::Refused(message) => Self::new(ProblemKind::NotConfigured, message),
        };
        problem.about(connection)
    }
}

/// What a person is told about a grant that has ended, and what to do.
const fn ended(reason: Reason) -> &'static str {
    match reason {
        Reason::Undecryptable => {
            "The stored tokens cannot be opened with the present keys: an operator has to give back the key that wrote them."
        }
        Reason::ByUser => "The user disconnected this account: it has to be connected again.",
        Reason::NoRefreshToken => "There is no refresh token for this account: its user has to connect it again.",
        Reason::GrantInvalid | Reason::GrantSuspect | Reason::UnusableAnswer | Reason::AttemptsExhausted => {
            "The provider says that the grant has ended: its user has to connect this account again."
        }
    }
}
