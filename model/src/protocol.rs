//! The steps and the properties, for the checker.

use stateright::{Model, Property};

use crate::act::{Act, Fault};
use crate::provider::Provider;
use crate::rules::{Broken, END, Limit, Protocol, REPUBLISH_AFTER, SCHEDULER_AHEAD, STORM, Tick, WRITE_EVERY};
use crate::store::Leased;
use crate::worker::Heard;
use crate::world::{Doing, Job, Left, Outcome, Reply, Row, Seen, Store, Worker, World};

/// No refresh token is spent twice, except after a reply that never arrived.
pub const SPENT_ONCE: &str = "a refresh token is spent once, unless the reply never arrived";
/// When one is spent again, that was reported before.
pub const REPORTED: &str = "whoever spends a refresh token again has reported why";
/// The newest refresh token is in the row or on its way there, unless its reply never arrived.
pub const HELD_SOMEWHERE: &str = "no refresh token that arrived is lost";
/// Only the provider ends a grant.
pub const ENDED_BY_PROVIDER: &str = "no connection is given up that its provider has not ended";
/// A lease is given for a row that is due.
pub const KEEPS_BACK_OFF: &str = "no job spends a refresh token before its row is due";
/// Once nothing goes wrong any more, every connection is refreshed.
pub const REFRESHED_AT_LAST: &str = "once faults stop, every connection that has not ended is refreshed";

impl Model for Protocol {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        let worker = |process| Worker { process, is_slow: false, doing: Doing::Nothing };
        vec![World {
            now: 0,
            is_calm: false,
            left: Left { faults: self.faults, wrong_answers: 1, forces: self.forces, consents: self.consents },
            row: Row::NEW,
            store: Store { is_up: true, ahead: 0 },
            queue: Vec::new(),
            published: None,
            workers: [worker(1), worker(2)],
            processes: 2,
            spool: None,
            provider: Provider::NEW,
            seen: Seen::default(),
        }]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        if world.is_calm && (world.is_well() || world.now >= END) {
            return;
        }
        Self::progress(world, acts);
        if world.is_calm {
            // Without faults everybody does at once what there is to do.
            if acts.is_empty() && !is_urgent(world) {
                acts.push(Act::Tick);
            }
            return;
        }
        if world.now < STORM && !is_urgent(world) {
            acts.push(Act::Tick);
        }
        if !world.store.is_up {
            acts.push(Act::StoreUp);
        }
        if world.store.is_up && world.left.forces > 0 && world.row.refresh_at.is_some() {
            acts.push(Act::Force);
        }
        if world.store.is_up && world.left.consents > 0 {
            acts.push(Act::Consent);
        }
        if world.left.faults > 0 {
            let mut faults = Vec::new();
            self.faults(world, &mut faults);
            acts.extend(faults.into_iter().map(Act::Fault));
        }
        acts.push(Act::FaultsEnd);
    }

    fn next_state(&self, world: &World, act: Act) -> Option<World> {
        let mut next = world.clone();
        self.step(&mut next, act);
        next.queue.sort_unstable();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(SPENT_ONCE, |_, world: &World| !world.seen.needless_reuse),
            Property::always(REPORTED, |_, world: &World| !world.seen.unreported_reuse),
            Property::always(HELD_SOMEWHERE, |_, world: &World| {
                let provider = &world.provider;
                provider.has_ended || provider.newest_is_lost() || world.is_held(provider.newest)
            }),
            Property::always(ENDED_BY_PROVIDER, |_, world: &World| !world.is_given_up() || world.provider.has_ended),
            Property::always(KEEPS_BACK_OFF, |_, world: &World| !world.seen.early_lease),
            // Without faults each step is a second or one of finitely many between two: no path is endless, and that every
            // one ends well is seen where it ends.
            Property::always(REFRESHED_AT_LAST, |model, world: &World| {
                let mut acts = Vec::new();
                model.actions(world, &mut acts);
                !acts.is_empty() || world.is_well()
            }),
            Property::sometimes("a lapsed lease is taken over", |_, world: &World| {
                world.workers.iter().any(|worker| {
                    matches!(worker.doing, Doing::Holding(refresh, _) if refresh.calls == 0 && refresh.lost_replies > 0)
                })
            }),
            Property::sometimes("a result finds that the row has moved on", |_, world: &World| {
                world.workers.iter().any(|worker| {
                    matches!(worker.doing, Doing::Writing(outcome, _) if outcome.refresh.version < world.row.version)
                })
            }),
            Property::sometimes("a connection ends", |_, world: &World| world.is_given_up()),
        ]
    }
}

