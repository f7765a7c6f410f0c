//! Explores the protocol: as it is, with a rule left out, and where its limits are.

#![expect(clippy::print_stdout, reason = "what was explored and found is worth seeing")]

mod limits;
mod rules;
mod teeth;

use std::time::Duration;

use evergrant_model::{
    Act, ENDED_BY_PROVIDER, HELD_SOMEWHERE, KEEPS_BACK_OFF, Protocol, REFRESHED_AT_LAST, REPORTED, SPENT_ONCE,
};
use stateright::{Checker, HasDiscoveries, Model};

/// What must always hold.
const ALWAYS: [&str; 6] = [SPENT_ONCE, REPORTED, HELD_SOMEWHERE, ENDED_BY_PROVIDER, KEEPS_BACK_OFF, REFRESHED_AT_LAST];

/// The shortest way to a world in which this property does not hold; nothing if there is none.
fn counterexample(protocol: Protocol, property: &'static str) -> Option<Vec<Act>> {
    let checker = protocol
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyOf([property].into()))
        .timeout(Duration::from_mins(3))
        .spawn_bfs()
        .join();
    let steps = checker.discovery(property)?.into_actions();
    println!("{property} - not after {} steps: {steps:?}", steps.len());
    Some(steps)
}
