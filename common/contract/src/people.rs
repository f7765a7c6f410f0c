//! Who uses the API: people with sessions, services with keys.
//!
//! Nothing here is a secret that the store could give away: passwords are kept as argon2 hashes, API keys and OAuth states
//! as digests, and session tokens not at all (`docs/decisions/0010`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{ApiKeyId, ConnectionId, ProviderName, SessionId, UserId};
use crate::state::words;
use crate::timing::after;

// --------------------------------------------------------------------------------------------------------------- users

/// A person who may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The id that their connections carry.
    pub id: UserId,
    /// Unique among those that are not empty, whatever the case of its letters.
    pub email: String,
    /// What to call them; may be empty.
    pub name: String,
    /// The account at the sign-in provider. Unique among those that are not empty.
    pub account: String,
    /// Sees and does everything.
    pub is_admin: bool,
    /// Somebody who is not active cannot sign in, and their sessions are refused.
    pub is_active: bool,
    /// Advertising profiles, as the original project kept them; ours to keep and to show.
    pub profile_ids: Vec<String>,
    /// Marketplaces, likewise.
    pub marketplace_ids: Vec<String>,
    /// When they were first seen.
    pub created_at: Timestamp,
}

/// By what a user is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserKey<'a> {
    /// Their id.
    Id(&'a UserId),
    /// Their e-mail address, whatever the case of its letters. Empty finds nobody.
    Email(&'a str),
    /// Their account at the sign-in provider. Empty finds nobody.
    Account(&'a str),
}

/// What became of a user to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// Written.
    Done,
    /// Another user has this e-mail address; nothing was written.
    EmailTaken,
    /// Another user has this account; nothing was written.
    AccountTaken,
}

// ------------------------------------------------------------------------------------------------------------ sessions

/// A signed-in browser. Its refresh tokens are counted: the one of `generation` is good, those before it are spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Which; in every token of it.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// The number of its present refresh token.
    pub generation: i64,
    /// When that one was issued.
    pub rotated_at: Timestamp,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When the session ends unless it is used before. Never past `ends_at`.
    pub idle_until: Timestamp,
    /// When the session ends in any case.
    pub ends_at: Timestamp,
    /// When it was ended, if it was.
    pub ended_at: Option<Timestamp>,
    /// Why it was ended, if it was.
    pub end_reason: Option<SessionEnd>,
}

words!(
    /// Why a session was ended before its time.
    SessionEnd, "a reason for the end of a session" {
        /// The person signed out here.
        SignedOut => "signed_out",
        /// The person signed out everywhere.
        SignedOutEverywhere => "signed_out_everywhere",
        /// A refresh token that had been spent was presented again: it may have been stolen.
        TokenReused => "token_reused",
        /// An operator did it.
        ByOperator => "by_operator",
    }
);

/// What a presented session refresh token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionVerdict {
    /// The present one: the next generation takes its place.
    Advance,
    /// The present one was issued a moment ago, or this is the one before it: the present one is given out (again). Tabs
    /// that refresh at once all get the same, and nobody is logged out.
    Keep,
    /// The session has ended.
    Over,
    /// Spent a while ago: stolen, or a copy of something stolen. The session is to be ended.
    Reused,
}

impl Session {
    /// Whether it may be used.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.idle_until && now < self.ends_at
    }

    /// What the refresh token of this generation is worth now.
    ///
    /// A token is not replaced within `grace` of being issued, so within `grace` there are never more than two generations
    /// about, and the one before the present one is tolerated just as long.
    pub fn judge(&self, generation: i64, now: Timestamp, grace: Duration) -> SessionVerdict {
        if !self.is_open(now) {
            return SessionVerdict::Over;
        }
        let is_fresh = now < after(self.rotated_at, grace);
        match self.generation - generation {
            0 if !is_fresh => SessionVerdict::Advance,
            0 | 1 if is_fresh => SessionVerdict::Keep,
            _ => SessionVerdict::Reused,
        }
    }
}

/// The generation of a session's first refresh token.
pub const FIRST_GENERATION: i64 = 1;

