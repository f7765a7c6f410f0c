use std::collections::BTreeSet;
use std::time::Duration;

use evergrant_contract::ids::SessionId;
use evergrant_contract::people::{SessionEnd, User};
use evergrant_contract::ports::{Clock as _, Sessions as _, Users as _};
use evergrant_contract::secret::Secret;
use futures::future::join_all;

use crate::auth::{SignedInNow, refresh_session, sign_in};
use crate::fixture::Fixture;
use crate::problem::ProblemKind;

const GRACE: Duration = Duration::from_secs(30);

fn token(now: &SignedInNow) -> Secret {
    Secret::new(now.cookie.value())
}

async fn signed_in(fixture: &Fixture) -> (User, SignedInNow) {
    let ada = fixture.user("ada@example.com").await;
    let now = sign_in(&fixture.api, &ada).await.ok().unwrap();
    (ada, now)
}

async fn refreshed(fixture: &Fixture, token: &Secret) -> SignedInNow {
    refresh_session(&fixture.api, token).await.unwrap_or_else(|problem| panic!("{}", problem.detail))
}

fn id_of(fixture: &Fixture, now: &SignedInNow) -> SessionId {
    fixture.api.callers.secret().read_session_token(now.cookie.value()).unwrap().0
}

async fn refusal(fixture: &Fixture, token: &Secret) -> ProblemKind {
    refresh_session(&fixture.api, token).await.err().unwrap().kind
}

async fn end_of(fixture: &Fixture, session: SessionId) -> Option<SessionEnd> {
    fixture.store.session(session).await.unwrap().unwrap().end_reason
}

#[tokio::test]
async fn twenty_tabs_that_refresh_at_once_get_the_same_successor() {
    let fixture = Fixture::new();
    let (_, first) = signed_in(&fixture).await;
    fixture.clock.advance(GRACE).await;
    let old = token(&first);
    let all = join_all((0..20).map(|_| refreshed(&fixture, &old))).await;
    let successors: BTreeSet<_> = all.iter().map(|now| now.cookie.value().to_owned()).collect();
    assert_eq!(successors.len(), 1, "nobody is logged out, and there is one next token");
    assert_ne!(successors.first().map(String::as_str), Some(old.expose()));
    assert_eq!(
        fixture.store.session(id_of(&fixture, &first)).await.unwrap().unwrap().generation,
        2,
        "one step, not twenty"
    );
}

#[tokio::test]
async fn a_token_that_was_just_issued_is_given_out_again() {
    let fixture = Fixture::new();
    let (_, first) = signed_in(&fixture).await;
    fixture.clock.advance(Duration::from_millis(29_999)).await;
    assert!(token(&refreshed(&fixture, &token(&first)).await).same_as(&token(&first)));
    fixture.clock.advance(Duration::from_millis(1)).await;
    assert!(!token(&refreshed(&fixture, &token(&first)).await).same_as(&token(&first)));
}

#[tokio::test]
async fn a_stolen_token_that_is_used_after_the_grace_ends_the_session_for_thief_and_owner() {
    let fixture = Fixture::new();
    let (_, first) = signed_in(&fixture).await;
    let stolen = token(&first);
    fixture.clock.advance(GRACE).await;
    let owner = refreshed(&fixture, &stolen).await;
    fixture.clock.advance(GRACE).await;
    assert_eq!(refusal(&fixture, &stolen).await, ProblemKind::SessionEnded);
    assert_eq!(end_of(&fixture, id_of(&fixture, &first)).await, Some(SessionEnd::TokenReused));
    assert_eq!(refusal(&fixture, &token(&owner)).await, ProblemKind::SessionEnded, "the owner is out as well");
}

#[tokio::test]
async fn a_thief_who_is_faster_than_the_owner_is_found_out_when_the_owner_comes() {
    let fixture = Fixture::new();
    let (_, first) = signed_in(&fixture).await;
    fixture.clock.advance(GRACE).await;
    let thief = refreshed(&fixture, &token(&first)).await;
    fixture.clock.advance(GRACE).await;
    assert_eq!(refusal(&fixture, &token(&first)).await, ProblemKind::SessionEnded);
    assert_eq!(refusal(&fixture, &token(&thief)).await, ProblemKind::SessionEnded);
}

