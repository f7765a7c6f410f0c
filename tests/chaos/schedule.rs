//! What befalls a system, drawn from a seed: which fault, whom, when and for how long.

use std::fmt;
use std::time::Duration;

use crate::support::Shape;

/// One of our own processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Scheduler,
    Worker,
    Api,
    /// Everything in one.
    Serve,
}

impl Part {
    /// The role that the program is started with.
    pub(super) const fn role(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::Worker => "worker",
            Self::Api => "api",
            Self::Serve => "serve",
        }
    }
}

/// Where on the path of one refresh a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// The lease is taken, and the call has not reached the provider.
    BeforePost,
    /// The provider has carried the call out, and its answer is on its way.
    AfterPost,
    /// The answer has arrived, and the store has not.
    AfterReply,
    /// The store has the new version, and its answer is on its way or has just arrived.
    AfterCommit,
    /// The store has the new version, and the broker has no ack.
    BeforeAck,
}

/// What is between a process and something that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Store,
    Broker,
    Provider,
}

/// What can be wrong with a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ill {
    /// Reset, and refused from then on.
    Cut,
    /// It stands and carries nothing.
    HalfOpen,
    Slow,
}

/// What can be wrong with the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broker {
    Restart,
    Kill,
    QueuesDeleted,
    MemoryAlarm,
}

/// What can be wrong with PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    Restart,
    Kill,
    ReadOnly,
    /// Sessions are ended, and strangers take every place.
    Full,
}

/// What can be wrong with the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Down,
    Throttling,
    Html,
    Hanging,
    LosingReplies,
    RefusingSecret,
}

/// A sort of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Kill(Part),
    KillAt(Point),
    /// Stopped for longer than a lease and its grace, then let go on.
    Freeze(Part),
    Broker(Broker),
    Store(Store),
    Link(Link, Ill),
    /// A process's clock jumps by so many minutes, and back at the end.
    Clock(i32),
    Provider(Mood),
    /// No room where SQLite writes; in a cluster, where a worker spools what it cannot store.
    DiskFull,
}

/// What a fault has in its hands. Two faults of one domain are never under way together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    /// Several things at once, so nothing may go on beside it.
    Alone,
    Processes,
    Broker,
    Store,
    Provider,
}

impl Kind {
    /// Everything that can befall a cluster.
    const CLUSTER: &[Self] = &[
        Self::Kill(Part::Worker),
        Self::Provider(Mood::LosingReplies),
        Self::Broker(Broker::Kill),
        Self::KillAt(Point::AfterPost),
        Self::Link(Link::Store, Ill::HalfOpen),
        Self::Freeze(Part::Worker),
        Self::Store(Store::Kill),
        Self::Provider(Mood::Down),
        Self::KillAt(Point::AfterReply),
        Self::Link(Link::Provider, Ill::Cut),
        Self::Broker(Broker::QueuesDeleted),
        Self::KillAt(Point::AfterCommit),
        Self::Kill(Part::Scheduler),
        Self::Store(Store::ReadOnly),
        Self::Link(Link::Broker, Ill::HalfOpen),
        Self::Clock(10),
        Self::Provider(Mood::Hanging),
        Self::KillAt(Point::BeforeAck),
        Self::Kill(Part::Api),
        Self::Store(Store::Full),
        Self::Link(Link::Provider, Ill::HalfOpen),
        Self::Broker(Broker::MemoryAlarm),
        Self::Provider(Mood::RefusingSecret),
        Self::KillAt(Point::BeforePost),
        Self::Freeze(Part::Scheduler),
        Self::Link(Link::Store, Ill::Cut),
        Self::Provider(Mood::Throttling),
        Self::Broker(Broker::Restart),
        Self::DiskFull,
        Self::Link(Link::Broker, Ill::Cut),
        Self::Clock(-10),
        Self::Store(Store::Restart),
        Self::Link(Link::Store, Ill::Slow),
        Self::Provider(Mood::Html),
        Self::Freeze(Part::Api),
        Self::Link(Link::Broker, Ill::Slow),
        Self::Link(Link::Provider, Ill::Slow),
    ];

