//! One rule at a time is left out: the checker has to find what goes wrong.

use evergrant_contract::verdict::Rotation;
use evergrant_model::{
    Broken, ENDED_BY_PROVIDER, HELD_SOMEWHERE, KEEPS_BACK_OFF, Limit, Protocol, REFRESHED_AT_LAST, REPORTED, SPENT_ONCE,
};

use stateright::{Checker, Model};

use super::{ALWAYS, counterexample};

fn without(rule: Broken, faults: u8, consents: u8) -> Protocol {
    Protocol { broken: Some(rule), consents, ..Protocol::new(Rotation::Strict, faults) }
}

#[track_caller]
fn is_missed(protocol: Protocol, property: &'static str) {
    let rule = protocol.broken;
    assert!(counterexample(protocol, property).is_some(), "{rule:?}: without it, still {property}");
}

#[test]
fn a_lease_that_two_may_hold_spends_a_token_twice() {
    is_missed(without(Broken::LeaseIsNotExclusive, 1, 0), SPENT_ONCE);
}

#[test]
fn a_takeover_without_a_contest_spends_a_token_twice() {
    is_missed(without(Broken::LapsedLeaseIsNotContested, 2, 0), SPENT_ONCE);
}

#[test]
fn a_lapsed_lease_that_is_kept_leaves_a_connection_unrefreshed() {
    is_missed(without(Broken::LapsedLeaseIsKept, 1, 0), REFRESHED_AT_LAST);
}

#[test]
fn a_job_without_its_fence_is_done_before_its_time() {
    is_missed(without(Broken::JobIsNotFenced, 2, 0), KEEPS_BACK_OFF);
}

#[test]
fn a_call_that_does_not_fit_its_lease_spends_a_token_twice() {
    is_missed(without(Broken::CallDoesNotFitTheLease, 1, 0), SPENT_ONCE);
}

#[test]
fn a_result_for_another_version_loses_the_newest_token() {
    is_missed(without(Broken::VersionIsNotCompared, 0, 1), HELD_SOMEWHERE);
}

#[test]
fn tokens_that_only_the_holder_may_write_are_lost() {
    // A process that was stopped with its answer finds another holder, whose call the provider was too busy for.
    let limit = Some(Limit::StoppedWithAnAnswer);
    is_missed(Protocol { limit, ..without(Broken::TokensNeedTheHolder, 2, 0) }, HELD_SOMEWHERE);
}

#[test]
fn a_first_invalid_grant_that_is_believed_ends_what_has_not_ended() {
    is_missed(without(Broken::FirstInvalidGrantIsBelieved, 1, 0), ENDED_BY_PROVIDER);
}

#[test]
fn a_silent_takeover_is_not_reported() {
    is_missed(without(Broken::TakeoverIsSilent, 1, 0), REPORTED);
}

#[test]
fn what_is_published_once_is_lost_once() {
    is_missed(without(Broken::PublishedOnce, 1, 0), REFRESHED_AT_LAST);
}

/// No tooth but the point of the design: the row is the truth, so the order of commit and acknowledgement costs time only.
#[test]
fn acknowledging_before_the_commit_loses_nothing() {
    let checker = without(Broken::AcknowledgedFirst, 2, 0).checker().threads(2).spawn_bfs().join();
    for property in ALWAYS {
        checker.assert_no_discovery(property);
    }
}
