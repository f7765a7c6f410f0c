//! Everything is red at once, and an operator gets it back as docs/OPERATIONS.md says: with the command line alone, and with
//! the web page alone. Settings, keys and the provider are mended outside of both, and people connect again by themselves.

mod command_line;
mod page;
mod strike;

use std::time::{Duration, Instant};

use self::command_line::CommandLine;
use self::page::Page;
use self::strike::Disaster;
use super::number;
use crate::support::rows::now;
use crate::support::wait::{PATIENCE, within};
use crate::support::{Caller, World};

const GUIDE: &str = include_str!("../../docs/OPERATIONS.md");
const SECTION: &str = "## Everything is red at once";

/// What an operator has in hand.
trait Hand {
    /// Finds what is wrong, and changes nothing.
    fn look(&mut self, disaster: &mut Disaster);

    /// The causes are mended: gets everything back that needs nobody but an operator.
    fn put_right(&mut self, disaster: &mut Disaster);

    /// The people have connected again.
    fn see_that_all_is_well(&mut self, disaster: &mut Disaster);
}

/// 10,000 connections: `cargo xtask disaster --by cli`.
#[test]
fn an_operator_gets_everything_back_with_the_command_line() {
    play("disaster", || Some(CommandLine::new()));
}

/// 10,000 connections: `cargo xtask disaster --by page`.
#[test]
fn an_operator_gets_everything_back_with_the_web_page() {
    play("disaster_by_page", Page::new);
}

fn play<H: Hand>(name: &'static str, hand: impl FnOnce() -> Option<H>) {
    let full = number("EVERGRANT_DISASTER_CONNECTIONS");
    let connections = full.unwrap_or(600);
    let lifetime = Duration::from_secs(if full.is_some() { 300 } else { 20 });
    let Some(mut hand) = hand() else { return };
    let Some(mut disaster) = Disaster::new(name, lifetime) else { return };
    let begun = Instant::now();
    let said = |what: &str| eprintln!("{name}: {what} after {:.1} s", begun.elapsed().as_secs_f64());
    disaster.strike(connections);
    said(&format!("{} connections, and everything is red", disaster.total));
    hand.look(&mut disaster);
    said("the causes were found");
    disaster.mend();
    said("the causes were mended");
    hand.put_right(&mut disaster);
    said(&format!("all but the {} whose grants were revoked are back", disaster.revoked.len()));
    reconnect(&disaster.world, &disaster.revoked);

    let (patience, total) = (patience(&disaster), disaster.total);
    let stats = within(patience, "every connection to be active", || {
        disaster.world.stats(now()).filter(|stats| stats.in_state("active") == total && stats.expired == 0)
    });
    said("everybody is back");
    assert_eq!(stats.failed_jobs, 0, "{stats:?}");
    hand.see_that_all_is_well(&mut disaster);
    assert_eq!(disaster.world.ask(&["doctor"]).code, 0, "the doctor has nothing left to say");
    is_written_down(&disaster.world);
    assert_eq!(disaster.spent_twice(), 0);
    disaster.world.end();
}

/// As long as everything may take: a token lives out its time, and the backlog of as many as there are is worked off.
fn patience(disaster: &Disaster) -> Duration {
    PATIENCE + disaster.world.token_lifetime * 2
}

/// Who did what, and why.
fn is_written_down(world: &World) {
    let cluster = world.cluster.as_ref().unwrap();
    let said = "SELECT DISTINCT action || ', ' || reason FROM audit_log WHERE actor <> 'evergrant' AND action <> 'refresh_connection'";
    let mut said = world.runtime.block_on(cluster.database.texts(said));
    said.sort();
    assert_eq!(said, ["discard_job, poison", "replay_job, recovered"]);
    let asked = "SELECT count(*)::text FROM audit_log WHERE action = 'refresh_connection'";
    let asked: u64 = world.runtime.block_on(cluster.database.texts(asked))[0].parse().unwrap();
    assert!(asked > 0, "nothing was refreshed by hand, though some were not refreshed by themselves");
}

/// Each of them signs in with Amazon, consents, and has the connection back that they had.
fn reconnect(world: &World, users: &[String]) {
    let address = world.addresses("api").remove(0);
    for user in users {
        let mut browser = Caller::new(&address);
        let begun = world.runtime.block_on(browser.get("/api/auth/amazon/login")).expect(200).json();
        let callback = world.consent(begun["auth_url"].as_str().unwrap(), &format!("amzn1.account.{user}"));
        let landed = world.runtime.block_on(browser.get(&callback));
        assert!(landed.status.is_redirection() && !landed.location().contains("error"), "{}", landed.location());
    }
}