/// Something is to happen before a second passes: workers are quick unless they are slow, no call outlasts its time-out, and
/// no result waits longer for its write.
fn is_urgent(world: &World) -> bool {
    let is_up = world.store.is_up;
    let is_free = world.workers.iter().any(|worker| worker.doing == Doing::Nothing);
    let waits = is_free && world.queue.iter().any(|job| !job.is_late);
    waits
        || Protocol::publishes(world, 0)
        || world.workers.iter().filter(|worker| !worker.is_slow).any(|worker| match worker.doing {
            Doing::Nothing => false,
            Doing::Asking(_) => is_up,
            Doing::Holding(_, until) => until <= world.now,
            Doing::Calling(_, ends, _) => ends <= world.now,
            Doing::Writing(_, patience) => is_up && patience == 0,
            Doing::Done(_) => true,
        })
}

impl Protocol {
    /// What those do who are well.
    fn progress(world: &World, acts: &mut Vec<Act>) {
        let is_up = world.store.is_up;
        let ahead: &[Tick] = if world.is_calm { &[0] } else { &[0, SCHEDULER_AHEAD] };
        acts.extend(
            ahead.iter().filter(|ahead| Self::publishes(world, **ahead)).map(|ahead| Act::Look { ahead: *ahead }),
        );
        for (place, worker) in world.workers.iter().enumerate() {
            match worker.doing {
                Doing::Nothing => {
                    acts.extend((0..world.queue.len()).map(|job| Act::Deliver { worker: place, job }));
                }
                Doing::Asking(_) if is_up => acts.push(Act::Ask(place)),
                Doing::Holding(_, until) if until <= world.now => acts.push(Act::Call(place)),
                Doing::Calling(..) => acts.push(Act::Hear(place)),
                Doing::Writing(..) if is_up => acts.push(Act::Write(place)),
                Doing::Done(_) => acts.push(Act::Acknowledge(place)),
                _ => {}
            }
        }
        if world.spool.is_some() && is_up {
            acts.push(Act::Adopt);
        }
    }

    /// Whether the scheduler, whose clock is so far ahead, finds something to publish.
    fn publishes(world: &World, ahead: Tick) -> bool {
        let Some(refresh_at) = world.row.refresh_at else { return false };
        let is_on_its_way = world.published.is_some_and(|(seen, _)| seen == refresh_at);
        world.store.is_up && refresh_at <= world.now + ahead && !is_on_its_way && world.queue.is_empty()
    }

    /// A process may be slow wherever that costs nothing but time. What it does that is stopped with an answer in hand, for
    /// longer than its lease, is a limit of any lease.
    fn may_be_slow(&self, worker: &Worker) -> bool {
        let costs_time = match worker.doing {
            Doing::Asking(_) | Doing::Done(_) => true,
            Doing::Holding(refresh, _) => refresh.calls == 0,
            Doing::Calling(..) | Doing::Writing(..) => self.meets(Limit::StoppedWithAnAnswer),
            Doing::Nothing => false,
        };
        costs_time && !worker.is_slow
    }

