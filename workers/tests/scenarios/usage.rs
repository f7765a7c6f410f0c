//! What is counted for whom, and connections that nobody uses.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::event::Outcome;
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::job::Job;
use evergrant_contract::ports::{Clock as _, JobHandler as _, Usage as _};
use evergrant_contract::state::State;
use evergrant_contract::usage::{Counts, Left, Meter};
use evergrant_testkit::memory::provider::Reply;
use evergrant_workers::{WorkerSettings, Workers};

use crate::world::{SETTINGS, World};

const DAY: Duration = Duration::from_hours(24);
/// Longer than anybody may leave a connection unused in these tests.
const LONG: Duration = Duration::from_hours(8 * 24);

/// What was counted for all users together.
fn counted(meter: &Meter) -> Counts {
    meter.take().counts.into_values().fold(Counts::default(), Counts::plus)
}

impl World {
    /// Does a job in a process that lets connections rest after a week.
    async fn run_where_they_rest(&self, job: Job) {
        let settings = WorkerSettings { rest_after: Some(7 * DAY), ..SETTINGS };
        let handler = Workers { settings, ..self.workers() }.handler().unwrap();
        handler.look_at_apps().await.unwrap();
        let job = tokio::spawn(async move { handler.handle(job).await });
        self.finish(job).await;
    }

    async fn unused_connection(&self) -> ConnectionId {
        let id = self.connection("ada").await;
        self.clock.advance(LONG).await;
        id
    }
}

#[tokio::test]
async fn each_refresh_is_counted_for_its_user_with_the_time_that_was_left() {
    let world = World::new();
    let meter = Arc::new(Meter::default());
    let handler = Workers { meter: Arc::clone(&meter), ..world.workers() }.handler().unwrap();
    let id = world.connection("ada").await;
    handler.handle(world.due_job(id).await).await;
    let due = Counts { refreshes: 1, left: Left::one(60), ..Counts::default() };
    assert_eq!(counted(&meter), due);

    handler.handle(world.force_job(id).await).await;
    assert_eq!(counted(&meter), Counts { refreshes: 1, forced: 1, ..Counts::default() });

    // A job that finds that the row has moved on makes no call, and is none.
    handler.handle(Job::new(world.due_job(id).await.payload)).await;
    let _ = counted(&meter);
    let stale = world.due_job(world.connection("bob").await).await;
    handler.handle(stale.clone()).await;
    let _ = counted(&meter);
    handler.handle(stale).await;
    assert_eq!(counted(&meter), Counts::default());
}

#[tokio::test]
async fn a_refresh_that_brings_no_token_is_a_failure() {
    let world = World::new();
    let meter = Arc::new(Meter::default());
    let handler = Workers { meter: Arc::clone(&meter), ..world.workers() }.handler().unwrap();
    let id = world.connection("ada").await;
    world.provider.otherwise(Reply::Transient);
    let job = world.due_job(id).await;
    let job = tokio::spawn(async move { handler.handle(job).await });
    world.finish(job).await;
    let counts = counted(&meter);
    assert_eq!((counts.refreshes, counts.failures, counts.forced), (0, 1, 0));
}

#[tokio::test]
async fn a_connection_that_nobody_uses_rests_and_stays_as_it_is() {
    let world = World::new();
    let id = world.unused_connection().await;
    world.run_where_they_rest(world.due_job(id).await).await;
    let row = world.row(id).await;
    assert_eq!((row.state, row.version, row.failures), (State::Active, Version::FIRST, 0));
    assert_eq!(world.provider.call_count(), 0);
    // It is looked at again, so that a policy that is taken back is taken back everywhere.
    let again = row.refresh_at.unwrap() - world.clock.now();
    assert!(again.num_hours() >= 23 && again.num_hours() <= 24, "{again}");
    world.run(world.due_job(id).await).await;
    assert_eq!(world.row(id).await.version, Version::FIRST.next());
}

#[tokio::test]
async fn whoever_uses_a_resting_connection_gets_a_token_and_wakes_it() {
    let world = World::new();
    let id = world.unused_connection().await;
    world.run_where_they_rest(world.due_job(id).await).await;

    world.run_where_they_rest(world.force_job(id).await).await;
    assert_eq!(world.row(id).await.version, Version::FIRST.next());
    assert_eq!(world.outcomes(id).last(), Some(&Outcome::Refreshed));

    world.store.note_used(&[(id, world.clock.now())]).await.unwrap();
    world.run_where_they_rest(world.due_job(id).await).await;
    assert_eq!(
        world.row(id).await.version,
        Version::FIRST.next().next(),
        "it was used, and is refreshed on time again"
    );
}

#[tokio::test]
async fn without_the_policy_nothing_rests() {
    let world = World::new();
    let id = world.unused_connection().await;
    world.run(world.due_job(id).await).await;
    assert_eq!(world.row(id).await.version, Version::FIRST.next());
}
