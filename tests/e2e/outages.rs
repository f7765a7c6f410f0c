//! A provider that is out of order, one that refuses our credentials, and a user who ends a grant.

use std::collections::BTreeMap;
use std::time::Duration;

use evergrant_sim::{ErrorBody, Fault, FaultKind};

use crate::support::process::{lines, until_one_says};
use crate::support::rows::Row;
use crate::support::wait::eventually;
use crate::support::{Plan, Shape, World};

const CONNECTIONS: usize = 40;
/// Probes that must have met each sort of trouble.
const PROBES: u64 = 3;

fn world(shape: Shape, name: &'static str) -> Option<World> {
    let plan = Plan { token_lifetime: Duration::from_secs(8), ..Plan::new(shape, name) };
    let mut world = World::new(&plan)?;
    world.start();
    world.import(CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);
    Some(world)
}

#[test]
fn an_outage_drops_no_connection_embedded() {
    outage(Shape::Embedded, "outage_embedded");
}

#[test]
fn an_outage_drops_no_connection_cluster() {
    outage(Shape::Cluster, "outage_cluster");
}

/// Every way in which a provider is out of order, each for several probes; then it is well again.
fn outage(shape: Shape, name: &'static str) {
    let Some(mut world) = world(shape, name) else { return };
    let troubles = [
        ("status", FaultKind::Status { status: 503, body: ErrorBody::Json }),
        ("html_ok", FaultKind::HtmlOk {}),
        ("hang", FaultKind::Hang { ms: 5_000 }),
        ("reset", FaultKind::Reset {}),
    ];
    for (kind, trouble) in troubles {
        world.sim.set_faults([Fault::new(trouble)]);
        let struck = || world.sim.stats().faults.get(kind).copied().unwrap_or(0);
        eventually(&format!("several calls to meet {kind}"), || (struck() >= PROBES).then_some(()));
        until_one_says(&world.processes, "The provider does not answer sensibly");
        let before = struck();
        eventually(&format!("several probes to meet {kind}"), || (struck() >= before + PROBES).then_some(()));
    }
    world.sim.clear_faults();
    let stats = world.until_refreshed_again(CONNECTIONS);
    until_one_says(&world.processes, "The provider is well again");
    assert_eq!((stats.in_state("active"), stats.failed_jobs), (CONNECTIONS as u64, 0), "{stats:?}");
    assert_eq!(world.sim.stats().live, CONNECTIONS as u64);
    world.end();
}

#[test]
fn a_wrong_secret_is_said_once_and_touches_no_connection_embedded() {
    wrong_secret(Shape::Embedded, "wrong_secret_embedded");
}

#[test]
fn a_wrong_secret_is_said_once_and_touches_no_connection_cluster() {
    wrong_secret(Shape::Cluster, "wrong_secret_cluster");
}

fn wrong_secret(shape: Shape, name: &'static str) {
    const SAID: &str = "The provider refuses this app's own credentials";
    let Some(mut world) = world(shape, name) else { return };
    let secret = world.env["AMAZON_CLIENT_SECRET"].clone();
    world.sim.set_client_secrets(["another-one".to_owned()]);
    until_one_says(&world.processes, SAID);
    // What was under way when the first refusal came ends with the same refusal.
    eventually("the leases to be given back", || {
        world.rows().values().all(|row| row.leased_until.is_none()).then_some(())
    });
    let (before, refused) = (standings(world.rows()), refusals(&world));
    eventually("several probes to be refused", || (refusals(&world) >= refused + PROBES).then_some(()));
    assert_eq!(standings(world.rows()), before);
    world.sim.set_client_secrets([secret]);
    let stats = world.until_refreshed_again(CONNECTIONS);
    assert_eq!((stats.in_state("active"), stats.failed_jobs), (CONNECTIONS as u64, 0), "{stats:?}");
    let said = lines(&world.all_logs(), SAID);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0]["level"], "ERROR");
    assert_eq!(lines(&world.all_logs(), "Failed to refresh token for user").len(), 0, "no user's token has failed");
    world.end();
}

fn refusals(world: &World) -> u64 {
    world.sim.stats().token_outcomes.get("invalid_client").copied().unwrap_or(0)
}

/// What a fault of the app must leave alone. A probe takes a lease and records its attempt; nothing else may come of it.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    state: String,
    reason: Option<String>,
    version: u64,
    failures: u32,
}

fn standings(rows: BTreeMap<String, Row>) -> BTreeMap<String, Standing> {
    let standing = |Row { state, reason, version, failures, .. }| Standing { state, reason, version, failures };
    rows.into_iter().map(|(user, row)| (user, standing(row))).collect()
}

#[test]
fn a_revoked_grant_is_given_up_alone_embedded() {
    revoked(Shape::Embedded, "revoked_embedded");
}

#[test]
fn a_revoked_grant_is_given_up_alone_cluster() {
    revoked(Shape::Cluster, "revoked_cluster");
}

fn revoked(shape: Shape, name: &'static str) {
    let Some(mut world) = world(shape, name) else { return };
    let user = world.rows().keys().next().unwrap().clone();
    assert_eq!(world.sim.revoke(&user), 1);
    eventually("the connection to be given up", || (world.rows()[&user].state == "needs_reauth").then_some(()));
    let account = world.ledger()[&user].clone();
    assert_eq!(account.counts.refused, 2, "once to be told, once to be sure: {account:?}");
    for _ in 0..2 {
        world.until_refreshed_again(CONNECTIONS - 1);
    }
    let row = world.rows()[&user].clone();
    let later = world.ledger()[&user].clone();
    assert_eq!((later.counts.token_calls, later.counts.calls_after_end), (account.counts.token_calls, 0));
    assert_eq!((row.state.as_str(), row.reason.as_deref()), ("needs_reauth", Some("grant_invalid")), "{row:?}");
    let stats = world.stats(crate::support::rows::now()).unwrap();
    assert_eq!((stats.in_state("active"), stats.in_state("needs_reauth")), (CONNECTIONS as u64 - 1, 1));
    world.end();
}
