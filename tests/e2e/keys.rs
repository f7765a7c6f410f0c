//! Keys that differ, are lost, and come back.

use std::fs::{self, File};
use std::time::Duration;

use fernet::Fernet;

use crate::support::rows::now;
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

#[test]
fn a_new_key_is_made_by_itself_when_its_time_has_come() {
    let Some(mut world) = World::new(&plan(Shape::Embedded, "automatic_key")) else { return };
    // The process makes its own key file, and no other place has keys.
    world.env.remove("FERNET_KEY");
    world.set("EVERGRANT_KEYS_ROTATE_EVERY_DAYS", "30");
    world.start();
    world.import_crowd("kept", "amazon-na", CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);
    let file = world.data_folder("serve-0").join("fernet.key");
    let key = |text: &str| text.trim().split(',').next().unwrap().to_owned();
    let old = key(&fs::read_to_string(&file).unwrap());

    let month_ago = now() - Duration::from_hours(31 * 24);
    File::options().append(true).open(&file).unwrap().set_modified(month_ago.into()).unwrap();
    let limit = Duration::from_mins(1);
    world.processes[0].until_it_says("A new encryption key was made, as keys.rotate_every_days says", limit);
    world.processes[0].until_it_says("The key file has changed", limit);
    let text = fs::read_to_string(&file).unwrap();
    let new = key(&text);
    assert!(new != old && text.contains(&old), "the new key is the first, and the old one is kept");
    eventually("every row to be under the new key", || {
        let view = world.ask(&["keys", "list", "--json"]).success().json();
        let rows = |role: &str| view.as_object()?.values().find(|key| key["ours"] == role)?["rows"].as_u64();
        (rows("encrypts") == Some(CONNECTIONS as u64) && rows("decrypts") == Some(0)).then_some(())
    });
    let stats = world.until_refreshed_again(CONNECTIONS);
    assert_eq!((stats.in_state("active"), stats.failed_jobs), (CONNECTIONS as u64, 0), "{stats:?}");
    assert_eq!(world.sim.stats().spent_twice, 0);
    let logs = world.all_logs();
    assert!(!logs.contains(&old) && !logs.contains(&new), "a key is in a log");
    world.end();
}
