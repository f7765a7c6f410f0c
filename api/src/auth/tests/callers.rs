use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use evergrant_contract::ids::ApiKeyId;
use evergrant_contract::people::{Scope, SessionEnd, User};
use evergrant_contract::ports::{ApiKeys as _, Clock as _, Sessions as _, Users as _};
use uuid::Uuid;

use crate::auth::{Caller, api_keys};
use crate::fixture::Fixture;
use crate::problem::{Problem, ProblemKind};

const SECOND: Duration = Duration::from_secs(1);
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

fn headers(name: HeaderName, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
}

async fn who(fixture: &Fixture, authorization: &str) -> Result<Caller, Problem> {
    fixture.api.callers.resolve(&headers(header::AUTHORIZATION, authorization)).await
}

async fn refusal(fixture: &Fixture, authorization: &str) -> ProblemKind {
    who(fixture, authorization).await.unwrap_err().kind
}

fn id_of(key: &str) -> ApiKeyId {
    api_keys::id_of(key).unwrap()
}

#[tokio::test]
async fn a_person_is_who_the_token_says_until_it_expires() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let bearer = fixture.bearer(&ada).await;
    let Caller::User(signed_in) = who(&fixture, &bearer).await.unwrap() else { panic!("a person expected") };
    assert_eq!(signed_in.user, ada);
    assert!(who(&fixture, &bearer.replace("Bearer", "bearer")).await.is_ok(), "schemes have no case (RFC 9110)");
    fixture.clock.advance(Duration::from_secs(15 * 60 + 5)).await;
    assert_eq!(refusal(&fixture, &bearer).await, ProblemKind::SessionExpired);
}

#[tokio::test]
async fn nothing_and_garbage_are_nobody() {
    let fixture = Fixture::new();
    let problem = fixture.api.callers.resolve(&HeaderMap::new()).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Unauthenticated);
    let unknown_key = format!("Bearer egk_{}_{}", Uuid::nil().simple(), "A".repeat(43));
    for bad in ["", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "x", "Bearer egk_", &unknown_key] {
        assert_eq!(refusal(&fixture, bad).await, ProblemKind::Unauthenticated, "{bad}");
    }
    let not_text = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_bytes(b"Bearer \xff").unwrap())]);
    assert_eq!(fixture.api.callers.resolve(&not_text).await.unwrap_err().kind, ProblemKind::Unauthenticated);
}

#[tokio::test]
async fn a_sign_out_elsewhere_is_seen_within_a_second() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let bearer = fixture.bearer(&ada).await;
    assert!(who(&fixture, &bearer).await.is_ok());
    // Another instance does it: this one is not told.
    fixture.store.end_sessions(&ada.id, SessionEnd::ByOperator, fixture.clock.now()).await.unwrap();
    fixture.clock.advance(SECOND).await;
    assert_eq!(refusal(&fixture, &bearer).await, ProblemKind::SessionEnded);
}

#[tokio::test]
async fn somebody_who_was_made_inactive_is_out_within_a_second() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let bearer = fixture.bearer(&ada).await;
    assert!(who(&fixture, &bearer).await.is_ok());
    fixture.store.save_user(&User { is_active: false, ..ada }).await.unwrap();
    fixture.clock.advance(SECOND).await;
    assert_eq!(refusal(&fixture, &bearer).await, ProblemKind::SessionEnded);
}

#[tokio::test]
async fn the_store_is_asked_once_a_second_and_its_failures_are_not_remembered() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let bearer = fixture.bearer(&ada).await;
    fixture.store.set_down(true);
    let problem = who(&fixture, &bearer).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Unavailable, "an outage signs nobody out");
    fixture.store.set_down(false);
    assert!(who(&fixture, &bearer).await.is_ok(), "the failure is forgotten at once");
    fixture.store.set_down(true);
    assert!(who(&fixture, &bearer).await.is_ok(), "what was heard is believed for a second");
    fixture.clock.advance(SECOND).await;
    assert_eq!(refusal(&fixture, &bearer).await, ProblemKind::Unavailable);
}