    /// Everything that can befall the one process of the embedded shape.
    const EMBEDDED: &[Self] = &[
        Self::Kill(Part::Serve),
        Self::Provider(Mood::LosingReplies),
        Self::KillAt(Point::AfterPost),
        Self::DiskFull,
        Self::Provider(Mood::Down),
        Self::Link(Link::Provider, Ill::HalfOpen),
        Self::Freeze(Part::Serve),
        Self::KillAt(Point::AfterReply),
        Self::Provider(Mood::Hanging),
        Self::Clock(10),
        Self::Link(Link::Provider, Ill::Cut),
        Self::KillAt(Point::AfterCommit),
        Self::Provider(Mood::RefusingSecret),
        Self::Provider(Mood::Throttling),
        Self::KillAt(Point::BeforePost),
        Self::Clock(-10),
        Self::Link(Link::Provider, Ill::Slow),
        Self::Provider(Mood::Html),
    ];

    /// The deck of a shape.
    const fn deck(shape: Shape) -> &'static [Self] {
        match shape {
            Shape::Cluster => Self::CLUSTER,
            Shape::Embedded => Self::EMBEDDED,
        }
    }

    pub(super) const fn domain(self) -> Domain {
        match self {
            Self::KillAt(_) | Self::DiskFull => Domain::Alone,
            Self::Kill(_) | Self::Freeze(_) | Self::Link(..) | Self::Clock(_) => Domain::Processes,
            Self::Broker(_) => Domain::Broker,
            Self::Store(_) => Domain::Store,
            Self::Provider(_) => Domain::Provider,
        }
    }

    /// From the beginning of the fault to its end, at least and at most, in milliseconds.
    const fn lasts_ms(self) -> (u64, u64) {
        match self {
            // Until a supervisor starts it again.
            Self::Kill(_) | Self::KillAt(_) => (500, 3_000),
            // A lease of nine seconds and a grace of two.
            Self::Freeze(_) => (12_000, 14_000),
            Self::Broker(Broker::Restart | Broker::QueuesDeleted) | Self::Store(Store::Restart) => (500, 1_000),
            Self::Clock(_) => (6_000, 9_000),
            _ => (3_000, 8_000),
        }
    }
}

/// One fault of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// Chooses one of those whom it can befall; `None`: all of them.
    pub(super) victim: Option<usize>,
    /// After the start of the run.
    pub(super) begin: Duration,
    pub(super) end: Duration,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begin, end) = (self.begin.as_secs_f64(), self.end.as_secs_f64());
        write!(f, "{begin:>5.1} s to {end:>5.1} s: {:?}", self.kind)?;
        match self.victim {
            Some(victim) => write!(f, " of number {victim}"),
            None => f.write_str(" of all"),
        }
    }
}

/// What befalls a system under one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) faults: Vec<Fault>,
    /// Whether the provider ends a grant at the first repetition of a spent token, lost answer or not. Otherwise it answers
    /// the token before the newest again until the newest has been used, as the better ones do.
    pub(super) is_merciless: bool,
}

/// Before the first fault, when everything has just been imported.
const CALM: Duration = Duration::from_secs(4);

impl Schedule {
    /// The schedule of a seed: the same for ever. Seeds in a row take their faults from one shuffled deck in turn, so that a
    /// few of them meet every sort there is.
    pub(super) fn of(seed: u64, shape: Shape, faults: usize) -> Self {
        let deck = Kind::deck(shape);
        let mut dice = Dice::new(seed);
        let first = seed.wrapping_sub(1).wrapping_mul(faults as u64);
        let kinds = (0..faults as u64).map(|nth| {
            let place = first.wrapping_add(nth);
            let round = place / deck.len() as u64;
            shuffled(deck, round)[usize::try_from(place % deck.len() as u64).unwrap()]
        });
        let mut at = CALM;
        let mut drawn: Vec<Fault> = Vec::new();
        for kind in kinds {
            let (least, most) = kind.lasts_ms();
            let lasts = Duration::from_millis(dice.between(least, most));
            let pause = Duration::from_millis(dice.between(1_500, 4_000));
            let wants_company = dice.between(0, 9) < 4;
            let begin = match drawn.last() {
                // Not the one before that either: it may still be under way.
                Some(before) if wants_company && may_overlap(&drawn, kind) => (before.begin + before.end) / 2,
                Some(_) => at + pause,
                None => at,
            };
            let victim = Some(usize::try_from(dice.between(0, 11)).unwrap());
            // A network that breaks breaks for one process or for all.
            let victim = if matches!(kind, Kind::Link(..)) && dice.between(0, 1) == 0 { None } else { victim };
            drawn.push(Fault { kind, victim, begin, end: begin + lasts });
            at = drawn.iter().map(|fault| fault.end).max().unwrap_or(at);
        }
        Self { faults: drawn, is_merciless: seed % 4 == 3 }
    }

