//! What the simulator remembers of its clients.

use std::time::Duration;

use evergrant_sim::{Fault, FaultKind, Rotation, SimOptions};
use futures::future::join_all;

use crate::client::Bench;

const RETRY: Rotation = Rotation::Strict { retry_until_successor_used: true };

#[tokio::test]
async fn a_correct_client_is_not_suspicious() {
    let bench = Bench::with(RETRY).await;
    let grant = bench.sim.grant("ann");
    let mut token = grant.refresh_token;
    for _ in 0..5 {
        token = bench.rotate(&token).await;
    }
    bench.profiles(&grant.access_token).await;
    let entry = bench.entry("ann");
    assert_eq!((entry.generation, entry.counts.refreshes, entry.counts.token_calls), (5, 5, 5));
    assert_eq!((entry.counts.api_calls, entry.counts.concurrent_refreshes), (1, 1));
    assert!(!entry.is_suspicious(), "{entry:?}");
    assert!(entry.repeats.is_empty());
}

#[tokio::test]
async fn a_retry_after_a_lost_reply_is_excused_and_one_without_is_not() {
    let bench = Bench::with(RETRY).await;
    let first = bench.sim.grant("ann").refresh_token;
    bench.sim.set_faults([Fault::new(FaultKind::LostReply {}).times(1)]);
    bench.try_refresh(&first).await.unwrap_err();
    bench.rotate(&first).await;
    assert!(!bench.entry("ann").is_suspicious());
    bench.rotate(&first).await;
    let entry = bench.entry("ann");
    assert_eq!((entry.counts.spent_twice, entry.counts.after_lost_reply), (2, 1));
    assert_eq!((entry.repeats[0].generation, entry.repeats[0].spends), (0, 3));
    assert!(entry.is_suspicious());
}

#[tokio::test]
async fn a_client_that_leaves_before_the_end_of_the_answer_has_lost_it() {
    let bench = Bench::with(RETRY).await;
    let first = bench.sim.grant("ann").refresh_token;
    bench.sim.set_faults([Fault::new(FaultKind::SlowBody { ms: 60_000 }).times(1)]);
    let waiting = tokio::spawn(bench.refresh_request(&first).send());
    bench.until(|sim| sim.stats().refreshes == 1).await;
    waiting.abort();
    bench.until(|sim| sim.stats().lost_replies == 1).await;
    bench.rotate(&first).await;
    let counts = bench.entry("ann").counts;
    assert_eq!((counts.spent_twice, counts.after_lost_reply), (1, 1));
    assert!(!counts.is_suspicious(), "{counts:?}");
}

#[tokio::test]
async fn refreshes_at_the_same_time_are_noticed() {
    let options = SimOptions { latency: Duration::from_millis(100), ..SimOptions::default() };
    let bench = Bench::start(options).await;
    let token = bench.sim.grant("ann").refresh_token;
    join_all((0..3).map(|_| bench.rotate(&token))).await;
    assert_eq!(bench.entry("ann").counts.concurrent_refreshes, 3);
    assert_eq!(bench.sim.stats().max_concurrent_refreshes, 3);
    assert_eq!(bench.sim.stats().suspicious, 1);
}

#[tokio::test]
async fn calls_after_the_end_count_from_the_third() {
    let bench = Bench::with(Rotation::Off).await;
    let grant = bench.sim.grant("ann");
    assert_eq!(bench.sim.revoke("ann"), 1);
    bench.refuse(&grant.refresh_token).await;
    bench.refuse(&grant.refresh_token).await;
    assert!(!bench.entry("ann").is_suspicious(), "asking twice is confirming");
    bench.refuse(&grant.refresh_token).await;
    assert_eq!(bench.profiles(&grant.access_token).await.status, 401);
    let entry = bench.entry("ann");
    assert_eq!((entry.state, entry.counts.calls_after_end), ("revoked", 2));
    assert_eq!(bench.sim.stats().live, 0);
}

#[tokio::test]
async fn expired_bearers_are_refused_and_counted() {
    let options = SimOptions { token_lifetime: Duration::ZERO, ..SimOptions::default() };
    let bench = Bench::start(options).await;
    let grant = bench.sim.grant("ann");
    let reply = bench.profiles(&grant.access_token).await;
    assert_eq!((reply.status.as_u16(), reply.text("details").as_str()), (401, "Authentication failed"));
    assert_eq!(bench.entry("ann").counts.expired_uses, 1);
}

#[tokio::test]
async fn an_endless_lifetime_has_an_end() {
    let options = SimOptions { token_lifetime: Duration::MAX, ..SimOptions::default() };
    let bench = Bench::start(options).await;
    let reply = bench.refresh(&bench.sim.grant("ann").refresh_token).await;
    assert_eq!(reply.json()["expires_in"], 3_153_600_000_u64, "a hundred years");
}

#[tokio::test]
async fn no_token_is_in_the_ledger_or_the_statistics() {
    let bench = Bench::with(RETRY).await;
    let grant = bench.sim.grant("ann");
    bench.rotate(&grant.refresh_token).await;
    bench.rotate(&grant.refresh_token).await;
    for path in ["/sim/ledger", "/sim/ledger?only=suspicious", "/sim/stats", "/stats"] {
        let reply = bench.send(bench.http.get(bench.url(path))).await.unwrap();
        assert_eq!(reply.status, 200);
        assert!(reply.body.contains("spent_twice\":1"), "{path}: {}", reply.body);
        assert!(!reply.body.contains("Atz"), "{path}: {}", reply.body);
    }
    assert!(!format!("{grant:?}").contains("Atz"));
}
