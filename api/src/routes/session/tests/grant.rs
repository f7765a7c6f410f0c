//! The Amazon grant beside the session.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Builder;
use axum::http::{Request, StatusCode};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::people::User;
use evergrant_contract::ports::{Clock as _, Connections as _};
use evergrant_contract::timing::after;
use evergrant_testkit::Reply as ProviderReply;
use serde_json::json;

use super::GRACE;
use crate::fixture::{Fixture, get};

async fn status(fixture: &Fixture, bearer: &str) -> serde_json::Value {
    let reply = fixture.call(get("/api/auth/token-status").header(AUTHORIZATION, bearer)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    reply.json
}

async fn ended_grant(fixture: &Fixture, user: &User) -> ConnectionId {
    let id = fixture.connection_until(user, fixture.clock.now()).await;
    fixture.provider.otherwise(ProviderReply::GrantInvalid);
    id
}

fn refresh(bearer: &str) -> Builder {
    Request::post("/api/auth/refresh").header(AUTHORIZATION, bearer)
}

#[tokio::test]
async fn the_status_says_what_the_original_says_and_how_the_grant_stands() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let bearer = fixture.bearer(&ada).await;
    let none = status(&fixture, &bearer).await;
    let message = "You need to authenticate with Amazon Advertising API to access AMC features.";
    let want = json!({ "hasValidToken": false, "requiresAuthentication": true, "message": message,
        "amazon": { "status": "none" } });
    assert_eq!(none, want);
    let id = fixture.connection(&ada).await;
    let row = fixture.row(id).await;
    let want = json!({ "hasValidToken": true, "requiresAuthentication": false, "message": null,
        "amazon": { "status": "ok", "connection_id": id, "expires_at": row.expires_at } });
    assert_eq!(status(&fixture, &bearer).await, want);
    assert!(fixture.store.disconnect(id).await.unwrap());
    assert_eq!(status(&fixture, &bearer).await["amazon"], json!({ "status": "none" }));
}

#[tokio::test]
async fn a_token_that_is_being_refreshed_is_no_reason_to_connect_again() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    fixture.connection_until(&ada, fixture.clock.now()).await;
    let bearer = fixture.bearer(&ada).await;
    let told = status(&fixture, &bearer).await;
    assert_eq!((&told["hasValidToken"], &told["requiresAuthentication"]), (&json!(false), &json!(false)));
    assert_eq!(told["amazon"]["status"], "unavailable");
    assert!(fixture.queue.published().is_empty(), "asking once a minute refreshes nothing");
}

#[tokio::test]
async fn the_best_of_several_grants_is_shown() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let gone = fixture.connection(&ada).await;
    let expired = fixture.connection_until(&ada, fixture.clock.now()).await;
    let good = fixture.connection(&ada).await;
    assert!(fixture.store.disconnect(gone).await.unwrap());
    let told = status(&fixture, &fixture.bearer(&ada).await).await;
    assert_ne!(expired, good);
    assert_eq!(told["amazon"]["connection_id"], json!(good));
}

#[tokio::test]
async fn an_expired_amazon_token_is_refreshed_on_the_way() {
    let fixture = Fixture::new();
    fixture.run();
    fixture.run_workers();
    let ada = fixture.user("ada@example.com").await;
    let id = fixture.connection_until(&ada, fixture.clock.now()).await;
    let bearer = fixture.bearer(&ada).await;
    let reply = fixture.call(refresh(&bearer)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert_eq!(reply.json["amazon_token_refreshed"], true, "{}", reply.body);
    assert_eq!(reply.json["amazon"]["status"], "refreshed");
    assert_eq!(reply.json["amazon"]["expires_at"], json!(fixture.row(id).await.expires_at));
    assert_eq!(fixture.provider.call_count(), 1);
    let again = fixture.call(refresh(&bearer)).await;
    assert_eq!(again.json["amazon_token_refreshed"], false);
    assert_eq!(again.json["amazon"]["status"], "ok");
    assert_eq!(fixture.provider.call_count(), 1, "a good token is left alone");
}

#[tokio::test]
async fn an_amazon_that_does_not_answer_holds_the_session_up_for_two_seconds_and_no_more() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    fixture.connection_until(&ada, fixture.clock.now()).await;
    let (bearer, cookie) = fixture.sign_in(&ada).await;
    fixture.clock.advance(GRACE).await;
    // No worker runs: the job stays where it is.
    let request = refresh(&bearer).header(COOKIE, cookie);
    let (reply, ()) = tokio::join!(fixture.call(request), async {
        fixture.queue.until_published(1).await;
        fixture.clock.advance(Duration::from_secs(2)).await;
    });
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert!(reply.json["access_token"].is_string());
    assert_eq!(reply.json["amazon_token_refreshed"], false);
    assert_eq!(reply.json["amazon"]["status"], "unavailable");
}

#[tokio::test]
async fn a_grant_that_has_ended_is_told_beside_a_session_that_goes_on() {
    let fixture = Fixture::new();
    fixture.run();
    fixture.run_workers();
    let ada = fixture.user("ada@example.com").await;
    let id = ended_grant(&fixture, &ada).await;
    let bearer = fixture.bearer(&ada).await;
    let (reply, ()) = tokio::join!(fixture.call(refresh(&bearer)), async {
        // The worker asks the provider once more before it believes it.
        while fixture.row(id).await.reason.is_none() {
            tokio::task::yield_now().await;
            fixture.clock.advance(Duration::from_millis(100)).await;
        }
    });
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert!(reply.json["access_token"].is_string(), "the session is not the grant");
    fixture.clock.advance(Duration::from_secs(5)).await;
    let told = status(&fixture, &bearer).await;
    assert_eq!(told["requiresAuthentication"], true);
    assert_eq!(told["message"], "Your Amazon authentication has expired. Please re-authenticate to continue.");
    assert_eq!(told["amazon"]["status"], "reauth_required");
    assert_eq!(told["amazon"]["reason"], "grant_invalid");
    let again = fixture.call(refresh(&bearer)).await;
    assert_eq!((again.status, &again.json["amazon"]["status"]), (StatusCode::OK, &json!("reauth_required")));
}

#[tokio::test]
async fn a_token_near_its_end_is_refreshed_and_one_that_lasts_is_not() {
    let fixture = Fixture::new();
    fixture.run();
    fixture.run_workers();
    let ada = fixture.user("ada@example.com").await;
    let id = fixture.connection_until(&ada, after(fixture.clock.now(), Duration::from_mins(10))).await;
    let bearer = fixture.bearer(&ada).await;
    assert_eq!(fixture.call(refresh(&bearer)).await.json["amazon"]["status"], "ok");
    assert!(fixture.store.make_due(id, fixture.clock.now()).await.unwrap());
    let reply = fixture.call(refresh(&bearer)).await;
    assert_eq!(reply.json["amazon"]["status"], "refreshed", "{}", reply.body);
}
