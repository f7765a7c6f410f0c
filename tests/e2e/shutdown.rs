//! A process that has to end while it holds what was paid for.

use std::fs;
use std::time::Duration;

use crate::support::process::Process;
use crate::support::wait::eventually;
use crate::support::{Plan, Shape, World};

const CONNECTIONS: usize = 6;

#[test]
fn an_answer_in_hand_survives_the_end_of_its_worker_while_the_store_is_down() {
    let latency = Duration::from_millis(700);
    let lifetime = Duration::from_secs(12);
    let plan = Plan { token_lifetime: lifetime, latency, own_servers: true, ..Plan::new(Shape::Cluster, "spool") };
    let Some(mut world) = World::new(&plan) else { return };
    world.env.insert("EVERGRANT_SHUTDOWN_DEADLINE_SECS".to_owned(), "4".to_owned());
    let scheduler = world.spawn("scheduler", "scheduler");
    let worker = world.spawn("worker", "worker");
    world.processes.iter_mut().for_each(Process::until_ready);
    world.import(CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);

    // The calls have left, and nobody can take their answers.
    let calls = world.sim.stats().refreshes;
    eventually("calls to take effect", || (world.sim.stats().refreshes > calls).then_some(()));
    world.cluster().servers.postgres().kill().unwrap();
    world.processes[worker].until_it_says("the result is held until it is back", Duration::from_secs(20));
    world.processes[worker].terminate();
    let status = world.processes[worker].until_ended();
    let spool = world.data_folder("worker").join("spool");
    let spooled = fs::read_dir(&spool).unwrap().count();
    assert!(spooled > 0, "{status}: {}", world.processes[worker].log());

    world.cluster().servers.postgres().restart().unwrap();
    world.processes[worker] = world.spawn_apart("worker", "worker");
    world.processes[worker].until_ready();
    world.processes[worker].until_it_says("A result from the spool is stored", Duration::from_secs(20));
    world.until_refreshed_again(CONNECTIONS);
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 0, "what is stored need not be kept");
    let account = world.sim.stats();
    assert_eq!((account.spent_twice, account.live), (0, CONNECTIONS as u64), "{account:?}");
    assert!(world.processes[scheduler].is_alive());
    world.end();
}
