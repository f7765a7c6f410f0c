//! What a provider's answer means.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::ProviderName;
use crate::secret::Secret;
use crate::state::words;

/// The tokens in a successful answer.
#[derive(Clone)]
pub struct Tokens {
    /// The new access token.
    pub access_token: Secret,
    /// The new refresh token, if the answer had a non-empty one. `None` keeps the stored one.
    pub refresh_token: Option<Secret>,
    /// How long the access token lives, counted from [`Answer::sent_at`].
    pub lifetime: Duration,
    /// When the refresh token itself ends, if the answer says so.
    pub refresh_expires_at: Option<Timestamp>,
    /// Scopes, if the answer names them.
    pub scopes: Option<String>,
}

words!(
    /// The class of an answer, as the descriptor's table gives it; what metrics and attempts are labelled with.
    VerdictKind, "a verdict" {
        /// A new access token was issued.
        Refreshed => "refreshed",
        /// Nothing is known about the grant: try again.
        Transient => "transient",
        /// The provider asks for a pause.
        Throttled => "throttled",
        /// The provider says that this grant has ended. Believed only after it is confirmed.
        GrantInvalid => "grant_invalid",
        /// Our app's own credentials or configuration are refused. Says nothing about any connection.
        AppFault => "app_fault",
        /// Success without a usable token. The answer is kept, since it may hold a rotated secret.
        Unusable => "unusable",
    }
);

/// What one answer means, with what is needed to act on it.
#[derive(Clone)]
pub enum Verdict {
    /// A new access token was issued.
    Refreshed(Tokens),
    /// Nothing is known about the grant: try again.
    Transient,
    /// The provider asks for a pause, of this length if it says so.
    Throttled(Option<Duration>),
    /// The provider says that this grant has ended.
    GrantInvalid,
    /// Our app's own credentials or configuration are refused.
    AppFault,
    /// Success without a usable token; the raw body.
    Unusable(Secret),
}

impl Verdict {
    /// The class, without what it carries.
    pub const fn kind(&self) -> VerdictKind {
        match self {
            Self::Refreshed(_) => VerdictKind::Refreshed,
            Self::Transient => VerdictKind::Transient,
            Self::Throttled(_) => VerdictKind::Throttled,
            Self::GrantInvalid => VerdictKind::GrantInvalid,
            Self::AppFault => VerdictKind::AppFault,
            Self::Unusable(_) => VerdictKind::Unusable,
        }
    }
}

/// A provider's answer to one call of its token endpoint.
#[derive(Clone)]
pub struct Answer {
    /// What it means.
    pub verdict: Verdict,
    /// Taken before the request left, so that an access token is never believed to live longer than it does.
    pub sent_at: Timestamp,
    /// What may be kept and shown of it.
    pub trace: AnswerTrace,
}

/// What may be kept and shown of an answer: no token, no code, no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerTrace {
    /// HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The provider's error code, such as `invalid_grant`, if it fits an error code's alphabet.
    pub code: Option<String>,
    /// One sentence for people: ours, or the provider's description with everything token-like taken out.
    pub message: String,
    /// The provider's own id of the request, for its support.
    pub request_id: Option<String>,
    /// From sending to the last byte.
    pub duration_ms: u64,
    /// The request left and no answer came back: a rotating provider may have spent the refresh token.
    pub ambiguous: bool,
}

/// One call of the token endpoint, as the history keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When the request was sent.
    pub at: Timestamp,
    /// The class of the answer.
    pub verdict: VerdictKind,
    /// What may be kept of it.
    #[serde(flatten)]
    pub trace: AnswerTrace,
}

/// One refresh to be asked of a provider.
pub struct RefreshCall<'a> {
    /// The token to spend.
    pub refresh_token: &'a Secret,
    /// The scopes of the grant, for providers that want them on a refresh too.
    pub scopes: Option<&'a str>,
}

/// How a provider treats refresh tokens that were spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotation {
    /// The refresh token stays the same for the life of the grant.
    None,
    /// A new one may come; the former one keeps working for a while.
    Optional,
    /// A new one comes every time and the former one is dead; its reuse may end the whole grant.
    Strict,
}

impl Rotation {
    /// How often a refresh token may be spent again after a reply that never arrived.
    pub const fn respends_after_lost_reply(self) -> u32 {
        match self {
            Self::None | Self::Optional => u32::MAX,
            Self::Strict => 1,
        }
    }
}

/// How a provider's `invalid_grant` is confirmed before it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum Confirmation {
    /// Once more after a pause, inside the same job: a person who waits is told the truth at once.
    InJob {
        /// The pause.
        after_ms: u64,
    },
    /// Several times, spaced over minutes, through `suspect`: for providers known to send it wrongly.
    Spaced {
        /// How many `invalid_grant` in a row end the grant.
        times: u32,
        /// The pause between two of them.
        every_ms: u64,
    },
}

/// What the engine needs to know of a provider's ways; a part of its descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderPolicy {
    /// The provider app that this is about.
    pub name: ProviderName,
    /// How it treats spent refresh tokens.
    pub rotation: Rotation,
    /// How its `invalid_grant` is confirmed.
    pub confirmation: Confirmation,
    /// No more than this share of an access token's lifetime is given up by refreshing early, in percent.
    pub margin_share_percent: u8,
    /// One call's longest duration, from connecting to the last byte.
    pub call_timeout: Duration,
}
