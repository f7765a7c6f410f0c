//! Where no client can help, or this one does not: each is among the known limits of docs/ARCHITECTURE.md.

use evergrant_contract::verdict::Rotation;
use evergrant_model::{Limit, Protocol, SPENT_ONCE};

use super::counterexample;

#[track_caller]
fn is_a_limit(protocol: Protocol) {
    assert!(counterexample(protocol, SPENT_ONCE).is_some(), "this limit is gone: take it off the list");
}

#[test]
fn a_process_that_is_stopped_with_an_answer_in_hand() {
    is_a_limit(Protocol { limit: Some(Limit::StoppedWithAnAnswer), ..Protocol::new(Rotation::Strict, 1) });
}

#[test]
fn a_store_whose_clock_is_stepped_forwards() {
    is_a_limit(Protocol { limit: Some(Limit::StoreClockJumps), ..Protocol::new(Rotation::Strict, 2) });
}

#[test]
fn a_store_that_is_lost_while_a_lapsed_lease_is_contested() {
    is_a_limit(Protocol { limit: Some(Limit::StoreLostInAContest), ..Protocol::new(Rotation::Strict, 2) });
}

#[test]
fn an_answer_that_waits_in_a_spool_for_longer_than_a_lease() {
    is_a_limit(Protocol { limit: Some(Limit::AnswerInTheSpool), ..Protocol::new(Rotation::Strict, 2) });
}
