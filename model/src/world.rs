//! Everything that there is at one moment.

use evergrant_contract::state::State;
use evergrant_contract::transition::Standing;

use crate::provider::{Provider, Token};
use crate::rules::Tick;

/// The row of the connection, the queue, the processes, the provider, and what was seen of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) now: Tick,
    /// Nothing goes wrong any more.
    pub(crate) is_calm: bool,
    pub(crate) left: Left,
    pub(crate) row: Row,
    pub(crate) store: Store,
    /// Jobs that wait, in no order: any may be delivered next.
    pub(crate) queue: Vec<Job>,
    /// The `refresh_at` of the job that the scheduler published last, and when.
    pub(crate) published: Option<(Tick, Tick)>,
    pub(crate) workers: [Worker; 2],
    /// Processes that there have been.
    pub(crate) processes: u8,
    pub(crate) spool: Option<Outcome>,
    pub(crate) provider: Provider,
    pub(crate) seen: Seen,
}

/// What may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) faults: u8,
    pub(crate) wrong_answers: u8,
    pub(crate) forces: u8,
    pub(crate) consents: u8,
}

/// What must never be seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    pub(crate) needless_reuse: bool,
    pub(crate) unreported_reuse: bool,
    pub(crate) early_lease: bool,
}

/// The connection as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) standing: Standing,
    pub(crate) version: u8,
    pub(crate) refresh_at: Option<Tick>,
    pub(crate) token: Token,
    pub(crate) holder: Option<Holder>,
    /// Refresh tokens of which an attempt says that a reply was lost.
    pub(crate) reported: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    pub(crate) process: u8,
    pub(crate) until: Tick,
    pub(crate) contested_at: Option<Tick>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) is_up: bool,
    /// How far its clock has been stepped forwards.
    pub(crate) ahead: Tick,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Job {
    pub(crate) version: u8,
    pub(crate) refresh_at: Tick,
    pub(crate) is_forced: bool,
    /// It is on its way for longer than it should be, and others pass it.
    pub(crate) is_late: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    pub(crate) process: u8,
    /// It takes its time: the machine is busy, or the process is stopped.
    pub(crate) is_slow: bool,
    pub(crate) doing: Doing,
}

/// What a worker does with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Doing {
    Nothing,
    /// It is to ask for the lease.
    Asking(Job),
    /// It holds the lease and makes no call until then.
    Holding(Refresh, Tick),
    /// A call is under way: it has an end, and the provider has answered.
    Calling(Refresh, Tick, Reply),
    /// It has something to write, and so much time before it tries.
    Writing(Outcome, Tick),
    /// It is to acknowledge the job.
    Done(Job),
}

/// The calls made under one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Refresh {
    pub(crate) job: Job,
    /// The job is acknowledged already: only where that rule is broken.
    pub(crate) is_acked: bool,
    pub(crate) version: u8,
    pub(crate) token: Token,
    pub(crate) standing: Standing,
    pub(crate) lease_ends: Tick,
    pub(crate) calls: u8,
    pub(crate) lost_replies: u8,
    pub(crate) invalid_grants: u8,
}

/// What is on its way from the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    Tokens(Token),
    InvalidGrant,
    Trouble,
}

/// What a worker writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Outcome {
    pub(crate) refresh: Refresh,
    pub(crate) process: u8,
    pub(crate) brings: Option<Token>,
    pub(crate) change: Option<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Change {
    pub(crate) standing: Standing,
    pub(crate) refresh_at: Option<Tick>,
}

impl World {
    /// The connection has been refreshed or has ended, and nobody has anything in hand.
    pub(crate) fn is_well(&self) -> bool {
        let is_idle = self.queue.is_empty() && self.workers.iter().all(|worker| worker.doing == Doing::Nothing);
        let is_fresh = self.row.standing == Standing::ACTIVE && self.row.refresh_at.is_some_and(|at| at > self.now);
        is_idle && self.spool.is_none() && (is_fresh || !self.row.standing.state.is_refreshable())
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.row.standing.state == State::NeedsReauth
    }

    /// Whether somebody who may yet write it, or the row, has this refresh token.
    pub(crate) fn is_held(&self, token: Token) -> bool {
        let in_hand = |worker: &Worker| match worker.doing {
            Doing::Calling(_, _, reply) => reply == Reply::Tokens(token),
            Doing::Writing(outcome, _) => outcome.brings == Some(token),
            _ => false,
        };
        let is_spooled = self.spool.is_some_and(|outcome| outcome.brings == Some(token));
        self.row.token == token || is_spooled || self.workers.iter().any(in_hand)
    }
}

impl Worker {
    /// The job that is not acknowledged.
    pub(crate) fn job(&self) -> Option<Job> {
        let unless_acked = |refresh: Refresh| (!refresh.is_acked).then_some(refresh.job);
        match self.doing {
            Doing::Nothing => None,
            Doing::Asking(job) | Doing::Done(job) => Some(job),
            Doing::Holding(refresh, _) | Doing::Calling(refresh, ..) => unless_acked(refresh),
            Doing::Writing(outcome, _) => unless_acked(outcome.refresh),
        }
    }
}
