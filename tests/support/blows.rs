//! What can befall a system that runs: `kill -9` of any of its parts, in the middle of its work.

use std::time::Duration;

use evergrant_sim::{Fault, FaultKind};

use super::wait::eventually;
use super::world::World;

/// Long enough to be killed in the middle of a call, short enough to be in time.
const SLOW_MS: u64 = 800;

/// One `kill -9`, and the start that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The one process of the embedded shape, with calls under way.
    Serve,
    /// A worker with calls under way.
    Worker,
    /// The scheduler that leads.
    Leader,
    /// The broker.
    Rabbit,
    /// The store.
    Postgres,
}

impl Blow {
    /// Everything that can befall a cluster.
    pub(crate) const CLUSTER: [Self; 4] = [Self::Worker, Self::Leader, Self::Rabbit, Self::Postgres];
}

impl World {
    /// Kills it while work is being done, and starts it again.
    pub(crate) fn strike(&mut self, blow: Blow) {
        match blow {
            Blow::Serve => {
                self.in_the_middle_of_calls();
                self.restart(0);
                self.sim.clear_faults();
            }
            Blow::Worker => {
                self.in_the_middle_of_calls();
                let holders = "SELECT lease_owner::text FROM schedules WHERE lease_owner IS NOT NULL";
                let victim = eventually("a worker with a lease", || self.index_of(holders));
                self.restart(victim);
                self.sim.clear_faults();
            }
            Blow::Leader => {
                let leader = self.leader().expect("somebody leads");
                self.restart(leader);
            }
            Blow::Rabbit => {
                let rabbit = self.cluster().servers.rabbit();
                rabbit.kill().unwrap();
                rabbit.restart().unwrap();
                self.listen();
            }
            Blow::Postgres => {
                let postgres = self.cluster().servers.postgres();
                postgres.kill().unwrap();
                postgres.restart().unwrap();
            }
        }
    }

    /// The process of ours that leads.
    pub(crate) fn leader(&mut self) -> Option<usize> {
        self.index_of("SELECT process_id::text FROM offices WHERE held_until > now()")
    }

    /// The living process of ours that is the first in an answer of the database.
    fn index_of(&mut self, sql: &'static str) -> Option<usize> {
        let ids = self.runtime.block_on(self.cluster.as_ref()?.database.texts(sql));
        self.processes.iter().position(|process| ids.contains(&process.id()))
    }

    /// Slows every answer down, and returns when calls have taken effect whose answers are still on their way.
    fn in_the_middle_of_calls(&self) {
        self.sim.set_faults([Fault::new(FaultKind::Latency { ms: SLOW_MS, jitter_ms: 0 })]);
        eventually("a call that took effect and is not answered", || {
            let seen = self.sim.stats();
            let answered = seen.token_outcomes.get("refreshed").copied().unwrap_or(0);
            (seen.refreshes > answered + seen.lost_replies).then_some(())
        });
    }
}

/// A blow every so often, in turn, for as long as a soak lasts.
pub(crate) struct Blows {
    in_turn: std::iter::Cycle<std::vec::IntoIter<Blow>>,
    every: Duration,
    next: Duration,
}

impl Blows {
    pub(crate) fn new(blows: Vec<Blow>, every: Duration) -> Self {
        Self { in_turn: blows.into_iter().cycle(), every, next: every }
    }

    /// The blow whose time has come, this long into the run.
    pub(crate) fn due(&mut self, elapsed: Duration) -> Option<Blow> {
        if elapsed < self.next {
            return None;
        }
        self.next += self.every;
        self.in_turn.next()
    }
}
