//! Leases whose holder does not report.

use std::sync::Arc;

use evergrant_contract::connection::{LeaseRequest, Settled};
use evergrant_contract::ids::Version;
use evergrant_contract::ports::Store;
use evergrant_contract::state::Reason;

use super::steps::{
    MOMENT, access_token_in_the_clear, acquire, connect, ended, find, hold, hold_and_lapse, refreshed, request, settle,
    take_over, unchanged, word,
};
use crate::ManualClock;

/// However often it is asked for, with however short a grace, and by its own holder too.
pub async fn a_lease_that_stands_is_not_taken_over(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let holder = hold(&*store, request(id, Version::FIRST)).await.lease;
    for look in 0..30 {
        let mut asked = LeaseRequest { takeover_grace: MOMENT, ..request(id, Version::FIRST) };
        if look % 2 == 0 {
            asked.owner = holder.owner;
        }
        assert_eq!(word(&acquire(&*store, asked).await), "busy", "look {look} comes within the hour of the lease");
        clock.advance(10 * MOMENT).await;
    }
    let settled = settle(&*store, refreshed(holder, &clock, "holder")).await;
    assert_eq!(settled, Settled::Written(Version::FIRST.next()));
}

/// The first look that finds it lapsed only starts the contest, however short the grace; a later one takes it over and
/// learns from whom.
pub async fn a_lapsed_lease_is_contested_before_it_is_taken_over(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let former = hold_and_lapse(&*store, &clock, id).await;
    let first = acquire(&*store, LeaseRequest { takeover_grace: MOMENT, ..request(id, Version::FIRST) }).await;
    assert_eq!(word(&first), "busy", "a lapsed lease is contested first");
    let taker = take_over(&*store, &clock, id).await;
    assert_eq!(taker.taken_over_from, Some(former.lease.owner));
    assert_eq!(taker.refresh_token.expose(), "Atzr|user-1");
}

/// A contest is no takeover until the grace is over, however often and by whomever it is looked at.
pub async fn a_contest_gives_the_holder_its_whole_grace(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    hold_and_lapse(&*store, &clock, id).await;
    for look in 0..30 {
        let answer = acquire(&*store, request(id, Version::FIRST)).await;
        assert_eq!(word(&answer), "busy", "look {look} comes within the hour of grace");
        clock.advance(MOMENT).await;
    }
    take_over(&*store, &clock, id).await;
    let answer = acquire(&*store, LeaseRequest { takeover_grace: MOMENT, ..request(id, Version::FIRST) }).await;
    assert_eq!(word(&answer), "busy", "the taker's lease is as good as any");
}

/// A holder that only waited for the store to come back has lost nothing.
pub async fn the_holder_settles_while_its_lease_is_contested(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for with_tokens in [true, false] {
        let id = connect(&*store, &clock, if with_tokens { "tokens" } else { "no tokens" }).await;
        let lease = hold_and_lapse(&*store, &clock, id).await.lease;
        for _ in 0..30 {
            assert_eq!(word(&acquire(&*store, request(id, Version::FIRST)).await), "busy");
        }
        let (settlement, version) = if with_tokens {
            (refreshed(lease, &clock, "late"), Version::FIRST.next())
        } else {
            (unchanged(lease, &clock, None), Version::FIRST)
        };
        assert_eq!(settle(&*store, settlement).await, Settled::Written(version));
        let next = hold(&*store, request(id, version)).await;
        assert_eq!(next.taken_over_from, None, "the contest ended with the settlement");
    }
}

/// Its `invalid_grant` may be the echo of the taker's success.
pub async fn after_a_takeover_the_former_holder_judges_nobody(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let former = hold_and_lapse(&*store, &clock, id).await.lease;
    let taker = take_over(&*store, &clock, id).await.lease;
    let before = find(&*store, id).await;
    assert_eq!(settle(&*store, ended(former, &clock, Reason::GrantInvalid)).await, Settled::Lost);
    assert_eq!(find(&*store, id).await, before, "the taker's lease included");
    let settled = settle(&*store, refreshed(taker, &clock, "taker")).await;
    assert_eq!(settled, Settled::Written(Version::FIRST.next()));
}

/// A rotated token is real whoever holds the lease by now: the first to bring one is written, the second is lost.
pub async fn tokens_of_a_former_holder_are_kept(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for former_first in [true, false] {
        let id = connect(&*store, &clock, if former_first { "former" } else { "taker" }).await;
        let former = hold_and_lapse(&*store, &clock, id).await.lease;
        let taker = take_over(&*store, &clock, id).await.lease;
        let (first, second) = if former_first { (former, taker) } else { (taker, former) };
        let settled = settle(&*store, refreshed(first, &clock, "first")).await;
        assert_eq!(settled, Settled::Written(Version::FIRST.next()));
        assert_eq!(settle(&*store, refreshed(second, &clock, "second")).await, Settled::Lost);
        assert_eq!(settle(&*store, ended(second, &clock, Reason::GrantInvalid)).await, Settled::Lost);
        let held = access_token_in_the_clear(&*store, id).await.expect("it has tokens");
        assert_eq!((held.0.as_str(), held.2), ("Atza|first", Version::FIRST.next()));
    }
}

/// Only the taker must fear that the refresh token is spent, not everybody after it.
pub async fn a_takeover_is_told_once(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    hold_and_lapse(&*store, &clock, id).await;
    let taker = take_over(&*store, &clock, id).await;
    assert!(taker.taken_over_from.is_some());
    let settled = settle(&*store, unchanged(taker.lease, &clock, None)).await;
    assert_eq!(settled, Settled::Written(Version::FIRST));
    assert_eq!(hold(&*store, request(id, Version::FIRST)).await.taken_over_from, None);
}
