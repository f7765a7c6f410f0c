//! Access tokens, refreshed only if they must be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evergrant_amc::{Held, Target, TokenError, Tokens as _};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::Connections as _;
use evergrant_contract::state::Reason;
use evergrant_testkit::Reply;
use tokio::task::JoinHandle;

use super::{SECOND, World};
use crate::reads::Reads;
use crate::waits::LocalTokens;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

type Answer = Result<Held, TokenError>;

impl World {
    fn reads(&self) -> Arc<Reads> {
        Arc::new(Reads::new(&(Arc::clone(&self.store) as _)))
    }

    fn tokens(&self) -> Arc<LocalTokens> {
        let target = Target {
            provider: "amazon-na".parse().unwrap(),
            api_url: "https://advertising-api.amazon.com/".parse().unwrap(),
            client_id: "client".to_owned(),
        };
        let targets = BTreeMap::from([(target.provider.clone(), target)]);
        let clock = Arc::clone(&self.clock) as _;
        Arc::new(LocalTokens::new(self.reads(), Arc::clone(&self.waits), targets, clock, Arc::default()))
    }

    async fn take(&self, tokens: &Arc<LocalTokens>, id: ConnectionId, min_validity: Duration) -> Answer {
        let tokens = Arc::clone(tokens);
        self.arrived(tokio::spawn(async move { tokens.token(id, min_validity).await })).await
    }

    async fn take_another(&self, tokens: &Arc<LocalTokens>, id: ConnectionId, observed: i64) -> Answer {
        let tokens = Arc::clone(tokens);
        self.arrived(tokio::spawn(async move { tokens.refused(id, Version::new(observed)).await })).await
    }

    async fn arrived(&self, caller: JoinHandle<Answer>) -> Answer {
        for _ in 0..1_000 {
            if caller.is_finished() {
                break;
            }
            self.clock.advance(Duration::from_millis(50)).await;
        }
        caller.await.unwrap()
    }
}

#[track_caller]
fn assert_held(answer: Answer, token: &str, version: i64) {
    match answer {
        Ok(held) => assert_eq!((held.token.expose(), held.version), (token, Version::new(version))),
        Err(error) => panic!("a token expected, got {error:?}"),
    }
}

#[tokio::test]
async fn a_token_that_lasts_is_given_as_it_is() {
    let world = World::new().await;
    let (id, tokens) = (world.connection(HOUR).await, world.tokens());
    assert_held(world.take(&tokens, id, 5 * MINUTE).await, "Atza|first", 1);
    assert_eq!(world.jobs(), []);
}

#[tokio::test]
async fn a_token_that_ends_too_soon_or_has_ended_is_refreshed_first() {
    let world = World::new().await;
    let tokens = world.tokens();
    let soon = world.connection(4 * MINUTE).await;
    assert_held(world.take(&tokens, soon, 5 * MINUTE).await, "Atza|scripted-1", 2);
    world.clock.advance(2 * HOUR).await;
    assert_held(world.take(&tokens, soon, Duration::ZERO).await, "Atza|scripted-2", 3);
}

#[tokio::test]
async fn nobody_gets_a_refresh_by_demanding_more_than_a_token_lives() {
    let world = World::new().await;
    let (id, tokens) = (world.connection(4 * MINUTE).await, world.tokens());
    world.provider.otherwise(Reply::RefreshedFor(20 * MINUTE));
    for _ in 0..5 {
        assert_held(world.take(&tokens, id, 24 * HOUR).await, "Atza|scripted-1", 2);
        world.clock.advance(45 * SECOND).await;
    }
    world.clock.advance(2 * MINUTE).await;
    assert_held(world.take(&tokens, id, 24 * HOUR).await, "Atza|scripted-2", 3);
    assert_eq!(world.provider.call_count(), 2, "less than three quarters of its life was left");
}

