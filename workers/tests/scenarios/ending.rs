//! The end of a grant, and what only looks like it.

use evergrant_contract::connection::{IfPresent, NewConnection};
use evergrant_contract::event::Outcome;
use evergrant_contract::ids::Version;
use evergrant_contract::ports::{Clock as _, Connections as _};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};
use evergrant_testkit::memory::provider::Reply;

use crate::world::World;

#[tokio::test]
async fn a_confirmed_invalid_grant_ends_that_connection_and_no_call_is_made_for_it_again() {
    let world = World::new();
    world.provider.then_for("Atzr|ada", [Reply::GrantInvalid, Reply::GrantInvalid]);
    let (ada, bob) = (world.connection("ada").await, world.connection("bob").await);
    let job = world.due_job(ada).await;
    world.run(job.clone()).await;
    world.run(world.due_job(bob).await).await;
    let row = world.row(ada).await;
    assert_eq!((row.state, row.reason, row.refresh_at), (State::NeedsReauth, Some(Reason::GrantInvalid), None));
    assert_eq!(world.row(bob).await.state, State::Active);
    let calls = world.provider.calls();
    assert_eq!((calls[1].at - calls[0].at).num_seconds(), 3, "confirmed once more a few seconds later");
    world.run(job).await;
    world.run(world.force_job(ada).await).await;
    assert_eq!(world.provider.call_count(), 3);
    assert_eq!(world.outcomes(ada), [Outcome::NeedsReauth, Outcome::NeedsReauth]);
    assert!(world.store.access_token(ada).await.unwrap().is_none(), "its tokens are out of use");
}

#[tokio::test]
async fn an_invalid_grant_that_is_not_confirmed_ends_nothing() {
    let world = World::new();
    world.provider.then([Reply::GrantInvalid, Reply::Rotated]);
    let id = world.connection("ada").await;
    world.run(world.due_job(id).await).await;
    assert_eq!(world.row(id).await.state, State::Active);
}

#[tokio::test]
async fn an_invalid_grant_of_a_lost_race_judges_nobody() {
    let world = World::new();
    let id = world.connection("ada").await;
    world.provider.then([Reply::GrantInvalid, Reply::GrantInvalid]);
    world.provider.close_gate();
    let job = world.begin(world.due_job(id).await);
    world.provider.until_waiting(1).await;
    // The user consents again while the call is under way.
    let row = world.row(id).await;
    let fresh = NewConnection {
        user: row.user,
        provider: row.provider,
        account: row.account,
        label: String::new(),
        scopes: String::new(),
        access_token: None,
        refresh_token: Some(Secret::new("Atzr|consented")),
        expires_at: None,
        refresh_at: world.clock.now(),
        consent_at: Some(world.clock.now()),
        refresh_expires_at: None,
    };
    world.store.put(vec![fresh], IfPresent::Replace).await.unwrap();
    world.provider.open_gate();
    world.finish(job).await;
    let row = world.row(id).await;
    assert_eq!((row.state, row.version), (State::Active, Version::new(2)));
    assert!(world.store.refresh_token(id).unwrap().same_as(&Secret::new("Atzr|consented")));
}
