//! A token endpoint, and what it remembers.

use evergrant_contract::verdict::Rotation;

use crate::world::Reply;

/// A refresh token's number.
pub(crate) type Token = u8;

/// What the provider knows of the grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Provider {
    /// The refresh token that it issued last.
    pub(crate) newest: Token,
    /// The first one of the present consent.
    pub(crate) first: Token,
    /// The one that was spent for the newest.
    pub(crate) parent: Token,
    /// The grant has ended.
    pub(crate) has_ended: bool,
    /// Those that were spent.
    spent: u16,
    /// Those that were spent for a reply that never arrived.
    unanswered: u16,
}

pub(crate) const fn bit(token: Token) -> u16 {
    1 << (token % 16)
}

impl Provider {
    pub(crate) const NEW: Self = Self { newest: 0, first: 0, parent: 0, has_ended: false, spent: 0, unanswered: 0 };

    /// Whether spending this token now would be for the second time, though the first reply arrived.
    pub(crate) const fn is_needless(self, token: Token) -> bool {
        self.is_second(token) && self.unanswered & bit(token) == 0
    }

    /// Whether spending this token now would be for the second time.
    pub(crate) const fn is_second(self, token: Token) -> bool {
        token >= self.first && self.spent & bit(token) != 0
    }

    /// A refresh token is presented.
    pub(crate) const fn present(&mut self, token: Token, rotation: Rotation) -> Reply {
        if self.has_ended || token < self.first {
            return Reply::InvalidGrant;
        }
        if self.is_second(token) && matches!(rotation, Rotation::Strict) {
            // Somebody else may have it: the whole family ends.
            self.has_ended = true;
            return Reply::InvalidGrant;
        }
        self.spent |= bit(token);
        self.newest += 1;
        self.parent = token;
        Reply::Tokens(self.newest)
    }

    /// The reply to a call never arrived where it could be kept.
    pub(crate) const fn lost(&mut self, spent: Token) {
        self.unanswered |= bit(spent);
    }

    /// Whether the newest token went with a reply that never arrived.
    pub(crate) const fn newest_is_lost(self) -> bool {
        self.newest != self.first && self.unanswered & bit(self.parent) != 0
    }

    /// The user consents anew: earlier tokens are nothing any more.
    pub(crate) const fn consent(&mut self) -> Token {
        self.newest += 1;
        self.first = self.newest;
        self.has_ended = false;
        self.newest
    }
}
