//! `kill -9` of every part in the middle of the work, and a broker that forgets everything.

use std::time::Duration;

use crate::support::wait::eventually;
use crate::support::{Blow, Plan, Shape, World};

const CONNECTIONS: usize = 80;

fn plan(shape: Shape, name: &'static str) -> Plan {
    let latency = Duration::from_millis(150);
    Plan { token_lifetime: Duration::from_secs(8), latency, own_servers: true, ..Plan::new(shape, name) }
}

#[test]
fn a_killed_process_loses_nothing() {
    let Some(mut world) = World::new(&plan(Shape::Embedded, "crashes_embedded")) else { return };
    world.start();
    world.import(CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);
    for _ in 0..2 {
        world.strike(Blow::Serve);
        world.until_refreshed_again(CONNECTIONS);
    }
    lost_replies_are_reported(&mut world);
    every_second_spend_is_accounted_for(&mut world);
    world.end();
}

#[test]
fn killed_workers_leaders_brokers_and_databases_lose_nothing() {
    let Some(mut world) = World::new(&plan(Shape::Cluster, "crashes_cluster")) else { return };
    world.start();
    world.import(CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);
    for blow in Blow::CLUSTER {
        world.strike(blow);
        world.until_refreshed_again(CONNECTIONS);
    }
    // Whose call was under way is chance: of three workers the one that was struck may have been before its calls.
    for _ in 0..5 {
        if world.sim.stats().lost_replies == 0 {
            world.strike(Blow::Worker);
            world.until_refreshed_again(CONNECTIONS);
        }
    }
    lost_replies_are_reported(&mut world);
    every_second_spend_is_accounted_for(&mut world);
    world.end();
}

#[test]
fn purged_and_deleted_queues_lose_nothing() {
    let plan = Plan { own_servers: false, ..plan(Shape::Cluster, "forgetful_broker") };
    let Some(mut world) = World::new(&plan) else { return };
    // Few at once, so that jobs wait in the queue.
    world.env.insert("EVERGRANT_WORKER_CONCURRENCY_DUE".to_owned(), "2".to_owned());
    world.start();
    world.import(CONNECTIONS);
    world.until_refreshed_again(CONNECTIONS);
    assert!(forget(&mut world, Forgetting::Purge) > 0);
    world.until_refreshed_again(CONNECTIONS);
    assert!(forget(&mut world, Forgetting::Delete) > 0);
    world.until_refreshed_again(CONNECTIONS);
    every_second_spend_is_accounted_for(&mut world);
    world.end();
}

/// How a broker forgets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Forgetting {
    Purge,
    Delete,
}

/// Makes the broker forget both work queues while jobs wait in one of them: how many jobs that lost.
fn forget(world: &mut World, forgetting: Forgetting) -> u32 {
    let cluster = world.cluster.as_ref().expect("this world is a cluster");
    let (namespace, tap) = (&cluster.namespace, cluster.tap.as_ref().expect("a cluster has a tap"));
    let queues = ["refresh_due", "force_refresh"].map(|kind| format!("{namespace}.v1.{kind}"));
    let runtime = &world.runtime;
    eventually("a queue with jobs", || (runtime.block_on(tap.waiting(&queues[0])) > 5).then_some(()));
    let lost = queues.iter().map(|queue| match forgetting {
        Forgetting::Purge => runtime.block_on(tap.purge(queue)),
        Forgetting::Delete => runtime.block_on(tap.delete(queue)),
    });
    lost.sum()
}

/// The blows did hit somebody in the middle of a call: who took over wrote down that a reply may have been lost.
fn lost_replies_are_reported(world: &mut World) {
    assert!(world.sim.stats().lost_replies > 0, "every answer has arrived");
    let ids: Vec<String> = world.rows().into_values().map(|row| row.id).collect();
    assert!(ids.iter().any(|id| world.ambiguous_attempts(id) > 0), "nobody reports a lost reply");
}

/// No connection was given up, and a refresh token was presented again only after a reply that never arrived: because the
/// simulated Amazon could not deliver it, or because the attempts on record say so.
pub(super) fn every_second_spend_is_accounted_for(world: &mut World) {
    let (rows, ledger) = (world.rows(), world.ledger());
    for (user, row) in &rows {
        let account = &ledger[user];
        assert_eq!((row.state.as_str(), account.state), ("active", "live"), "{row:?} {account:?}");
        assert!(account.counts.concurrent_refreshes <= 1 && account.counts.calls_after_end == 0, "{account:?}");
        if account.counts.spent_twice > account.counts.after_lost_reply {
            let told = world.ambiguous_attempts(&row.id);
            assert!(told > 0, "{account:?} was spent twice, and no attempt says why: {row:?}");
        }
    }
    let stats = world.stats(crate::support::rows::now()).expect("the store is there");
    assert_eq!(stats.failed_jobs, 0, "{stats:?}");
}