    fn faults(&self, world: &World, faults: &mut Vec<Fault>) {
        for (place, worker) in world.workers.iter().enumerate() {
            match worker.doing {
                Doing::Nothing => continue,
                Doing::Asking(_) if world.store.is_up => faults.push(Fault::LeaseUnconfirmed(place)),
                Doing::Holding(refresh, until) if until <= world.now && self.fits(&refresh, world.now) => {
                    faults.push(Fault::Trouble(place));
                    if world.left.wrong_answers > 0 {
                        faults.push(Fault::WrongInvalidGrant(place));
                    }
                }
                Doing::Calling(_, ends, _) if ends == world.now => faults.push(Fault::Silence(place)),
                Doing::Writing(..) if world.store.is_up => faults.push(Fault::WriteUnconfirmed(place)),
                Doing::Writing(..) if self.meets(Limit::AnswerInTheSpool) => faults.push(Fault::Shutdown(place)),
                _ => {}
            }
            faults.push(Fault::Kill(place));
            if self.may_be_slow(worker) {
                faults.push(Fault::Slow(place));
            }
        }
        for job in 0..world.queue.len() {
            faults.push(Fault::Lose(job));
            if !world.queue[job].is_late {
                faults.push(Fault::Delay(job));
            }
            faults.push(Fault::Duplicate(job));
        }
        if world.published.is_some() {
            faults.push(Fault::SchedulerForgets);
        }
        let is_contested = world.row.holder.is_some_and(|holder| holder.contested_at.is_some());
        if world.store.is_up && (self.meets(Limit::StoreLostInAContest) || !is_contested) {
            faults.push(Fault::StoreDown);
        }
        if self.meets(Limit::StoreClockJumps) {
            faults.push(Fault::StoreClockJumps);
        }
        if !world.provider.has_ended {
            faults.push(Fault::Revoke);
        }
    }

    fn step(&self, world: &mut World, act: Act) {
        match act {
            Act::Tick => self.pass_a_second(world),
            Act::Look { .. } => {
                let refresh_at = world.row.refresh_at.unwrap_or_default();
                world.queue.push(Job { version: world.row.version, refresh_at, is_forced: false, is_late: false });
                world.published = Some((refresh_at, world.now));
            }
            Act::Force => {
                world.left.forces -= 1;
                let refresh_at = world.row.refresh_at.unwrap_or_default();
                world.queue.push(Job { version: world.row.version, refresh_at, is_forced: true, is_late: false });
            }
            Act::Consent => {
                world.left.consents -= 1;
                let token = world.provider.consent();
                Self::consent(world, token);
            }
            Act::Deliver { worker, job } => {
                let job = Job { is_late: false, ..world.queue.remove(job) };
                world.workers[worker].doing = Doing::Asking(job);
            }
            Act::Adopt => {
                if let Some(outcome) = world.spool.take() {
                    self.settle(world, &outcome);
                }
            }
            Act::StoreUp => world.store.is_up = true,
            Act::FaultsEnd => {
                world.is_calm = true;
                world.workers.iter_mut().for_each(|worker| worker.is_slow = false);
                world.queue.iter_mut().for_each(|job| job.is_late = false);
                world.store.is_up = true;
            }
            Act::Fault(fault) => {
                world.left.faults -= 1;
                self.go_wrong(world, fault);
            }
            Act::Ask(place) | Act::Call(place) | Act::Hear(place) | Act::Write(place) | Act::Acknowledge(place) => {
                world.workers[place].doing = self.work(world, place);
                world.workers[place].is_slow = false;
            }
        }
    }

    /// What a worker that is well does next.
    fn work(&self, world: &mut World, place: usize) -> Doing {
        let Worker { process, doing, .. } = world.workers[place].clone();
        match doing {
            Doing::Nothing | Doing::Done(_) => Doing::Nothing,
            Doing::Asking(job) => match self.acquire(world, process, job) {
                Leased::Held(refresh) => Doing::Holding(refresh, world.now),
                Leased::Nothing => Doing::Done(job),
            },
            // Whether the second call fits is asked before the pause, as the product does.
            Doing::Holding(refresh, _) if refresh.calls == 0 && !self.fits(&refresh, world.now) => {
                Doing::Writing(Outcome { refresh, process, brings: None, change: None }, WRITE_EVERY)
            }
            Doing::Holding(refresh, _) => {
                let reply = self.present(world, &refresh);
                Doing::Calling(refresh, world.now + 1, reply)
            }
            Doing::Calling(refresh, _, reply) => self.hear(world, place, refresh, Heard::Reply(reply)),
            Doing::Writing(outcome, _) => {
                self.settle(world, &outcome);
                if outcome.refresh.is_acked { Doing::Nothing } else { Doing::Done(outcome.refresh.job) }
            }
        }
    }

