//! What happens to refresh tokens, by rotation mode.

use evergrant_sim::{Fault, FaultKind, Rotation};

use crate::client::Bench;

const STRICT: Rotation = Rotation::Strict { retry_until_successor_used: false };
const RETRY: Rotation = Rotation::Strict { retry_until_successor_used: true };

#[tokio::test]
async fn off_keeps_the_refresh_token_and_replaces_the_access_token() {
    let bench = Bench::with(Rotation::Off).await;
    let grant = bench.sim.grant("ann");
    let reply = bench.refresh(&grant.refresh_token).await;
    assert_eq!(reply.text("refresh_token"), grant.refresh_token);
    assert_ne!(reply.text("access_token"), grant.access_token);
    assert_eq!(reply.json()["expires_in"], 3600);
    assert_eq!(reply.json()["token_type"], "bearer");
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert!(reply.text("access_token").starts_with("Atza|") && reply.text("access_token").len() >= 350);
    assert_eq!(bench.profiles(&grant.access_token).await.status, 200, "the old access token lives on");
    bench.rotate(&grant.refresh_token).await;
    assert_eq!(bench.entry("ann").counts.spent_twice, 0);
}

#[tokio::test]
async fn on_lets_old_tokens_work() {
    let bench = Bench::with(Rotation::On).await;
    let first = bench.sim.grant("ann").refresh_token;
    let second = bench.rotate(&first).await;
    assert_ne!(second, first);
    bench.rotate(&first).await;
    bench.rotate(&second).await;
    assert_eq!(bench.entry("ann").counts.spent_twice, 2);
}

#[tokio::test]
async fn strict_ends_the_family_when_a_spent_token_returns() {
    let bench = Bench::with(STRICT).await;
    let grant = bench.sim.grant("ann");
    let second = bench.rotate(&grant.refresh_token).await;
    bench.refuse(&grant.refresh_token).await;
    bench.refuse(&second).await;
    assert_eq!(bench.profiles(&grant.access_token).await.status, 401);
    assert_eq!(bench.entry("ann").state, "reuse_detected");
}

#[tokio::test]
async fn strict_ends_the_family_even_if_the_reply_was_lost() {
    let bench = Bench::with(STRICT).await;
    let grant = bench.sim.grant("ann");
    bench.sim.set_faults([Fault::new(FaultKind::LostReply {}).times(1)]);
    bench.try_refresh(&grant.refresh_token).await.unwrap_err();
    bench.refuse(&grant.refresh_token).await;
    let counts = bench.entry("ann").counts;
    assert_eq!((counts.spent_twice, counts.after_lost_reply), (1, 1));
}

#[tokio::test]
async fn retry_repeats_the_pair_until_its_successor_is_used() {
    let bench = Bench::with(RETRY).await;
    let first = bench.sim.grant("ann").refresh_token;
    let answer = bench.refresh(&first).await;
    let again = bench.refresh(&first).await;
    assert_eq!(again.text("access_token"), answer.text("access_token"));
    assert_eq!(again.text("refresh_token"), answer.text("refresh_token"));
    let second = answer.text("refresh_token");
    let third = bench.rotate(&second).await;
    assert_eq!(bench.rotate(&second).await, third, "the last spent token may be retried");
    bench.refuse(&first).await;
    bench.refuse(&third).await;
}

#[tokio::test]
async fn families_are_apart() {
    let bench = Bench::with(STRICT).await;
    let (ann, bob) = (bench.sim.grant("ann").refresh_token, bench.sim.grant("bob").refresh_token);
    bench.rotate(&ann).await;
    bench.refuse(&ann).await;
    bench.rotate(&bob).await;
}