#[tokio::test]
async fn a_key_is_known_in_either_header_until_it_is_revoked() {
    let fixture = Fixture::new();
    let key = fixture.key(&[Scope::TokensRead]).await;
    let bearer = format!("Bearer {key}");
    let Caller::Key(found) = who(&fixture, &bearer).await.unwrap() else { panic!("a key expected") };
    assert_eq!((found.id, found.scopes), (id_of(&key), vec![Scope::TokensRead]));
    assert!(fixture.api.callers.resolve(&headers(API_KEY, &key)).await.is_ok());
    let wrong = format!("{}{}", &key[..key.len() - 1], if key.ends_with('A') { 'E' } else { 'A' });
    assert_eq!(refusal(&fixture, &format!("Bearer {wrong}")).await, ProblemKind::Unauthenticated);
    fixture.store.revoke_api_key(id_of(&key), fixture.clock.now()).await.unwrap();
    fixture.clock.advance(SECOND).await;
    assert_eq!(refusal(&fixture, &bearer).await, ProblemKind::Unauthenticated);
}

#[tokio::test]
async fn a_key_ends_when_it_expires_and_when_its_user_is_made_inactive() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let (mut kept, text) = crate::auth::new_api_key("nightly", vec![], None, fixture.clock.now());
    kept.expires_at = Some(fixture.clock.now() + SECOND);
    assert!(fixture.store.keep_api_key(&kept).await.unwrap());
    let nightly = format!("Bearer {}", text.expose());
    let adas = format!("Bearer {}", fixture.key_for(&[], Some(&ada)).await);
    assert!(who(&fixture, &nightly).await.is_ok() && who(&fixture, &adas).await.is_ok());
    fixture.store.save_user(&User { is_active: false, ..ada }).await.unwrap();
    fixture.clock.advance(SECOND).await;
    assert_eq!(refusal(&fixture, &nightly).await, ProblemKind::Unauthenticated);
    assert_eq!(refusal(&fixture, &adas).await, ProblemKind::Unauthenticated);
}

#[tokio::test]
async fn the_use_of_a_key_is_noted_at_most_once_a_minute() {
    let fixture = Fixture::new();
    let key = fixture.key(&[]).await;
    let bearer = format!("Bearer {key}");
    let used_at = async || fixture.store.api_key(id_of(&key)).await.unwrap().unwrap().used_at;
    let first = fixture.clock.now();
    who(&fixture, &bearer).await.unwrap();
    fixture.clock.advance(Duration::from_secs(59)).await;
    who(&fixture, &bearer).await.unwrap();
    fixture.clock.advance(SECOND).await;
    assert_eq!(used_at().await, Some(first), "not again within the minute");
    who(&fixture, &bearer).await.unwrap();
    fixture.api.callers.drain().await;
    assert_eq!(used_at().await, Some(fixture.clock.now()));
}

#[tokio::test]
async fn a_wrong_key_is_not_noted_as_used() {
    let fixture = Fixture::new();
    let key = fixture.key(&[]).await;
    let wrong = format!("Bearer {}{}", &key[..37], "A".repeat(43));
    assert_eq!(refusal(&fixture, &wrong).await, ProblemKind::Unauthenticated);
    fixture.api.callers.drain().await;
    assert_eq!(fixture.store.api_key(id_of(&key)).await.unwrap().unwrap().used_at, None);
}

#[tokio::test]
async fn somebody_elses_connection_is_not_told_from_one_that_does_not_exist() {
    let fixture = Fixture::new();
    let (ada, bob) = (fixture.user("ada@example.com").await, fixture.user("bob@example.com").await);
    let adas = fixture.connection(&ada).await;
    let as_ada = who(&fixture, &fixture.bearer(&ada).await).await.unwrap();
    let as_bob = who(&fixture, &fixture.bearer(&bob).await).await.unwrap();
    assert_eq!(as_ada.connection(&fixture.api, adas, Scope::TokensRead).await.unwrap().id, adas);
    let foreign = as_bob.connection(&fixture.api, adas, Scope::TokensRead).await.unwrap_err();
    let absent = as_bob.connection(&fixture.api, Uuid::nil().into(), Scope::TokensRead).await.unwrap_err();
    assert_eq!((foreign.kind, &foreign.detail), (absent.kind, &absent.detail));
    assert_eq!(foreign.kind, ProblemKind::NotFound);
    let lister = who(&fixture, &format!("Bearer {}", fixture.key(&[Scope::ConnectionsRead]).await)).await.unwrap();
    let problem = lister.connection(&fixture.api, adas, Scope::TokensRead).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::InsufficientScope);
}
