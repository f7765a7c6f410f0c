//! Keys that differ, are lost, and come back.

use std::time::Duration;

use fernet::Fernet;

use crate::support::wait::eventually;
use crate::support::{Plan, Shape, World};

const CONNECTIONS: usize = 20;

fn plan(shape: Shape, name: &'static str) -> Plan {
    Plan { token_lifetime: Duration::from_secs(8), ..Plan::new(shape, name) }
}

#[test]
fn a_member_with_another_key_refuses_to_start_beside_live_peers() {
    let Some(mut world) = World::new(&plan(Shape::Cluster, "foreign_key")) else { return };
    world.start();
    world.import(CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);
    let right = world.key().to_owned();
    world.set_key(&Fernet::generate_key());
    let mut stranger = world.spawn_apart("stranger", "worker");
    let ended = stranger.until_ended();
    let log = stranger.log();
    assert_eq!(ended.code(), Some(1), "{log}");
    assert!(
        log.contains("FERNET_KEY lacks the key") && log.contains("Give every process the same FERNET_KEY"),
        "{log}"
    );
    world.set_key(&right);
    let stats = world.until_refreshed_again(CONNECTIONS);
    assert_eq!(stats.in_state("active"), CONNECTIONS as u64, "{stats:?}");
    world.end();
}

#[test]
fn a_lost_key_puts_rows_out_of_use_until_it_is_given_back_embedded() {
    lost_key(Shape::Embedded, "lost_key_embedded");
}

#[test]
fn a_lost_key_puts_rows_out_of_use_until_it_is_given_back_cluster() {
    lost_key(Shape::Cluster, "lost_key_cluster");
}

fn lost_key(shape: Shape, name: &'static str) {
    let Some(mut world) = World::new(&plan(shape, name)) else { return };
    world.start();
    world.import(CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);
    let (old, new) = (world.key().to_owned(), Fernet::generate_key());

    world.stop();
    world.set_key(&new);
    world.start();
    eventually("every row to be out of use", || {
        world.rows().values().all(|row| row.reason.as_deref() == Some("undecryptable")).then_some(())
    });
    for row in world.rows().values() {
        let told = row.last_error.as_deref().unwrap_or_default();
        assert_eq!(row.state, "needs_reauth");
        assert!(told.contains("give the key that wrote them back in FERNET_KEY"), "{told}");
    }

    world.stop();
    world.set_key(&format!("{new},{old}"));
    world.start();
    let stats = world.until_refreshed_again(CONNECTIONS);
    assert_eq!((stats.in_state("active"), stats.failed_jobs), (CONNECTIONS as u64, 0), "{stats:?}");
    let account = world.sim.stats();
    assert_eq!((account.live, account.spent_twice), (CONNECTIONS as u64, 0));
    world.end();
}
