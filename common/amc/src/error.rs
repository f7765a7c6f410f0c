//! Why a call has no answer, or not the one that was asked for.

use std::error::Error as _;
use std::time::Duration;

use evergrant_contract::ids::ConnectionId;
use evergrant_contract::state::Reason;

use crate::answer::Answer;
use crate::tokens::TokenError;

/// A client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The TLS stack or its trust store is not usable.
    #[error("the HTTP client cannot be made: {0}")]
    Http(String),
    /// An address of Evergrant that is none.
    #[error("the address of Evergrant has to be `https://host/`; plain http is for this machine, unless it is allowed")]
    Address,
    /// A key that cannot be sent.
    #[error("the API key cannot be used: {0}")]
    Key(String),
}

/// Why a call has no answer. No variant holds a token, and none a header that was sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such connection, or the caller may not know of it.
    #[error("there is no connection {0}")]
    NotFound(ConnectionId),
    /// The grant has ended: the user has to connect again. The call was not made.
    #[error("the grant has ended ({}): the user has to connect again", reason.as_str())]
    NeedsReauth {
        /// Why.
        reason: Reason,
    },
    /// There is no token for now, and the call was not made. The connection keeps its tokens: ask again.
    #[error("no token for now: {message}")]
    Unavailable {
        /// How long to wait before asking again.
        retry_after: Duration,
        /// One sentence for people.
        message: String,
        /// The provider refuses our own credentials: waiting does not help, an operator has to act.
        is_app_fault: bool,
    },
    /// An operator of Evergrant has paused refreshes, and the call was not made. The connection keeps its tokens.
    #[error("no token for now: {message}")]
    Paused {
        /// How long to wait before asking again. Nobody knows how long the pause lasts.
        retry_after: Duration,
        /// One sentence for people: what is paused, and why.
        message: String,
    },
    /// A refresh goes on and did not end in time. The call was not made: ask again.
    #[error("the refresh did not end in time; it goes on")]
    Pending {
        /// How long to wait before asking again.
        retry_after: Duration,
    },
    /// The API refuses a token that was just issued: this is no matter of tokens.
    #[error("the API refuses a token that was just issued: this is no matter of tokens")]
    Rejected {
        /// What it answered to the last try, unchanged.
        answer: Option<Box<Answer>>,
    },
    /// Evergrant itself refuses: the API key is wrong, or lacks a scope.
    #[error("Evergrant refuses: {0}")]
    Refused(String),
    /// The API asks for a pause that is longer than the budget for it, or does not say how long. Nothing was done.
    #[error("the API asks for fewer calls")]
    Throttled {
        /// How long to wait, if the API said so.
        retry_after: Option<Duration>,
    },
    /// The API answered a typed call with an error.
    #[error("the API answered {status}{}", told(code.as_deref(), details.as_deref()))]
    Api {
        /// The HTTP status.
        status: u16,
        /// The word or number that the API has for it.
        code: Option<String>,
        /// What it says for people.
        details: Option<String>,
        /// The id to name to Amazon's support.
        request_id: Option<String>,
    },
    /// There is no complete answer.
    #[error("{message}{}", if *maybe_executed { "; the call may have been carried out" } else { "; nothing was done" })]
    Network {
        /// What happened.
        message: String,
        /// Whether the request may have been carried out: look before repeating what must not happen twice.
        maybe_executed: bool,
    },
    /// The path or an id in it would lead elsewhere than to the API. Nothing was sent.
    #[error("the path of the call is not usable: {0}")]
    BadPath(&'static str),
    /// The request cannot be written down. Nothing was sent.
    #[error("the request is not usable: {0}")]
    BadRequest(String),
    /// The answer is longer than typed calls read. The call was carried out.
    #[error("the answer has more than {limit} bytes")]
    BodyTooLong {
        /// The limit.
        limit: usize,
    },
    /// The API answered with success and not with what is documented. The call was carried out.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

impl Error {
    /// How long to wait before trying again, if that may help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. }
            | Self::Paused { retry_after, .. }
            | Self::Pending { retry_after } => Some(*retry_after),
            Self::Throttled { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// One word for metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::NeedsReauth { .. } => "needs_reauth",
            Self::Unavailable { .. } => "unavailable",
            Self::Paused { .. } => "paused",
            Self::Pending { .. } => "pending",
            Self::Rejected { .. } => "rejected",
            Self::Refused(_) => "refused",
            Self::Throttled { .. } => "throttled",
            Self::Network { .. } => "network",
            Self::BadPath(_) | Self::BadRequest(_) => "bad_request",
            Self::Api { .. } | Self::BodyTooLong { .. } | Self::Unreadable(_) => "answered",
        }
    }

    /// What a broken exchange means to the caller. The URL is left out: a query may hold anything.
    pub(crate) fn network(error: &reqwest::Error) -> Self {
        let is_unsent = error.is_connect() || error.is_builder();
        let message = if error.is_connect() {
            format!("no connection to the API: {}", root_cause(error))
        } else if error.is_timeout() {
            "the API did not answer in time".to_owned()
        } else {
            format!("the connection broke before the answer was complete: {}", root_cause(error))
        };
        Self::Network { message, maybe_executed: !is_unsent }
    }
}

/// The innermost error: the outer ones say only "error sending request".
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "the request cannot be made".to_owned(), ToString::to_string)
}

fn told(code: Option<&str>, details: Option<&str>) -> String {
    let told: Vec<_> = [code, details].into_iter().flatten().collect();
    if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) }
}

impl TokenError {
    /// Why there was no token for a call; `answer` is what the API had said to the token before.
    pub(crate) fn into_error(self, answer: Option<Answer>) -> Error {
        match self {
            Self::NotFound(connection) => Error::NotFound(connection),
            Self::NeedsReauth(reason) => Error::NeedsReauth { reason },
            Self::Unavailable { retry_after, message, is_app_fault } => {
                Error::Unavailable { retry_after, message, is_app_fault }
            }
            Self::Paused { retry_after, message } => Error::Paused { retry_after, message },
            Self::Pending { retry_after } => Error::Pending { retry_after },
            Self::Rejected => Error::Rejected { answer: answer.map(Box::new) },
            Self::Refused(why) => Error::Refused(why),
        }
    }
}