#[tokio::test]
async fn a_short_token_is_better_than_none() {
    let world = World::new().await;
    let (id, tokens) = (world.connection(4 * MINUTE).await, world.tokens());
    world.provider.otherwise(Reply::Transient);
    assert_held(world.take(&tokens, id, 5 * MINUTE).await, "Atza|first", 1);
    world.queue.set_down(true);
    world.clock.advance(MINUTE).await;
    assert_held(world.take(&tokens, id, 5 * MINUTE).await, "Atza|first", 1);
    world.clock.advance(170 * SECOND).await;
    let Err(TokenError::Unavailable { .. }) = world.take(&tokens, id, 5 * MINUTE).await else {
        panic!("a token that has ended is none")
    };
}

#[tokio::test]
async fn a_provider_whose_tokens_live_for_moments_is_not_asked_with_every_call() {
    let world = World::new().await;
    let (id, tokens) = (world.connection(SECOND).await, world.tokens());
    world.provider.otherwise(Reply::RefreshedFor(8 * SECOND));
    assert_held(world.take(&tokens, id, 5 * MINUTE).await, "Atza|scripted-1", 2);
    world.clock.advance(4 * SECOND).await;
    assert_held(world.take(&tokens, id, 5 * MINUTE).await, "Atza|scripted-1", 2);
    world.clock.advance(4 * SECOND).await;
    assert_held(world.take(&tokens, id, 5 * MINUTE).await, "Atza|scripted-2", 3);
}

#[tokio::test]
async fn for_a_token_that_was_refused_there_is_a_newer_one() {
    let world = World::new().await;
    let (id, tokens) = (world.connection(HOUR).await, world.tokens());
    assert_held(world.take_another(&tokens, id, 1).await, "Atza|scripted-1", 2);
    assert_held(world.take_another(&tokens, id, 1).await, "Atza|scripted-1", 2);
    assert_eq!(world.take_another(&tokens, id, 2).await.err(), Some(TokenError::Rejected));
    assert_eq!(world.provider.call_count(), 1);
}

#[tokio::test]
async fn a_newer_token_that_has_ended_itself_is_refreshed_in_its_turn() {
    let world = World::new().await;
    let (id, tokens) = (world.connection(HOUR).await, world.tokens());
    assert_held(world.take_another(&tokens, id, 1).await, "Atza|scripted-1", 2);
    world.clock.advance(24 * HOUR).await;
    assert_held(world.take_another(&tokens, id, 1).await, "Atza|scripted-2", 3);
}

#[tokio::test]
async fn an_ended_grant_gives_no_token_even_if_the_last_one_is_good() {
    let world = World::new().await;
    let (id, tokens) = (world.connection(4 * MINUTE).await, world.tokens());
    world.provider.otherwise(Reply::GrantInvalid);
    let ended = Some(TokenError::NeedsReauth(Reason::GrantInvalid));
    assert_eq!(world.take(&tokens, id, 5 * MINUTE).await.err(), ended);
    assert_eq!(world.take_another(&tokens, id, 1).await.err(), ended);
    let other = world.connection(HOUR).await;
    world.store.disconnect(other).await.unwrap();
    assert_eq!(world.take(&tokens, other, MINUTE).await.err(), Some(TokenError::NeedsReauth(Reason::ByUser)));
}

#[tokio::test]
async fn what_is_not_there_or_cannot_be_read_has_no_token() {
    let world = World::new().await;
    let tokens = world.tokens();
    let nobody = ConnectionId::generate();
    assert_eq!(world.take(&tokens, nobody, MINUTE).await.err(), Some(TokenError::NotFound(nobody)));
    let id = world.connection(HOUR).await;
    world.store.set_down(true);
    assert!(matches!(world.take(&tokens, id, MINUTE).await, Err(TokenError::Unavailable { .. })));
}

#[tokio::test]
async fn without_an_api_to_call_the_client_gets_no_token() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    let clock = Arc::clone(&world.clock) as _;
    let tokens =
        Arc::new(LocalTokens::new(world.reads(), Arc::clone(&world.waits), BTreeMap::new(), clock, Arc::default()));
    assert!(matches!(world.take(&tokens, id, MINUTE).await, Err(TokenError::Refused(_))));
}
