//! A random walk through everything that changes a connection, compared with a model at every step.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::connection::{IfPresent, Lease, LeaseRequest, Leased, Settlement, Stored};
use evergrant_contract::ids::Version;
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};

use super::model::{Answer, Expected};
use super::steps::{
    HOUR, MOMENT, access_token, acquire, app, connect, ended, failed, find, new_connection, put_all, refreshed,
    request, secs, settle, unchanged, word,
};
use crate::conformance::eventually;
use crate::{ManualClock, SeededChance};

const SEEDS: u64 = 4;
const STEPS: u32 = 100;
const CONNECTIONS: usize = 4;
/// Longer than any walk: a lease lapses only where the walk wants it to.
const FOR_THE_WHOLE_WALK: Duration = Duration::from_hours(1_000);

/// Leases, takeovers, settlements in and out of turn, consents and disconnects: after every step each row is what the model
/// says, and what is due, what comes next and the totals agree with it.
pub async fn a_random_walk_agrees_with_the_model(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let mut walk = Walk::begin(store, clock).await;
    for seed in 0..SEEDS {
        let chance = SeededChance::new(seed);
        for step in 0..STEPS {
            let what = walk.step(&chance).await;
            walk.trail.push(format!("seed {seed} step {step}: {what}"));
            walk.look().await;
        }
    }
}

struct Walk {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    rows: Vec<Expected>,
    /// Every lease that was ever given, good or not.
    leases: Vec<(usize, Lease)>,
    trail: Trail,
}

/// What the walk has done; it is shown when the walk fails.
struct Trail(Vec<String>);

impl Trail {
    fn push(&mut self, step: String) {
        self.0.push(step);
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if std::thread::panicking() {
            use std::io::Write as _;
            let last = self.0.len().saturating_sub(25);
            let _ = writeln!(std::io::stderr(), "the walk's last steps:\n{}", self.0[last..].join("\n"));
        }
    }
}

