//! What a store should hold, in as few words as possible: the yardstick of the random walk.

use evergrant_contract::Timestamp;
use evergrant_contract::connection::{Connection, Lease, LeaseRequest, Settled, Settlement};
use evergrant_contract::ids::{ConnectionId, ProcessId, Version};
use evergrant_contract::state::{Reason, State};

/// One connection, as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) id: ConnectionId,
    pub(super) version: Version,
    pub(super) state: State,
    pub(super) reason: Option<Reason>,
    pub(super) refresh_at: Option<Timestamp>,
    pub(super) failures: u32,
    /// What both tokens end with, such as `user-1`; `None` once they are gone.
    pub(super) tokens: Option<String>,
    pub(super) holder: Option<ProcessId>,
}

/// The answer to a request for a lease, as far as the model can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Held,
    Busy,
    MovedOn(Version),
    NotRefreshable(State),
}

impl Expected {
    pub(super) fn answer(&self, request: &LeaseRequest) -> Answer {
        let seen = request.seen_refresh_at;
        if !self.state.is_refreshable() {
            Answer::NotRefreshable(self.state)
        } else if self.version != request.version || seen.is_some_and(|seen| Some(seen) != self.refresh_at) {
            Answer::MovedOn(self.version)
        } else if self.holder.is_some() {
            Answer::Busy
        } else {
            Answer::Held
        }
    }

    pub(super) fn settle(&mut self, settlement: &Settlement) -> Settled {
        let Lease { version, owner, .. } = settlement.lease;
        if self.version != version || (settlement.tokens.is_none() && self.holder != Some(owner)) {
            return Settled::Lost;
        }
        self.holder = None;
        if let Some(change) = settlement.change {
            (self.state, self.failures) = (change.standing.state, change.standing.failures);
            (self.reason, self.refresh_at) = (change.reason, change.refresh_at);
        }
        if let Some((tokens, _)) = &settlement.tokens {
            self.version = version.next();
            self.tokens = tokens.access_token.expose().strip_prefix("Atza|").map(str::to_owned);
        }
        Settled::Written(self.version)
    }

    pub(super) fn disconnect(&mut self) -> bool {
        let connected = self.state != State::Disconnected;
        if connected {
            (self.version, self.tokens, self.holder) = (self.version.next(), None, None);
            (self.state, self.reason) = (State::Disconnected, Some(Reason::ByUser));
            (self.refresh_at, self.failures) = (None, 0);
        }
        connected
    }

    pub(super) fn consent(&mut self, refresh_at: Timestamp, tokens: String) {
        (self.version, self.tokens, self.holder) = (self.version.next(), Some(tokens), None);
        (self.state, self.reason, self.failures) = (State::Active, None, 0);
        self.refresh_at = Some(refresh_at);
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.refresh_at.is_some_and(|at| at <= now)
    }

    /// The access token that callers are given.
    pub(super) fn access_token(&self) -> Option<String> {
        self.tokens.as_ref().filter(|_| self.state.is_refreshable()).map(|tokens| format!("Atza|{tokens}"))
    }

    /// Fails unless the row is as expected.
    pub(super) fn assert_is(&self, row: &Connection) {
        assert_eq!((row.version, row.state, row.reason), (self.version, self.state, self.reason));
        assert_eq!((row.refresh_at, row.failures), (self.refresh_at, self.failures));
        assert_eq!(row.leased_until.is_some(), self.holder.is_some(), "whether somebody holds the lease");
    }
}
