//! Refreshes that do not, and what the row remembers.

use evergrant_contract::ids::Version;
use evergrant_contract::job::Job;
use evergrant_contract::ports::{Clock as _, Connections as _};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::after;
use evergrant_testkit::memory::provider::Reply;

use crate::world::{SECOND, World};

#[tokio::test]
async fn a_job_that_fails_backs_off_in_the_row_and_its_second_delivery_does_not_retry() {
    let world = World::new();
    world.provider.otherwise(Reply::Transient);
    let id = world.connection("ada").await;
    let job = world.due_job(id).await;
    world.run(job.clone()).await;
    let row = world.row(id).await;
    assert_eq!((row.state, row.failures, row.version), (State::Active, 1, Version::FIRST));
    assert!(row.refresh_at.unwrap() > world.clock.now());
    assert_eq!(row.last_error.as_deref(), Some("scripted: server_error"));
    world.run(job).await;
    assert_eq!(world.provider.call_count(), 2, "two quick tries of one job");
}

#[tokio::test]
async fn after_max_attempts_the_connection_fails_with_one_failed_job_and_success_heals_it() {
    let world = World::new();
    world.provider.otherwise(Reply::Transient);
    let id = world.connection("ada").await;
    for _ in 0..4 {
        world.run(world.due_job(id).await).await;
    }
    let row = world.row(id).await;
    assert_eq!((row.state, row.reason), (State::Failing, Some(Reason::AttemptsExhausted)));
    let failed = world.open_jobs().await;
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].connection, failed[0].attempts.len()), (Some(id), 2));
    assert!(Job::decode(failed[0].payload.as_bytes()).is_ok(), "the whole job is kept");

    world.provider.otherwise(Reply::Rotated);
    world.run(world.due_job(id).await).await;
    assert_eq!(world.row(id).await.state, State::Active);
}

#[tokio::test]
async fn a_pause_that_the_provider_asks_for_is_kept_to_and_counts_as_nothing() {
    let world = World::new();
    world.provider.then([Reply::Throttled(Some(120 * SECOND))]);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    let row = world.row(id).await;
    assert_eq!((row.state, row.failures), (State::Active, 0));
    assert!(row.refresh_at.unwrap() >= after(world.clock.now(), 120 * SECOND));
}

#[tokio::test]
async fn a_used_up_rate_limit_makes_no_call_and_counts_as_nothing() {
    let world = World::new();
    world.provider.set_admission(Err(7 * SECOND));
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    let row = world.row(id).await;
    assert_eq!((world.provider.call_count(), row.failures, row.state), (0, 0, State::Active));
    assert!(row.refresh_at.unwrap() >= after(world.clock.now(), 7 * SECOND));
}

#[tokio::test]
async fn a_strictly_rotating_provider_is_asked_once_more_after_a_lost_reply_and_no_more() {
    let world = World::strict();
    world.provider.otherwise(Reply::Lost);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    assert_eq!(world.provider.call_count(), 2);
    let row = world.row(id).await;
    assert_eq!((row.state, row.failures), (State::Active, 1), "a lost reply is no end of a grant");
}

#[tokio::test]
async fn success_without_a_usable_token_keeps_the_tokens_and_the_answer() {
    let world = World::new();
    world.provider.then([Reply::Unusable(r#"{"refresh_token":"Atzr|odd"}"#)]);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    let row = world.row(id).await;
    assert_eq!((row.version, row.failures), (Version::FIRST, 1));
    assert!(world.store.refresh_token(id).unwrap().same_as(&Secret::new("Atzr|ada")));
    assert!(world.store.unread_answer(id).unwrap().same_as(&Secret::new(r#"{"refresh_token":"Atzr|odd"}"#)));
}

#[tokio::test]
async fn an_undecryptable_row_is_put_out_of_use_and_comes_back_with_its_key() {
    let world = World::new();
    let id = world.connection("ada").await;
    world.store.mark_undecryptable(id);
    world.run(world.due_job(id).await).await;
    let row = world.row(id).await;
    assert_eq!((row.state, row.reason), (State::NeedsReauth, Some(Reason::Undecryptable)));
    assert_eq!(world.provider.call_count(), 0);

    world.store.mark_decryptable(id);
    assert_eq!(world.store.restore_decryptable(world.clock.now()).await.unwrap(), 1);
    world.run(world.due_job(id).await).await;
    assert_eq!(world.row(id).await.version, Version::new(2));
}