impl Walk {
    async fn begin(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Self {
        let mut rows = Vec::new();
        for n in 0..CONNECTIONS {
            let id = connect(&*store, &clock, &user(n)).await;
            rows.push(Expected {
                id,
                version: Version::FIRST,
                state: State::Active,
                reason: None,
                refresh_at: Some(clock.now()),
                failures: 0,
                tokens: Some(format!("{}-1", user(n))),
                holder: None,
            });
        }
        Self { store, clock, rows, leases: Vec::new(), trail: Trail(Vec::new()) }
    }

    /// Does one thing, checks the answer, and says what it was.
    async fn step(&mut self, chance: &SeededChance) -> String {
        let n = usize::try_from(chance.below(4)).unwrap_or_default();
        match chance.below(20) {
            0..=5 => self.acquire(n, chance).await,
            6 => self.abandon(n).await,
            7..=14 => self.settle(chance).await,
            15 => self.disconnect(n).await,
            16..=17 => self.consent(n).await,
            18 => self.make_due(n).await,
            _ => {
                let secs = chance.below(1_000);
                self.clock.advance(Duration::from_secs(secs.into())).await;
                format!("{secs} seconds pass")
            }
        }
    }

    async fn acquire(&mut self, n: usize, chance: &SeededChance) -> String {
        let row = &mut self.rows[n];
        let mut asked = LeaseRequest { ttl: FOR_THE_WHOLE_WALK, ..request(row.id, row.version) };
        match chance.below(5) {
            0 => asked.seen_refresh_at = row.refresh_at,
            1 => asked.seen_refresh_at = Some(self.clock.now() + secs(123_456)),
            // Of an ended connection either answer to an old version is true, so the walk does not ask.
            2 if row.state.is_refreshable() => asked.version = Version::new((row.version.number() - 1).max(1)),
            _ => {}
        }
        let expected = row.answer(&asked);
        match (acquire(&*self.store, asked).await, expected) {
            (Leased::Held(grant), Answer::Held) => {
                assert_eq!(
                    Some(grant.refresh_token.expose()),
                    row.tokens.as_ref().map(|t| format!("Atzr|{t}")).as_deref()
                );
                assert_eq!((grant.standing.state, grant.taken_over_from), (row.state, None));
                row.holder = Some(asked.owner);
                self.leases.push((n, grant.lease));
            }
            (Leased::Busy, Answer::Busy) => {}
            (Leased::MovedOn { version }, Answer::MovedOn(expected)) => assert_eq!(version, expected),
            (Leased::NotRefreshable { state }, Answer::NotRefreshable(expected)) => assert_eq!(state, Some(expected)),
            (other, expected) => panic!("{expected:?} is expected, the answer is {}", word(&other)),
        }
        format!("{} asked for at version {}: {expected:?}", user(n), asked.version)
    }

    /// Takes a lease and never reports, until somebody takes it over.
    async fn abandon(&mut self, n: usize) -> String {
        let row = &mut self.rows[n];
        let short = LeaseRequest { ttl: MOMENT, ..request(row.id, row.version) };
        if row.answer(&short) != Answer::Held {
            return format!("{} is not free to be abandoned", user(n));
        }
        let Leased::Held(former) = acquire(&*self.store, short).await else { panic!("the lease is free") };
        let long = LeaseRequest { ttl: FOR_THE_WHOLE_WALK, takeover_grace: MOMENT, ..request(row.id, row.version) };
        let taker = eventually("a takeover", async || {
            self.clock.advance(10 * MOMENT).await;
            match acquire(&*self.store, long).await {
                Leased::Held(taker) => Some(taker),
                Leased::Busy => None,
                other => panic!("the lease has lapsed, the answer is {}", word(&other)),
            }
        })
        .await;
        assert_eq!(taker.taken_over_from, Some(short.owner));
        row.holder = Some(long.owner);
        self.leases.extend([(n, former.lease), (n, taker.lease)]);
        format!("{} abandoned and taken over", user(n))
    }

    /// Settles a lease that was given now or some time ago.
    async fn settle(&mut self, chance: &SeededChance) -> String {
        let recent = u32::try_from(self.leases.len()).unwrap_or(u32::MAX).min(6);
        if recent == 0 {
            return "nobody holds anything yet".into();
        }
        let back = usize::try_from(chance.below(recent)).unwrap_or_default();
        let (n, lease) = self.leases[self.leases.len() - 1 - back];
        let name = format!("{}-{}", user(n), self.trail.0.len());
        let (what, settlement): (_, Settlement) = match chance.below(8) {
            0..=3 => ("tokens", refreshed(lease, &self.clock, &name)),
            4..=5 => ("failure", failed(lease, &self.clock)),
            6 => ("end", ended(lease, &self.clock, Reason::GrantInvalid)),
            _ => ("nothing", unchanged(lease, &self.clock, None)),
        };
        let expected = self.rows[n].settle(&settlement);
        assert_eq!(settle(&*self.store, settlement).await, expected, "{what} for {}", user(n));
        format!("{} settled with {what} at version {}: {expected:?}", user(n), lease.version)
    }

    async fn disconnect(&mut self, n: usize) -> String {
        let expected = self.rows[n].disconnect();
        let id = self.rows[n].id;
        assert_eq!(self.store.disconnect(id).await.expect("a working store disconnects"), expected);
        format!("{} disconnected: {expected}", user(n))
    }

    async fn consent(&mut self, n: usize) -> String {
        let refresh_at = self.clock.now() + secs(300);
        let tokens = format!("{}-{}", user(n), self.trail.0.len());
        let mut new = new_connection(&user(n), refresh_at);
        new.access_token = Some(Secret::new(format!("Atza|{tokens}")));
        new.refresh_token = Some(Secret::new(format!("Atzr|{tokens}")));
        let row = &mut self.rows[n];
        row.consent(refresh_at, tokens);
        assert_eq!(put_all(&*self.store, vec![new], IfPresent::Replace).await, [Stored::Replaced(row.id)]);
        format!("{} connected anew", user(n))
    }

    async fn make_due(&mut self, n: usize) -> String {
        let (row, now) = (&mut self.rows[n], self.clock.now());
        let done = self.store.make_due(row.id, now).await.expect("a working store makes due");
        assert_eq!(done, row.state.is_refreshable());
        // One that was due already may stay as it is.
        let stored = find(&*self.store, row.id).await.refresh_at;
        assert!(!done || stored == Some(now) || (row.is_due(now) && stored == row.refresh_at), "it is due now");
        row.refresh_at = stored;
        format!("{} made due: {done}", user(n))
    }

    /// Compares everything that can be seen.
    async fn look(&self) {
        let (store, now) = (&*self.store, self.clock.now());
        for row in &self.rows {
            row.assert_is(&find(store, row.id).await);
            let held = access_token(store, row.id).await;
            assert!(held.as_ref().is_none_or(|held| held.version == row.version), "a token names its version");
            assert_eq!(held.map(|held| held.token.expose().to_owned()), row.access_token());
        }
        let due = store.due(&app(), now, None, 100).await.expect("a working store says what is due");
        let due: Vec<_> = due.iter().map(|due| (Some(due.refresh_at), due.connection, due.version)).collect();
        let mut expected: Vec<_> =
            self.rows.iter().filter(|row| row.is_due(now)).map(|row| (row.refresh_at, row.id, row.version)).collect();
        expected.sort();
        assert_eq!(due, expected);
        let next = store.next_refresh_at(&app()).await.expect("a working store says what comes next");
        assert_eq!(next, self.rows.iter().filter_map(|row| row.refresh_at).min());
        let stats = store.stats(now, now - HOUR).await.expect("a working store counts");
        for state in State::ALL {
            let expected = self.rows.iter().filter(|row| row.state == *state).count();
            assert_eq!(usize::try_from(stats.by_state[state]).ok(), Some(expected), "connections that are {state}");
        }
    }
}

fn user(n: usize) -> String {
    format!("user{n}")
}
