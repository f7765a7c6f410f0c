//! The protocol as it is: every state that so many faults can lead to.

use std::time::Instant;

use evergrant_contract::verdict::Rotation;
use evergrant_model::Protocol;
use stateright::{Checker, Model};

use super::ALWAYS;

const README: &str = include_str!("../../README.md");

/// Explores everything, and holds the count to the page that tells it.
fn holds(what: &str, protocol: Protocol) {
    let begun = Instant::now();
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    let (states, steps, took) = (checker.unique_state_count(), checker.state_count(), begun.elapsed());
    println!("{what}: {states} states, {steps} steps, {} deep, {took:.1?}", checker.max_depth());
    checker.assert_properties();
    let told: Option<usize> = README
        .lines()
        .find(|line| line.contains(what))
        .and_then(|line| line.split('|').nth(2))
        .and_then(|cell| cell.trim().replace(',', "").parse().ok());
    assert_eq!(told, Some(states), "the number of states of `{what}` in model/README.md");
}

#[test]
fn the_properties_are_those_of_the_page() {
    for property in ALWAYS {
        assert!(README.contains(property), "model/README.md does not name `{property}`");
    }
}

#[test]
fn the_product_would_start_with_these_settings() {
    for rotation in [Rotation::Strict, Rotation::Optional] {
        assert_eq!(Protocol::settings().check(&Protocol::new(rotation, 0).policy()), Ok(()));
    }
}

#[test]
fn two_faults_with_a_strict_provider() {
    holds("two faults, strict rotation", Protocol::new(Rotation::Strict, 2));
}

#[test]
fn two_faults_with_a_lenient_provider() {
    holds("two faults, optional rotation", Protocol::new(Rotation::Optional, 2));
}

#[test]
fn a_fault_a_forced_refresh_and_a_new_consent() {
    let protocol = Protocol { forces: 1, consents: 1, ..Protocol::new(Rotation::Strict, 1) };
    holds("one fault, one forced refresh, one new consent", protocol);
}
