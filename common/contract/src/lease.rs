//! Who gets a lease and what its holder may write: pure.
//!
//! The stores that decide in Rust use these functions. PostgreSQL decides the same in SQL, where the row is locked
//! (`cluster/src/store/sql/acquire.sql` and `settle_schedules.sql`), and the conformance suite holds the two to one another.
//! The model in `model/` explores what follows from them.

use crate::Timestamp;
use crate::connection::{Lease, LeaseRequest};
use crate::ids::{ProcessId, Version};
use crate::state::State;
use crate::timing::after;

/// Who holds a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub owner: ProcessId,
    /// Until when, in the store's time.
    pub until: Timestamp,
    /// When somebody first found the lease lapsed.
    pub contested_at: Option<Timestamp>,
}

/// What the rules need to know of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its state.
    pub state: State,
    /// Its version.
    pub version: Version,
    /// When the scheduler looks next.
    pub refresh_at: Option<Timestamp>,
    /// An operator has paused it.
    pub is_paused: bool,
    /// Who holds its lease, lapsed or not.
    pub holder: Option<Holder>,
}

/// What a request for a lease comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is given. Whoever held it before and never reported is named.
    Take {
        /// The former holder: it may have spent the refresh token.
        from: Option<ProcessId>,
    },
    /// It has lapsed. From now on it is contested, so that a holder that waits for the store writes its answer first.
    Contest,
    /// Its holder has it, or the contest is not over.
    Wait,
    /// The row was dealt with since the job was made.
    MovedOn,
    /// An operator has paused the connection.
    Paused,
    /// The connection is not to be refreshed any more.
    Ended,
}

/// Whether a request gets the lease, by the store's time.
pub fn decide(row: &Row, request: &LeaseRequest, now: Timestamp) -> Decision {
    // Equality with what the publisher saw: a fence that needs no two clocks to agree.
    let was_dealt_with = request.seen_refresh_at.is_some_and(|seen| row.refresh_at != Some(seen));
    if !row.state.is_refreshable() {
        return Decision::Ended;
    }
    if row.version != request.version || was_dealt_with {
        return Decision::MovedOn;
    }
    if row.is_paused {
        return Decision::Paused;
    }
    match row.holder {
        None => Decision::Take { from: None },
        Some(holder) if holder.until > now => Decision::Wait,
        Some(Holder { contested_at: None, .. }) => Decision::Contest,
        Some(Holder { contested_at: Some(since), owner, .. }) if after(since, request.takeover_grace) <= now => {
            Decision::Take { from: Some(owner) }
        }
        Some(_) => Decision::Wait,
    }
}

/// Whether a result may be written. One that brings tokens needs the version alone: a rotated token is real whoever holds
/// the lease by now. One without them is the holder's to write.
pub fn may_settle(
    state: State,
    version: Version,
    holder: Option<ProcessId>,
    lease: &Lease,
    brings_tokens: bool,
) -> bool {
    let may = if brings_tokens { state != State::Disconnected } else { holder == Some(lease.owner) };
    version == lease.version && may
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ids::ConnectionId;

    const TTL: Duration = Duration::from_secs(45);
    const GRACE: Duration = Duration::from_secs(10);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + secs, 0).unwrap()
    }

    fn row() -> Row {
        Row { state: State::Active, version: Version::new(3), refresh_at: Some(at(0)), is_paused: false, holder: None }
    }

    fn request() -> LeaseRequest {
        LeaseRequest {
            connection: ConnectionId::generate(),
            version: Version::new(3),
            seen_refresh_at: Some(at(0)),
            owner: ProcessId::generate(),
            ttl: TTL,
            takeover_grace: GRACE,
            is_awaited: false,
        }
    }

    #[test]
    fn a_free_lease_is_taken_whatever_any_clock_says() {
        for now in [-1_000, 0, 1_000] {
            assert_eq!(decide(&row(), &request(), at(now)), Decision::Take { from: None });
        }
    }

    #[test]
    fn a_row_that_moved_is_left_alone() {
        let newer = Row { version: Version::new(4), ..row() };
        let later = Row { refresh_at: Some(at(1)), ..row() };
        let earlier = Row { refresh_at: Some(at(-1)), ..row() };
        for row in [newer, later, earlier] {
            assert_eq!(decide(&row, &request(), at(0)), Decision::MovedOn);
        }
        let asks_for_no_time = LeaseRequest { seen_refresh_at: None, ..request() };
        assert_eq!(decide(&later, &asks_for_no_time, at(0)), Decision::Take { from: None });
    }

    #[test]
    fn the_ended_come_before_the_moved_and_the_moved_before_the_paused() {
        let paused = Row { is_paused: true, ..row() };
        assert_eq!(decide(&paused, &request(), at(0)), Decision::Paused);
        let moved = Row { version: Version::new(4), ..paused };
        assert_eq!(decide(&moved, &request(), at(0)), Decision::MovedOn);
        let ended = Row { state: State::NeedsReauth, refresh_at: None, ..moved };
        assert_eq!(decide(&ended, &request(), at(0)), Decision::Ended);
    }

    #[test]
    fn a_lapsed_lease_is_contested_before_it_is_taken_over() {
        let owner = ProcessId::generate();
        let held = |contested_at| Row { holder: Some(Holder { owner, until: at(45), contested_at }), ..row() };
        assert_eq!(decide(&held(None), &request(), at(44)), Decision::Wait);
        assert_eq!(decide(&held(None), &request(), at(45)), Decision::Contest);
        assert_eq!(decide(&held(Some(at(45))), &request(), at(54)), Decision::Wait);
        assert_eq!(decide(&held(Some(at(45))), &request(), at(55)), Decision::Take { from: Some(owner) });
    }

    #[test]
    fn tokens_need_the_version_and_everything_else_the_holder() {
        let owner = ProcessId::generate();
        let lease = Lease { connection: ConnectionId::generate(), version: Version::new(3), owner, is_awaited: false };
        let other = ProcessId::generate();
        for (state, version, holder, with_tokens, without) in [
            (State::Active, 3, Some(owner), true, true),
            (State::Active, 3, Some(other), true, false),
            (State::Active, 3, None, true, false),
            (State::NeedsReauth, 3, None, true, false),
            (State::Disconnected, 3, None, false, false),
            (State::Active, 4, Some(owner), false, false),
        ] {
            let may = |brings_tokens| may_settle(state, Version::new(version), holder, &lease, brings_tokens);
            assert_eq!((may(true), may(false)), (with_tokens, without));
        }
    }
}
