//! `kill -9` at a named point of one refresh. The program has no hook for it: its lines are held until it stands there.

use std::thread;
use std::time::{Duration, Instant};

use evergrant_testkit::Way;

use super::schedule::Point;
use super::system::System;

/// The longest wait for a process to come to a point: everything else is well by then.
const REACHED_LIMIT: Duration = Duration::from_secs(30);
/// How often the store is asked meanwhile.
const POLL: Duration = Duration::from_millis(4);
/// From the answer of the provider to its write, on a busy machine.
const TO_THE_WRITE: Duration = Duration::from_millis(150);

impl System {
    /// Lets a worker come to the point, and kills it there. Nothing of what it had sent and was held up arrives later.
    pub(super) fn kill_at(&mut self, point: Point, index: usize) {
        let name = self.world.processes[index].name.clone();
        let reached = match point {
            Point::BeforePost => self.hold_the_call(&name, Way::Up),
            Point::AfterPost => self.hold_the_call(&name, Way::Down),
            Point::AfterReply => self.hold_the_call(&name, Way::Down) && self.hold_the_write(&name),
            Point::AfterCommit => self.until_committed(index, false),
            Point::BeforeAck => self.until_committed(index, true),
        };
        self.kill(index);
        self.links[&name].clear();
        if reached {
            self.record.count(&format!("killed {point:?}"));
        } else {
            self.record.breach(format!("{name} did not come to the point {point:?} in {} s", REACHED_LIMIT.as_secs()));
        }
    }

    /// A lease is held, and the call or its answer is on its way.
    fn hold_the_call(&mut self, name: &str, way: Way) -> bool {
        self.links[name].provider.hold(way);
        self.until("a call on its way", |system| system.links[name].provider.is_holding(way))
    }

    /// The answer is in, and cannot be stored.
    fn hold_the_write(&mut self, name: &str) -> bool {
        let links = &self.links[name];
        if let Some(store) = &links.store {
            store.hold(Way::Up);
            links.provider.thaw();
            let held = self.until("a write on its way", |system| {
                system.links[name].store.as_ref().is_some_and(|store| store.is_holding(Way::Up))
            });
            thread::sleep(TO_THE_WRITE);
            return held;
        }
        // The one process writes its own file: all that is left is to be quick.
        links.provider.thaw();
        true
    }

    /// A version that a process holds the lease of moves on, and the process is where it writes or has just written. With
    /// the way to the broker held, its ack is too.
    fn until_committed(&mut self, index: usize, holds_ack: bool) -> bool {
        let name = self.world.processes[index].name.clone();
        let id = self.world.processes[index].id();
        if holds_ack && let Some(broker) = &self.links[&name].broker {
            broker.hold(Way::Up);
        }
        let begin = Instant::now();
        while begin.elapsed() < REACHED_LIMIT {
            if self.sees_a_commit(&id) {
                return !holds_ack
                    || self.until("an ack on its way", |system| {
                        system.links[&name].broker.as_ref().is_none_or(|broker| broker.is_holding(Way::Up))
                    });
            }
        }
        false
    }

    /// Waits for one refresh of a process to be committed; not for long, it may end otherwise.
    fn sees_a_commit(&mut self, process: &str) -> bool {
        let (eyes, runtime) = (&mut self.eyes, &self.world.runtime);
        let leased = runtime.block_on(eyes.leased()).unwrap_or_default();
        let hex = process.replace('-', "");
        let is_its = |owner: &str| owner.eq_ignore_ascii_case(process) || owner.eq_ignore_ascii_case(&hex);
        let Some((user, version, _)) = leased.into_iter().find(|(_, _, owner)| is_its(owner)) else {
            thread::sleep(POLL);
            return false;
        };
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(2) {
            let rows = runtime.block_on(eyes.standings()).unwrap_or_default();
            if rows.iter().any(|row| row.user_id == user && row.version > version) {
                return true;
            }
            thread::sleep(POLL);
        }
        false
    }

    /// Waits, for a bounded time: whether it came about.
    pub(super) fn until(&mut self, what: &str, mut come: impl FnMut(&mut Self) -> bool) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < REACHED_LIMIT {
            if come(self) {
                return true;
            }
            thread::sleep(POLL);
        }
        eprintln!("waited {} s for {what}", REACHED_LIMIT.as_secs());
        false
    }
}
