//! What the simulator has seen each client do with each grant. Ids and numbers only, never a token.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// The account of one grant.
#[derive(Clone, Debug, Serialize)]
pub struct LedgerEntry {
    /// The grant's own id: a user who consents twice has two.
    pub grant: String,
    /// Whose grant it is.
    pub user_id: String,
    /// `live`, `revoked` (by the user) or `reuse_detected` (strict rotation ended it).
    pub state: &'static str,
    /// How many refresh tokens have followed the first.
    pub generation: u32,
    /// When its newest access token stops working.
    pub access_expires_at: DateTime<Utc>,
    /// What happened to it.
    #[serde(flatten)]
    pub counts: Counts,
    /// The refresh tokens that were spent more than once. Every other one before `generation` was spent once.
    pub repeats: Vec<Repeat>,
}

impl LedgerEntry {
    /// Whether this is something that a correct client never does.
    pub fn is_suspicious(&self) -> bool {
        self.counts.is_suspicious()
    }
}

/// What has happened to one grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls to the token endpoint that presented a refresh token of the grant.
    pub token_calls: u64,
    /// Of these, the ones that took effect.
    pub refreshes: u64,
    /// Of these, the ones answered `invalid_grant` because the grant had ended.
    pub refused: u32,
    /// A refresh token that had been exchanged for another was presented again.
    pub spent_twice: u32,
    /// Of these, the ones whose first answer never reached the client: they had no other choice.
    pub after_lost_reply: u32,
    /// Refreshes that took effect and whose answer was not written whole, by a fault or because the client left.
    pub lost_replies: u32,
    /// Calls with a token of the grant after it had ended and `invalid_grant` had been answered twice.
    pub calls_after_end: u32,
    /// The most calls to the token endpoint that were under way at one time.
    pub concurrent_refreshes: u32,
    /// Calls to the API with a token of the grant.
    pub api_calls: u64,
    /// Of these, the ones whose access token had expired.
    pub expired_uses: u32,
}

impl Counts {
    /// Whether this is something that a correct client never does.
    pub fn is_suspicious(&self) -> bool {
        self.spent_twice > self.after_lost_reply
            || self.calls_after_end > 0
            || self.concurrent_refreshes > 1
            || self.expired_uses > 0
    }
}

/// A refresh token that was spent more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Repeat {
    /// Which one of its grant, counted from 0.
    pub generation: u32,
    /// How often it was presented.
    pub spends: u32,
}
