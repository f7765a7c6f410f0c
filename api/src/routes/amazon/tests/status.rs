//! How connections stand, and what is done to them.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::connection::{LeaseRequest, Leased, Settlement};
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::ids::{ProcessId, Version};
use evergrant_contract::job::{ForceReason, JobKind, Payload};
use evergrant_contract::ports::{Clock as _, Connections as _, EventBus as _, Leases as _, Offices as _, Peer};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::after;
use evergrant_contract::transition::{Change, Standing};
use evergrant_contract::verdict::Tokens;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, Browser, which};

#[tokio::test]
async fn every_route_but_the_way_to_amazon_and_back_wants_a_session() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    for path in ["/api/auth/amazon/status", "/api/auth/amazon/refresh-status", "/api/profile"] {
        assert_eq!(browser.get(path).await.status, 401, "{path}");
    }
    for path in ["reauth", "refresh", "disconnect"] {
        assert_eq!(browser.post(&format!("/api/auth/amazon/{path}"), None).await.status, 401, "{path}");
    }
    let path = format!("/api/connections/{}/reconnect", evergrant_contract::ids::ConnectionId::generate());
    assert_eq!(browser.post(&path, None).await.status, 401);
}

#[tokio::test]
async fn the_status_has_the_original_shape() {
    let bench = Bench::new();
    let ada = bench.user("ada", |_| ()).await;
    let mut browser = bench.browser_of(&ada).await;
    let none = json!({"authenticated": false, "message": "No Amazon account is connected", "connections": []});
    assert_eq!(browser.get("/api/auth/amazon/status").await.body, none);

    let id = bench.connection(&ada.id, "amzn1.account.ada", "ada").await;
    let expires_at = after(bench.clock.now(), Duration::from_hours(1));
    bench.clock.advance(Duration::from_mins(10)).await;
    let mut status = browser.get("/api/auth/amazon/status").await.body;
    let connections = status.as_object_mut().unwrap().remove("connections").unwrap();
    let expected = json!({
        "authenticated": true,
        "message": "Amazon account connected",
        "auto_refresh_enabled": true,
        "token_info": {"expires_at": expires_at, "expires_in_seconds": 3000, "is_expired": false},
    });
    assert_eq!(status, expected);
    assert_eq!(connections[0]["id"], id.to_string());
    assert_eq!(connections[0]["state"], "active");

    bench.end(id, Reason::GrantInvalid).await;
    let status = browser.get("/api/auth/amazon/status").await.body;
    assert_eq!(status["authenticated"], false);
    assert_eq!(status["message"], "Your Amazon authentication has expired. Please re-authenticate to continue.");
    assert!(status.get("token_info").is_none());
    assert_eq!(
        (&status["connections"][0]["state"], &status["connections"][0]["reason"]),
        (&json!("needs_reauth"), &json!("grant_invalid"))
    );
}

#[tokio::test]
async fn the_profile_has_the_original_shape() {
    let bench = Bench::new();
    let ada = bench.user("ada", |_| ()).await;
    let id = bench.connection(&ada.id, "amzn1.account.ada", "ada").await;
    let mut browser = bench.browser_of(&ada).await;
    let expected = json!({
        "id": "user-ada", "email": "ada@example.com", "name": "ada", "is_active": true, "is_admin": false,
        "profile_ids": ["p1"], "marketplace_ids": ["ATVPDKIKX0DER"],
        "amazon_connected": true, "token_expires_at": after(bench.clock.now(), Duration::from_hours(1)),
        "refresh_token_valid": true,
        "accounts": [{"account_id": "amzn1.account.ada", "account_name": "ada", "marketplace_id": null, "connection_id": id}],
    });
    assert_eq!(browser.get("/api/profile").await.body, expected);
    bench.store.disconnect(id).await.unwrap();
    let profile = browser.get("/api/profile").await.body;
    assert_eq!((&profile["amazon_connected"], &profile["accounts"]), (&json!(false), &json!([])));
}

