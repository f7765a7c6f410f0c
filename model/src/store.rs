//! The row: the product's own rules of the lease and of its result, applied.

use evergrant_contract::connection::{Lease, LeaseRequest};
use evergrant_contract::ids::Version;
use evergrant_contract::lease::{self, Decision};
use evergrant_contract::timing::after;
use evergrant_contract::transition::Standing;

use crate::provider::{Token, bit};
use crate::rules::{Broken, LIFETIME, Protocol, SCHEDULER_AHEAD, Tick, connection, process, tick, time};
use crate::world::{Holder, Job, Outcome, Refresh, Row, World};

impl Row {
    /// A connection that is due, with the first refresh token.
    pub(crate) const NEW: Self =
        Self { standing: Standing::ACTIVE, version: 1, refresh_at: Some(0), token: 0, holder: None, reported: 0 };

    fn as_leased(&self) -> lease::Row {
        let holder = self.holder.map(|holder| lease::Holder {
            owner: process(holder.process),
            until: time(holder.until),
            contested_at: holder.contested_at.map(time),
        });
        lease::Row {
            state: self.standing.state,
            version: Version::new(self.version.into()),
            refresh_at: self.refresh_at.map(time),
            is_paused: false,
            holder,
        }
    }
}

/// What a worker learns when it asks for a lease.
pub(crate) enum Leased {
    Held(Refresh),
    Nothing,
}

impl Protocol {
    /// Asks for the lease, by the store's clock.
    pub(crate) fn acquire(&self, world: &mut World, asker: u8, job: Job) -> Leased {
        let now = world.now + world.store.ahead;
        let settings = Self::settings();
        let request = LeaseRequest {
            connection: connection(),
            version: Version::new(job.version.into()),
            seen_refresh_at: (!self.breaks(Broken::JobIsNotFenced)).then(|| time(job.refresh_at)),
            owner: process(asker),
            ttl: settings.lease,
            takeover_grace: settings.takeover_grace,
            is_awaited: job.is_forced,
        };
        let row = world.row;
        let decision = match lease::decide(&row.as_leased(), &request, time(now)) {
            Decision::Wait if self.breaks(Broken::LeaseIsNotExclusive) => Decision::Take { from: None },
            Decision::Contest if self.breaks(Broken::LapsedLeaseIsNotContested) => {
                Decision::Take { from: row.holder.map(|holder| process(holder.process)) }
            }
            Decision::Contest if self.breaks(Broken::LapsedLeaseIsKept) => Decision::Wait,
            decision => decision,
        };
        let Decision::Take { from } = decision else {
            if let (Decision::Contest, Some(holder)) = (decision, &mut world.row.holder) {
                holder.contested_at = Some(now);
            }
            return Leased::Nothing;
        };
        let is_known = from.is_some() && !self.breaks(Broken::TakeoverIsSilent);
        world.seen.early_lease |= !job.is_forced && row.refresh_at.is_some_and(|at| at > world.now + SCHEDULER_AHEAD);
        world.row.holder =
            Some(Holder { process: asker, until: tick(after(time(now), settings.lease)), contested_at: None });
        Leased::Held(Refresh {
            job,
            is_acked: self.breaks(Broken::AcknowledgedFirst),
            version: row.version,
            token: row.token,
            standing: row.standing,
            // Counted from when it asked, on the worker's own clock.
            lease_ends: world.now + tick_of_lease(),
            calls: 0,
            lost_replies: u8::from(is_known),
            invalid_grants: 0,
        })
    }

    /// Writes a result, if the rules allow it.
    pub(crate) fn settle(&self, world: &mut World, outcome: &Outcome) {
        let row = world.row;
        let lease = Lease {
            connection: connection(),
            version: Version::new(outcome.refresh.version.into()),
            owner: process(outcome.process),
            is_awaited: false,
        };
        let leased = row.as_leased();
        let mut version = leased.version;
        let holder = leased.holder.map(|holder| holder.owner);
        let mut brings_tokens = outcome.brings.is_some();
        match self.broken {
            Some(Broken::VersionIsNotCompared) => version = lease.version,
            Some(Broken::TokensNeedTheHolder) => brings_tokens = false,
            _ => {}
        }
        if !lease::may_settle(row.standing.state, version, holder, &lease, brings_tokens) {
            return;
        }
        world.row.holder = None;
        if let Some(change) = outcome.change {
            (world.row.standing, world.row.refresh_at) = (change.standing, change.refresh_at);
        }
        if outcome.refresh.lost_replies > 0 {
            world.row.reported |= bit(outcome.refresh.token);
        }
        if let Some(token) = outcome.brings {
            world.row.version += 1;
            world.row.token = token;
        }
    }

    /// A new consent puts its tokens in the place of the former.
    pub(crate) fn consent(world: &mut World, token: Token) {
        let row = &mut world.row;
        *row = Row {
            version: row.version + 1,
            token,
            refresh_at: Some(world.now + LIFETIME / 2),
            reported: row.reported,
            ..Row::NEW
        };
    }
}

const fn tick_of_lease() -> Tick {
    #[expect(clippy::cast_possible_truncation, reason = "a few seconds")]
    let ticks = Protocol::settings().lease.as_secs() as Tick;
    ticks
}
