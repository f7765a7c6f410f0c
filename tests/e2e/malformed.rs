//! What nobody can read: a clear error each, nothing lost, nothing half-done.

use std::fs;
use std::time::Duration;

use crate::support::wait::eventually;
use crate::support::{Plan, Shape, World};

const CONNECTIONS: usize = 20;

#[test]
fn a_malformed_configuration_is_refused_by_file_and_key() {
    let Some(mut world) = World::new(&Plan::new(Shape::Embedded, "bad_configuration")) else { return };
    let file = world.folder.path().join("mine.toml");
    let cases = [
        ("[worker]\nlease_ms = \"soon\"\n", "worker.lease_ms"),
        ("[worker]\nleese_ms = 1000\n", "leese_ms"),
        ("[worker\n", "mine.toml"),
        ("[scheduler]\nlead_ttl_secs = 0\n", "lead_ttl_secs"),
    ];
    // The environment wins over the file: what a case is about must not stand there.
    world.env.retain(|name, _| {
        !["EVERGRANT_WORKER_", "EVERGRANT_SCHEDULER_", "EVERGRANT_SHUTDOWN_"].iter().any(|set| name.starts_with(set))
    });
    for (text, told) in cases {
        fs::write(&file, text).unwrap();
        let answer = world.ask(&["serve", "--config", file.to_str().unwrap()]);
        assert_eq!(answer.code, 3, "{text}: {}", answer.stderr);
        assert!(answer.stderr.contains(told), "{text}: {}", answer.stderr);
    }
    fs::write(&file, "").unwrap();
    world.ask(&["connections", "stats", "--config", file.to_str().unwrap()]).success();
    world.end();
}

#[test]
fn a_message_that_nobody_can_read_ends_whole_among_the_failed_jobs() {
    const POISON: &str = r#"{"kind":"refresh_due","connection":"not-an-id","note":"whole"#;
    let plan = Plan { token_lifetime: Duration::from_secs(8), ..Plan::new(Shape::Cluster, "poison") };
    let Some(mut world) = World::new(&plan) else { return };
    world.start();
    world.import(CONNECTIONS);
    let queue = format!("{}.v1.refresh_due", world.cluster().namespace);
    let cluster = world.cluster.as_ref().unwrap();
    world.runtime.block_on(cluster.tap.as_ref().unwrap().send(&queue, POISON.as_bytes()));
    eventually("the message among the failed jobs", || {
        let stats = world.stats(crate::support::rows::now())?;
        (stats.failed_jobs == 1).then_some(())
    });
    let cluster = world.cluster.as_ref().unwrap();
    let kept = world.runtime.block_on(cluster.database.texts("SELECT payload FROM failed_jobs"));
    assert_eq!(kept, [POISON]);
    let stats = world.until_refreshed_again(CONNECTIONS);
    assert_eq!((stats.in_state("active"), stats.failed_jobs), (CONNECTIONS as u64, 1), "{stats:?}");
    world.end();
}

#[test]
fn broken_rows_stop_no_good_ones() {
    let Some(mut world) = World::new(&Plan::new(Shape::Embedded, "broken_rows")) else { return };
    let users = world.import(60);
    assert_eq!(world.rows().len(), users.len());
    let file = world.folder.path().join("ours.csv");
    let rows = "user_id,provider,access_token,refresh_token,expires_at\n\
                good,amazon-na,,Atzr|a-good-one,2026-11-23T12:00:00Z\n\
                half,amazon-na,,\"Atzr|never closed\n\
                stranger,no-such-provider,,Atzr|b,\n";
    fs::write(&file, rows).unwrap();
    let answer = world.ask(&["connections", "import", file.to_str().unwrap(), "--json"]);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    let printed = answer.json();
    assert_eq!(printed["summary"]["inserted"], 1, "{printed}");
    let bad = printed["bad_rows"].as_array().unwrap();
    assert!(!bad.is_empty() && bad.iter().all(|row| row["line"].is_u64() && row["reason"].is_string()), "{printed}");
    assert_eq!(world.rows().len(), users.len() + 1);
    world.end();
}