// --------------------------------------------------------------------------------------------------------------- flows

/// A consent under way: somebody was sent to the provider and is expected back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// SHA-256 of the `state` parameter. The state itself is only in the browser.
    pub state: [u8; 32],
    /// What the answer is for.
    pub purpose: FlowPurpose,
    /// Where the person was sent.
    pub provider: ProviderName,
    /// The redirect URI that was sent: the exchange must name the same one.
    pub redirect_uri: String,
    /// Where in the front end the person goes afterwards: a path, or empty.
    pub return_to: String,
    /// After this the answer is refused.
    pub expires_at: Timestamp,
}

/// What a consent is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum FlowPurpose {
    /// To sign in, and to connect the account on the way.
    SignIn,
    /// To connect an account for somebody who is signed in.
    Connect {
        /// Who.
        user: UserId,
    },
    /// To mend a connection. The account must be the one that it had.
    Reconnect {
        /// Who.
        user: UserId,
        /// Which.
        connection: ConnectionId,
    },
}

// ------------------------------------------------------------------------------------------------------------ API keys

words!(
    /// What an API key allows.
    Scope, "a scope (connections:read, tokens:read, tokens:refresh, amc:call, ops)" {
        /// List and show connections, and hear their events.
        ConnectionsRead => "connections:read",
        /// Take access tokens.
        TokensRead => "tokens:read",
        /// Force refreshes.
        TokensRefresh => "tokens:refresh",
        /// Make Ads and AMC calls through Evergrant.
        AmcCall => "amc:call",
        /// What operators do.
        Ops => "ops",
    }
);

/// What the store keeps of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    /// Its id, which is also in the key itself.
    pub id: ApiKeyId,
    /// What people call it. Unique among those that are not revoked.
    pub name: String,
    /// SHA-256 of the key. It is 256 bits of chance, so a slow hash would add nothing.
    #[serde(skip)]
    pub digest: [u8; 32],
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// Only this user's connections; `None`: everybody's.
    pub user: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it may be used.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::before;

    const GRACE: Duration = Duration::from_secs(30);

    fn now() -> Timestamp {
        Timestamp::from_timestamp_millis(1_800_000_000_000).unwrap()
    }

    fn session(generation: i64, rotated_ago: Duration) -> Session {
        Session {
            id: SessionId::generate(),
            user: "u".parse().unwrap(),
            generation,
            rotated_at: before(now(), rotated_ago),
            created_at: before(now(), Duration::from_hours(1)),
            idle_until: after(now(), Duration::from_hours(1)),
            ends_at: after(now(), Duration::from_hours(2)),
            ended_at: None,
            end_reason: None,
        }
    }

    #[test]
    fn what_a_session_token_is_worth() {
        let fresh = session(5, Duration::from_secs(29));
        let settled = session(5, GRACE);
        let judge = |session: &Session, generation| session.judge(generation, now(), GRACE);
        assert_eq!(judge(&settled, 5), SessionVerdict::Advance);
        assert_eq!(judge(&fresh, 5), SessionVerdict::Keep, "a token that was just issued is not replaced");
        assert_eq!(judge(&fresh, 4), SessionVerdict::Keep, "a tab that was slower than another");
        assert_eq!(judge(&settled, 4), SessionVerdict::Reused);
        assert_eq!(judge(&fresh, 3), SessionVerdict::Reused, "never two generations back");
        assert_eq!(judge(&fresh, 6), SessionVerdict::Reused, "never one that was not issued");
    }

    #[test]
    fn a_session_that_has_ended_is_over_for_every_token() {
        let ended = Session { ended_at: Some(now()), ..session(5, GRACE) };
        let idle = Session { idle_until: now(), ..session(5, GRACE) };
        let old = Session { ends_at: now(), ..session(5, GRACE) };
        for session in [ended, idle, old] {
            for generation in [3, 4, 5] {
                assert_eq!(session.judge(generation, now(), GRACE), SessionVerdict::Over);
            }
        }
    }
}