#[tokio::test]
async fn the_refresh_status_tells_whether_a_scheduler_lives() {
    let bench = Bench::new();
    let (ada, bob) = (bench.user("ada", |_| ()).await, bench.user("bob", |_| ()).await);
    bench.connection(&bob.id, "amzn1.account.bob", "bob").await;
    let mut browser = bench.browser_of(&ada).await;
    let asleep = json!({
        "service_running": false, "tracked_users": 1, "user_tracked": false,
        "refresh_interval_seconds": 600, "refresh_buffer_seconds": 900,
    });
    assert_eq!(browser.get("/api/auth/amazon/refresh-status").await.body, asleep);
    for (role, running) in [("worker", false), ("scheduler", true)] {
        let peer = Peer {
            process: ProcessId::generate(),
            role: role.to_owned(),
            primary_key: String::new(),
            keys: Vec::new(),
            drain: None,
            seen_at: bench.clock.now(),
        };
        bench.store.announce(&peer).await.unwrap();
        let status = browser.get("/api/auth/amazon/refresh-status").await.body;
        assert_eq!(status["service_running"], running, "{role}");
    }
    bench.clock.advance(Duration::from_mins(1)).await;
    assert_eq!(browser.get("/api/auth/amazon/refresh-status").await.body["service_running"], false);
    bench.connection(&ada.id, "amzn1.account.ada", "ada").await;
    let status = browser.get("/api/auth/amazon/refresh-status").await.body;
    assert_eq!((&status["tracked_users"], &status["user_tracked"]), (&json!(2), &json!(true)));
}

#[tokio::test]
async fn disconnecting_removes_the_tokens_and_tells_what_is_left_to_do() {
    let bench = Bench::new();
    let ada = bench.user("ada", |_| ()).await;
    let first = bench.connection(&ada.id, "amzn1.account.ada", "ada").await;
    let second = bench.connection(&ada.id, "amzn1.account.agency", "agency").await;
    let mut browser = bench.browser_of(&ada).await;

    let one = browser.post("/api/auth/amazon/disconnect", Some(which(first))).await.body;
    assert_eq!((&one["success"], &one["message"]), (&json!(true), &json!("Amazon account disconnected successfully")));
    assert_eq!(one["disconnected"], json!([first]));
    assert!(one["next_step"].as_str().unwrap().contains("https://www.amazon.com/ap/adam"), "{one}");
    assert!(bench.store.refresh_token(first).is_none() && bench.store.refresh_token(second).is_some());

    let all = browser.post("/api/auth/amazon/disconnect", None).await.body;
    assert_eq!((&all["success"], &all["disconnected"]), (&json!(true), &json!([second])));
    let again = browser.post("/api/auth/amazon/disconnect", None).await.body;
    assert_eq!((&again["success"], &again["disconnected"]), (&json!(true), &json!([])));
    let told = |connection| Event::Connection {
        connection,
        version: Version::new(2),
        outcome: Outcome::Disconnected,
        reason: Some(Reason::ByUser),
        retry_at: None,
        traceparent: None,
    };
    assert_eq!(bench.events.published(), [told(first), told(second)]);
    assert_eq!(bench.connections().await.iter().filter(|row| row.state == State::Disconnected).count(), 2);
}

