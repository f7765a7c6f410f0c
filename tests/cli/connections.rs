//! Listing, showing, counting, refreshing and disconnecting.

use evergrant_sim::{ErrorBody, Fault, FaultKind};

use super::desk::{Desk, assert_shows, scenes};
use crate::support::wait::eventually;

const NOBODY: &str = "018f0000-0000-7000-8000-000000000001";

#[test]
fn an_empty_store_says_what_to_do() {
    let desk = Desk::new();
    let list = ("evergrant connections list", desk.run(&["connections", "list"]).ended(0));
    let json = ("evergrant connections list --json", desk.run(&["connections", "list", "--json"]).ended(0));
    let stats = ("evergrant connections stats", desk.run(&["connections", "stats"]).ended(0));
    assert_shows("connections_none", &scenes([list, json, stats]));
}

#[test]
fn what_does_not_exist_ends_with_5() {
    let desk = Desk::new();
    for command in ["show", "refresh", "disconnect"] {
        let said = desk.run(&["connections", command, NOBODY]).ended(5);
        assert_eq!(said.err.trim(), format!("evergrant: there is no connection {NOBODY}"));
        assert_eq!(said.out, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_shown_to_people_and_to_programs() {
    let (desk, sim) = Desk::at_a_simulated_amazon().await;
    let id = desk.connect(&sim, "ada");
    desk.connect(&sim, "bob");
    let run = |args: &[&str]| desk.run(&[&["connections"], args].concat()).ended(0);
    let shown = [
        ("evergrant connections list --limit 1", run(&["list", "--limit", "1"])),
        ("evergrant connections list --state failing", run(&["list", "--state", "failing"])),
        ("evergrant connections list --user ada --json", run(&["list", "--user", "ada", "--json"])),
        ("evergrant connections show ADA", run(&["show", &id])),
        ("evergrant connections show ADA --json", run(&["show", &id, "--json"])),
        ("evergrant connections stats --json", run(&["stats", "--json"])),
    ];
    assert_shows("connections", &scenes(shown));
    let behind = run(&["list", "--after", &id, "--json"]).json();
    assert_eq!(behind.as_array().unwrap().len(), 1);
    assert_eq!(behind[0]["user"], "bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_succeeds_is_told_and_counted() {
    let (desk, sim) = Desk::at_a_simulated_amazon().await;
    let id = desk.connect(&sim, "ada");
    let text = ("evergrant connections refresh ADA", desk.run(&["connections", "refresh", &id]).ended(0));
    assert_shows("refresh", &scenes([text]));
    let json = desk.run(&["connections", "refresh", &id, "--json"]).ended(0).json();
    assert_eq!((&json["outcome"], &json["version"]), (&"refreshed".into(), &3.into()));
    let stats = desk.run(&["connections", "stats", "--since", "10m", "--json"]).ended(0).json();
    assert_eq!(stats["refreshed"], 1, "one connection, however often");
    assert_eq!(sim.stats().token_calls, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_has_ended_is_told_and_never_asked_for_again() {
    let (desk, sim) = Desk::at_a_simulated_amazon().await;
    let id = desk.connect(&sim, "ada");
    sim.revoke("ada");
    let ended = ("evergrant connections refresh ADA", desk.run(&["connections", "refresh", &id]).ended(1));
    let calls = sim.stats().token_calls;
    let again = ("evergrant connections refresh ADA # again", desk.run(&["connections", "refresh", &id]).ended(1));
    let show = ("evergrant connections show ADA", desk.run(&["connections", "show", &id]).ended(0));
    assert_shows("refresh_ended", &scenes([ended, again, show]));
    assert_eq!(sim.stats().token_calls, calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_costs_the_connection_nothing() {
    let (desk, sim) = Desk::at_a_simulated_amazon().await;
    let id = desk.connect(&sim, "ada");
    sim.set_faults([Fault::new(FaultKind::Status { status: 503, body: ErrorBody::Html })]);
    let down = ("evergrant connections refresh ADA", desk.run(&["connections", "refresh", &id]).ended(1));
    let json = desk.run(&["connections", "show", &id, "--json"]).ended(0).json();
    assert_eq!((&json["state"], &json["version"]), (&"active".into(), &1.into()));
    assert_shows("refresh_down", &scenes([down]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_is_the_app_s_trouble() {
    let (desk, sim) = Desk::at_a_simulated_amazon().await;
    // Longer than the command waits for its answer on a busy machine: a second probe would be another story.
    let desk = desk.with("EVERGRANT_WORKER_FAULT_PROBE_SECS", "5");
    let id = desk.connect(&sim, "ada");
    sim.set_client_secrets(["a-new-one".to_owned()]);
    let refresh = |desk: &Desk, code| desk.run(&["connections", "refresh", &id]).ended(code);
    let refused = ("evergrant connections refresh ADA", refresh(&desk, 1));
    let doctor = ("evergrant doctor", desk.run(&["doctor"]).ended(1));
    assert_shows("refresh_fault", &scenes([refused, doctor]));

    let desk = desk.with("AMAZON_CLIENT_SECRET_NEXT", "a-new-one");
    let told = eventually("the next probe", || {
        Some(desk.run(&["connections", "refresh", &id])).filter(|said| said.code == Some(0))
    });
    assert!(told.err.contains("takes the other; remove the refused one"), "{}", told.err);
    desk.run(&["doctor"]).ended(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_connection_is_gone_for_good() {
    let (desk, sim) = Desk::at_a_simulated_amazon().await;
    let id = desk.connect(&sim, "ada");
    let run = |args: &[&str]| desk.run(&[&["connections"], args].concat());
    let shown = [
        ("evergrant connections disconnect ADA", run(&["disconnect", &id]).ended(0)),
        ("evergrant connections disconnect ADA # again", run(&["disconnect", &id]).ended(0)),
        ("evergrant connections disconnect ADA --json", run(&["disconnect", &id, "--json"]).ended(0)),
        ("evergrant connections refresh ADA", run(&["refresh", &id]).ended(1)),
    ];
    assert_shows("disconnect", &scenes(shown));
    assert_eq!(sim.stats().token_calls, 0);
}