#[tokio::test]
async fn the_grace_is_for_exactly_one_generation() {
    let fixture = Fixture::new();
    let (_, first) = signed_in(&fixture).await;
    fixture.clock.advance(GRACE).await;
    let second = refreshed(&fixture, &token(&first)).await;
    fixture.clock.advance(GRACE).await;
    let third = refreshed(&fixture, &token(&second)).await;
    let again = refreshed(&fixture, &token(&second)).await;
    assert!(token(&again).same_as(&token(&third)), "the one before is tolerated for a moment");
    assert_eq!(refusal(&fixture, &token(&first)).await, ProblemKind::SessionEnded, "the one before that is not");
    assert_eq!(end_of(&fixture, id_of(&fixture, &first)).await, Some(SessionEnd::TokenReused));
}

#[tokio::test]
async fn a_session_that_is_not_used_ends_and_one_that_is_used_does_not() {
    let fixture = Fixture::new();
    let (ada, idle) = signed_in(&fixture).await;
    let used = sign_in(&fixture.api, &ada).await.ok().unwrap();
    fixture.clock.advance(Duration::from_hours(24 * 6)).await;
    let used = refreshed(&fixture, &token(&used)).await;
    fixture.clock.advance(Duration::from_hours(24)).await;
    assert_eq!(refusal(&fixture, &token(&idle)).await, ProblemKind::SessionEnded);
    assert!(token(&refreshed(&fixture, &token(&used)).await).expose().contains(".3."));
}

#[tokio::test]
async fn a_session_ends_after_its_longest_time_however_much_it_is_used() {
    let fixture = Fixture::new();
    let (_, mut now) = signed_in(&fixture).await;
    for _ in 0..29 {
        fixture.clock.advance(Duration::from_hours(24)).await;
        now = refreshed(&fixture, &token(&now)).await;
    }
    let last = Duration::from_hours(24).as_secs();
    assert_eq!(now.cookie.max_age().unwrap().whole_seconds().unsigned_abs(), last, "the cookie ends with the session");
    fixture.clock.advance(Duration::from_mins(24 * 60 - 5)).await;
    now = refreshed(&fixture, &token(&now)).await;
    assert_eq!(now.expires_in, 300, "and so does the access token");
    fixture.clock.advance(Duration::from_mins(5)).await;
    assert_eq!(refusal(&fixture, &token(&now)).await, ProblemKind::SessionEnded);
}

#[tokio::test]
async fn somebody_who_is_not_active_gets_no_session_and_no_token() {
    let fixture = Fixture::new();
    let (ada, first) = signed_in(&fixture).await;
    let inactive = User { is_active: false, ..ada.clone() };
    fixture.store.save_user(&inactive).await.unwrap();
    assert_eq!(refusal(&fixture, &token(&first)).await, ProblemKind::SessionEnded);
    assert_eq!(sign_in(&fixture.api, &inactive).await.err().unwrap().kind, ProblemKind::Forbidden);
    assert_eq!(end_of(&fixture, id_of(&fixture, &first)).await, None, "who is made active again goes on");
}

#[tokio::test]
async fn an_outage_of_the_store_ends_no_session() {
    let fixture = Fixture::new();
    let (_, first) = signed_in(&fixture).await;
    fixture.store.set_down(true);
    assert_eq!(refusal(&fixture, &token(&first)).await, ProblemKind::Unavailable);
    fixture.store.set_down(false);
    refreshed(&fixture, &token(&first)).await;
}

#[tokio::test]
async fn garbage_is_no_session_and_harms_none() {
    let fixture = Fixture::new();
    let (_, first) = signed_in(&fixture).await;
    let good = token(&first);
    let forged = format!("{}x", &good.expose()[..good.expose().len() - 1]);
    for bad in ["", "x", "a.b.c", &forged, &good.expose().replace(".1.", ".2.")] {
        assert_eq!(refusal(&fixture, &Secret::new(bad)).await, ProblemKind::Unauthenticated, "{bad}");
    }
    assert!(fixture.store.session(id_of(&fixture, &first)).await.unwrap().unwrap().is_open(fixture.clock.now()));
}