/// Does the one forced refresh that is asked for, as a worker would.
async fn work(bench: &Bench, change: Change, tokens: Option<Tokens>) -> Payload {
    let mut jobs = Vec::new();
    for _ in 0..10_000 {
        jobs.extend(bench.queue.take_waiting(JobKind::ForceRefresh));
        if !jobs.is_empty() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let job = jobs.pop().expect("a forced refresh is published");
    let Payload::ForceRefresh { connection, observed_version: version, .. } = job.payload else {
        panic!("another job")
    };
    let lease = LeaseRequest {
        connection,
        version,
        seen_refresh_at: None,
        owner: ProcessId::generate(),
        ttl: Duration::from_mins(1),
        takeover_grace: Duration::from_mins(1),
        is_awaited: false,
    };
    let Leased::Held(grant) = bench.store.acquire(lease).await.unwrap() else { panic!("no lease") };
    let is_refreshed = tokens.is_some();
    let settlement = Settlement {
        lease: grant.lease,
        change: Some(change),
        tokens: tokens.map(|tokens| (tokens, bench.clock.now())),
        unread_answer: None,
        attempts: Vec::new(),
        last_error: None,
        failed_job: None,
        decided_at: bench.clock.now(),
    };
    bench.store.settle(settlement).await.unwrap();
    let row = bench.store.find(connection).await.unwrap().unwrap();
    let outcome = if is_refreshed { Outcome::Refreshed } else { Outcome::NeedsReauth };
    let event = Event::Connection {
        connection,
        version: row.version,
        outcome,
        reason: row.reason,
        retry_at: None,
        traceparent: None,
    };
    bench.events.publish(vec![event]).await;
    job.payload
}

#[tokio::test]
async fn a_refresh_answers_when_it_is_done() {
    let bench = Bench::new();
    let ada = bench.user("ada", |_| ()).await;
    let id = bench.connection(&ada.id, "amzn1.account.ada", "ada").await;
    bench.clock.advance(Duration::from_mins(30)).await;
    let mut browser = listening(&bench, &ada).await;
    let refresh_at = after(bench.clock.now(), Duration::from_mins(45));
    let change = Change { standing: Standing::ACTIVE, reason: None, refresh_at: Some(refresh_at), gives_up: false };
    let tokens = Tokens {
        access_token: Secret::new("Atza|next"),
        refresh_token: None,
        lifetime: Duration::from_hours(1),
        refresh_expires_at: None,
        scopes: None,
    };
    let (answered, job) =
        tokio::join!(browser.post("/api/auth/amazon/refresh", None), work(&bench, change, Some(tokens)));
    assert!(matches!(job, Payload::ForceRefresh { reason: ForceReason::Operator, .. }));
    let expected = json!({
        "message": "Token refreshed successfully", "has_valid_token": true, "connection_id": id, "version": 2,
        "expires_at": after(bench.clock.now(), Duration::from_hours(1)),
    });
    assert_eq!(answered.body, expected, "{}", answered.text);
}

#[tokio::test]
async fn an_ended_grant_is_a_409_and_no_session_is_to_blame() {
    let bench = Bench::new();
    let ada = bench.user("ada", |_| ()).await;
    let mut browser = listening(&bench, &ada).await;
    let none = browser.post("/api/auth/amazon/refresh", None).await;
    assert_eq!(
        (none.status.as_u16(), none.body["type"].as_str()),
        (409, Some("https://evergrant.dev/problems/provider-reauth-required"))
    );

    let id = bench.connection(&ada.id, "amzn1.account.ada", "ada").await;
    bench.clock.advance(Duration::from_mins(10)).await;
    let standing = Standing { state: State::NeedsReauth, failures: 0, suspicions: 0 };
    let change = Change { standing, reason: Some(Reason::GrantInvalid), refresh_at: None, gives_up: false };
    let (ended, _) =
        tokio::join!(browser.post("/api/auth/amazon/refresh", Some(which(id))), work(&bench, change, None));
    assert_eq!((ended.status.as_u16(), ended.body["reason"].as_str()), (409, Some("grant_invalid")), "{}", ended.text);
    assert_eq!(ended.body["connection_id"], id.to_string());
    let again = browser.post("/api/auth/amazon/refresh", None).await;
    assert_eq!(again.status, 409, "and no job is published for it");
    assert_eq!(bench.queue.published().len(), 1);
}

/// A signed-in browser, at an instance that hears events.
async fn listening(bench: &Bench, user: &evergrant_contract::people::User) -> Browser {
    let (api, bearer) = bench.signed_in(user).await;
    tokio::spawn(Arc::clone(&api.waits).run(CancellationToken::new()));
    Browser { bearer: Some(bearer), ..Browser::of(api) }
}