    /// Whether a process's clock jumps in it.
    pub(super) fn has_jumps(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault.kind, Kind::Clock(_)))
    }

    /// Whether a disk fills up in it.
    pub(super) fn has_full_disk(&self) -> bool {
        self.faults.iter().any(|fault| fault.kind == Kind::DiskFull)
    }
}

/// Whether a fault may begin while the last one is under way.
fn may_overlap(drawn: &[Fault], kind: Kind) -> bool {
    let Some(last) = drawn.last() else { return false };
    let others_are_over = drawn[..drawn.len() - 1].iter().all(|fault| fault.end <= last.begin);
    let domains = (last.kind.domain(), kind.domain());
    others_are_over && domains.0 != domains.1 && domains.0 != Domain::Alone && domains.1 != Domain::Alone
}

fn shuffled(deck: &[Kind], round: u64) -> Vec<Kind> {
    let mut cards = deck.to_vec();
    // The first round goes by the deck's own order: what is most likely to hurt comes first.
    if round > 0 {
        let mut dice = Dice::new(!round);
        for last in (1..cards.len()).rev() {
            cards.swap(last, usize::try_from(dice.between(0, last as u64)).unwrap());
        }
    }
    cards
}

/// `SplitMix64`: the same numbers from the same seed for ever, whatever becomes of libraries.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from `least` to `most`, both included.
    pub(super) const fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        least + mixed % (most - least + 1)
    }
}

#[test]
fn a_seed_is_one_schedule_for_ever() {
    for shape in [Shape::Cluster, Shape::Embedded] {
        assert_eq!(Schedule::of(7, shape, 5), Schedule::of(7, shape, 5));
        assert_ne!(Schedule::of(7, shape, 5), Schedule::of(8, shape, 5));
    }
    let first = Schedule::of(1, Shape::Cluster, 2).faults[0];
    assert_eq!((first.kind, first.begin), (Kind::Kill(Part::Worker), CALM));
}

#[test]
fn a_few_seeds_in_a_row_meet_every_sort_of_fault() {
    for shape in [Shape::Cluster, Shape::Embedded] {
        let deck = Kind::deck(shape);
        let drawn: Vec<Kind> =
            (1..=8).flat_map(|seed| Schedule::of(seed, shape, 5).faults).map(|fault| fault.kind).collect();
        let missing: Vec<_> = deck.iter().filter(|kind| !drawn.contains(kind)).collect();
        assert!(missing.is_empty(), "{shape:?}: {missing:?}");
    }
}

#[test]
fn faults_that_are_under_way_together_are_of_different_domains() {
    for seed in 1..200 {
        for shape in [Shape::Cluster, Shape::Embedded] {
            let faults = Schedule::of(seed, shape, 6).faults;
            for (index, one) in faults.iter().enumerate() {
                assert!(one.begin < one.end);
                for other in &faults[index + 1..] {
                    let together = one.begin < other.end && other.begin < one.end;
                    let may = one.kind.domain() != other.kind.domain()
                        && ![one, other].iter().any(|fault| fault.kind.domain() == Domain::Alone);
                    assert!(!together || may, "seed {seed}: {one} and {other}");
                }
            }
        }
    }
}