    fn pass_a_second(&self, world: &mut World) {
        world.now += 1;
        let is_up = world.store.is_up;
        for worker in &mut world.workers {
            if let Doing::Writing(_, patience) = &mut worker.doing {
                // Counted while the store is there: whoever finds it away tries again and again.
                *patience = if is_up { patience.saturating_sub(1) } else { WRITE_EVERY };
            }
        }
        let is_old = world.published.is_some_and(|(_, at)| world.now >= at + REPUBLISH_AFTER);
        if is_old && !self.breaks(Broken::PublishedOnce) {
            world.published = None;
        }
    }

    fn go_wrong(&self, world: &mut World, fault: Fault) {
        match fault {
            Fault::Kill(place) => {
                match world.workers[place].doing {
                    // Told apart by what died with the process: a reply, or nothing.
                    Doing::Calling(refresh, _, Reply::Tokens(_))
                    | Doing::Writing(Outcome { refresh, brings: Some(_), .. }, _) => world.provider.lost(refresh.token),
                    _ => {}
                }
                start_anew(world, place);
            }
            Fault::Shutdown(place) => {
                if let Doing::Writing(outcome, _) = world.workers[place].doing
                    && outcome.brings.is_some()
                {
                    world.spool = Some(outcome);
                }
                start_anew(world, place);
            }
            Fault::Slow(place) => world.workers[place].is_slow = true,
            Fault::SchedulerForgets => world.published = None,
            Fault::Duplicate(job) => world.queue.push(world.queue[job]),
            Fault::Delay(job) => world.queue[job].is_late = true,
            Fault::Lose(job) => drop(world.queue.remove(job)),
            Fault::LeaseUnconfirmed(place) => {
                let Worker { process, doing, .. } = world.workers[place].clone();
                if let Doing::Asking(job) = doing {
                    self.acquire(world, process, job);
                }
            }
            Fault::WriteUnconfirmed(place) => {
                if let Doing::Writing(outcome, _) = world.workers[place].doing {
                    self.settle(world, &outcome);
                }
            }
            Fault::StoreDown => world.store.is_up = false,
            Fault::StoreClockJumps => world.store.ahead += 8,
            Fault::Trouble(place) => answer_without_looking(world, place, Reply::Trouble),
            Fault::WrongInvalidGrant(place) => {
                world.left.wrong_answers -= 1;
                answer_without_looking(world, place, Reply::InvalidGrant);
            }
            Fault::Silence(place) => {
                if let Doing::Calling(refresh, _, reply) = world.workers[place].doing {
                    if matches!(reply, Reply::Tokens(_)) {
                        world.provider.lost(refresh.token);
                    }
                    world.workers[place].doing = self.hear(world, place, refresh, Heard::Silence);
                }
            }
            Fault::Revoke => world.provider.has_ended = true,
        }
    }
}

/// A new process in the place of one that has ended; the broker delivers again what that did not acknowledge.
fn start_anew(world: &mut World, place: usize) {
    world.queue.extend(world.workers[place].job());
    world.processes += 1;
    world.workers[place] = Worker { process: world.processes, is_slow: false, doing: Doing::Nothing };
}

fn answer_without_looking(world: &mut World, place: usize, reply: Reply) {
    if let Doing::Holding(refresh, _) = world.workers[place].doing {
        world.workers[place].doing = Doing::Calling(refresh, world.now + 1, reply);
    }
}
