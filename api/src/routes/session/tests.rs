//! The session routes through the whole router, on memory ports.

mod grant;

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Builder;
use evergrant_contract::people::{Scope, User};
use evergrant_contract::ports::Users as _;
use evergrant_contract::secret::Secret;
use serde_json::json;

use crate::auth::hash_password;
use crate::fixture::{Fixture, Reply, get, post};

const PASSWORD: &str = "correct horse battery staple";
const REQUESTED_WITH: &str = "x-requested-with";
const GRACE: Duration = Duration::from_secs(30);

async fn with_password(fixture: &Fixture, user: &User) {
    let hash = hash_password(&Secret::new(PASSWORD)).unwrap();
    assert!(fixture.store.set_password(&user.id, Some(&hash)).await.unwrap());
}

/// The `name=value` of the session cookie that an answer sets.
fn cookie_of(reply: &Reply) -> String {
    reply.header("set-cookie").split(';').next().unwrap().to_owned()
}

fn is_cleared(reply: &Reply) -> bool {
    let cookie = reply.header("set-cookie");
    cookie.starts_with("__Host-evergrant-session=;") && cookie.contains("Max-Age=0")
}

async fn refresh_with_cookie(fixture: &Fixture, cookie: &str) -> Reply {
    fixture.call(post("/api/auth/refresh").header(COOKIE, cookie).header(REQUESTED_WITH, "fetch")).await
}

async fn me(fixture: &Fixture, bearer: &str) -> Reply {
    fixture.call(get("/api/auth/me").header(AUTHORIZATION, bearer)).await
}

#[tokio::test]
async fn a_password_signs_in_from_the_body_and_from_the_query() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    with_password(&fixture, &ada).await;
    let body = json!({ "email": "Ada@Example.com", "password": PASSWORD });
    let from_body = fixture.call_json(post("/api/auth/login"), &body).await;
    let from_query =
        fixture.call(post("/api/auth/login?email=ada%40example.com&password=correct%20horse+battery%20staple")).await;
    for reply in [from_body, from_query] {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        assert_eq!(reply.json["token_type"], "bearer");
        assert_eq!(reply.json["expires_in"], 900);
        assert_eq!(reply.json["user"], json!({ "id": ada.id, "email": "ada@example.com", "name": "ada" }));
        assert_eq!(reply.header("cache-control"), "no-store");
        let set = reply.header("set-cookie");
        assert!(set.contains("; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=604800"), "{set}");
        let bearer = format!("Bearer {}", reply.json["access_token"].as_str().unwrap());
        assert_eq!(me(&fixture, &bearer).await.json["email"], "ada@example.com");
        assert_eq!(refresh_with_cookie(&fixture, &cookie_of(&reply)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_login_the_answer_is_the_same_and_nobody_is_created() {
    let fixture = Fixture::new();
    let (ada, eve) = (fixture.user("ada@example.com").await, fixture.user("eve@example.com").await);
    fixture.user("no-password@example.com").await;
    with_password(&fixture, &ada).await;
    with_password(&fixture, &eve).await;
    fixture.store.save_user(&User { is_active: false, ..eve }).await.unwrap();
    let users = fixture.store.users(None, 100).await.unwrap();
    let wrong = [
        ("ada@example.com", "wrong horse battery staple"),
        ("nobody@example.com", PASSWORD),
        ("no-password@example.com", PASSWORD),
        ("eve@example.com", PASSWORD),
        ("ada@example.com", &"x".repeat(2000)),
    ];
    for (email, password) in wrong {
        let reply = fixture.call_json(post("/api/auth/login"), &json!({ "email": email, "password": password })).await;
        assert_eq!((reply.status, reply.problem()), (StatusCode::UNAUTHORIZED, "wrong-password"), "{email}");
        assert_eq!(reply.json["detail"], "Wrong e-mail address or password.", "{email}");
        assert_eq!(reply.header("set-cookie"), "");
    }
    assert_eq!(fixture.store.users(None, 100).await.unwrap(), users, "the original project creates whoever asks");
}

#[tokio::test]
async fn a_login_that_lacks_something_says_what() {
    let fixture = Fixture::new();
    for (path, missing) in [
        ("/api/auth/login", "`email`"),
        ("/api/auth/login?email=ada@example.com", "`password`"),
        ("/api/auth/login?email=ada@example.com&password=", "`password`"),
        ("/api/auth/login?password=x", "`email`"),
    ] {
        let reply = fixture.call(post(path)).await;
        assert_eq!((reply.status, reply.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid-parameter"), "{path}");
        assert!(reply.json["detail"].as_str().unwrap().contains(missing), "{path}: {}", reply.body);
    }
    let form = post("/api/auth/login").header("content-type", "text/plain").body("email=x".into()).unwrap();
    assert_eq!(fixture.send(form).await.problem(), "unsupported-media-type");
}

#[tokio::test]
async fn a_refresh_with_the_cookie_carries_the_session_on_and_replaces_the_cookie() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let (bearer, cookie) = fixture.sign_in(&ada).await;
    fixture.clock.advance(Duration::from_mins(16)).await;
    assert_eq!(me(&fixture, &bearer).await.problem(), "session-expired");
    // As the front end of the original project does it: with the expired token, which counts as a header and no more.
    let reply = fixture.call(post("/api/auth/refresh").header(AUTHORIZATION, bearer).header(COOKIE, &cookie)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert_eq!((&reply.json["token_type"], &reply.json["expires_in"]), (&json!("bearer"), &json!(900)));
    assert_eq!(reply.json["amazon_token_refreshed"], false);
    assert_eq!(reply.json["amazon"], json!({ "status": "none" }));
    assert_ne!(cookie_of(&reply), cookie);
    let bearer = format!("Bearer {}", reply.json["access_token"].as_str().unwrap());
    assert_eq!(me(&fixture, &bearer).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_cookie_alone_is_not_believed() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let (_, cookie) = fixture.sign_in(&ada).await;
    fixture.clock.advance(GRACE).await;
    for path in ["/api/auth/refresh", "/api/auth/logout", "/api/auth/logout?everywhere=true"] {
        let reply = fixture.call(post(path).header(COOKIE, &cookie)).await;
        assert_eq!((reply.status, reply.problem()), (StatusCode::FORBIDDEN, "csrf-header-missing"), "{path}");
        assert_eq!(reply.header("set-cookie"), "", "{path}");
    }
    assert_eq!(refresh_with_cookie(&fixture, &cookie).await.status, StatusCode::OK, "nothing was done");
}

#[tokio::test]
async fn a_bearer_that_is_still_good_is_enough_and_leaves_the_generation_alone() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let (bearer, cookie) = fixture.sign_in(&ada).await;
    fixture.clock.advance(Duration::from_mins(10)).await;
    let reply = fixture.call(post("/api/auth/refresh").header(AUTHORIZATION, bearer)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert_eq!(cookie_of(&reply), cookie, "the browser's token stays the one that counts");
    fixture.clock.advance(Duration::from_mins(10)).await;
    let bearer = format!("Bearer {}", reply.json["access_token"].as_str().unwrap());
    assert_eq!(me(&fixture, &bearer).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_cannot_be_refreshed_is_told_apart() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let (bearer, cookie) = fixture.sign_in(&ada).await;
    let refresh = || post("/api/auth/refresh");
    assert_eq!(fixture.call(refresh()).await.problem(), "unauthenticated");
    assert_eq!(fixture.call(refresh().header(AUTHORIZATION, "Bearer x")).await.problem(), "unauthenticated");
    let key = format!("Bearer {}", fixture.key(Scope::ALL).await);
    assert_eq!(fixture.call(refresh().header(AUTHORIZATION, key)).await.problem(), "forbidden");
    let garbage = refresh_with_cookie(&fixture, "__Host-evergrant-session=garbage").await;
    assert!(garbage.status == StatusCode::UNAUTHORIZED && is_cleared(&garbage), "{}", garbage.body);
    fixture.clock.advance(Duration::from_mins(16)).await;
    assert_eq!(fixture.call(refresh().header(AUTHORIZATION, bearer)).await.problem(), "session-expired");
    fixture.clock.advance(Duration::from_hours(24 * 7)).await;
    let ended = refresh_with_cookie(&fixture, &cookie).await;
    assert_eq!((ended.status, ended.problem()), (StatusCode::UNAUTHORIZED, "session-ended"));
    assert!(is_cleared(&ended), "{}", ended.header("set-cookie"));
}

#[tokio::test]
async fn an_outage_leaves_the_cookie_where_it_is() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let (_, cookie) = fixture.sign_in(&ada).await;
    fixture.store.set_down(true);
    let reply = refresh_with_cookie(&fixture, &cookie).await;
    assert_eq!((reply.status, reply.header("set-cookie")), (StatusCode::SERVICE_UNAVAILABLE, ""));
    assert_eq!(reply.header("retry-after"), "2");
}

#[tokio::test]
async fn a_stolen_cookie_ends_the_session_for_access_tokens_too() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let (_, stolen) = fixture.sign_in(&ada).await;
    fixture.clock.advance(GRACE).await;
    let owner = refresh_with_cookie(&fixture, &stolen).await;
    let bearer = format!("Bearer {}", owner.json["access_token"].as_str().unwrap());
    assert_eq!(me(&fixture, &bearer).await.status, StatusCode::OK);
    fixture.clock.advance(GRACE).await;
    let thief = refresh_with_cookie(&fixture, &stolen).await;
    assert_eq!(thief.problem(), "session-ended");
    assert!(is_cleared(&thief));
    assert_eq!(me(&fixture, &bearer).await.problem(), "session-ended", "at once, in this process");
}

#[tokio::test]
async fn a_sign_out_works_with_an_expired_bearer_with_a_cookie_and_with_nothing() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com").await;
    let sign_out = |request: Builder| async {
        let reply = fixture.call(request).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        assert_eq!(reply.json, json!({ "message": "Logged out successfully" }));
        assert!(is_cleared(&reply));
    };
    let (bearer, cookie) = fixture.sign_in(&ada).await;
    fixture.clock.advance(Duration::from_mins(16)).await;
    sign_out(post("/api/auth/logout").header(AUTHORIZATION, bearer)).await;
    assert_eq!(refresh_with_cookie(&fixture, &cookie).await.problem(), "session-ended");
    let (bearer, cookie) = fixture.sign_in(&ada).await;
    assert_eq!(me(&fixture, &bearer).await.status, StatusCode::OK);
    sign_out(post("/api/auth/logout").header(COOKIE, cookie).header(REQUESTED_WITH, "fetch")).await;
    assert_eq!(me(&fixture, &bearer).await.problem(), "session-ended", "at once");
    sign_out(post("/api/auth/logout").header(AUTHORIZATION, &bearer)).await;
    sign_out(post("/api/auth/logout").header(AUTHORIZATION, "Bearer garbage")).await;
    sign_out(post("/api/auth/logout")).await;
}

#[tokio::test]
async fn signing_out_everywhere_ends_all_of_ones_own_sessions_and_takes_an_open_one() {
    let fixture = Fixture::new();
    let (ada, bob) = (fixture.user("ada@example.com").await, fixture.user("bob@example.com").await);
    let (here, _) = fixture.sign_in(&ada).await;
    let (elsewhere, elsewhere_cookie) = fixture.sign_in(&ada).await;
    let bobs = fixture.bearer(&bob).await;
    let (dead, _) = fixture.sign_in(&ada).await;
    fixture.call(post("/api/auth/logout").header(AUTHORIZATION, &dead)).await;
    let everywhere = || post("/api/auth/logout?everywhere=true");
    assert_eq!(fixture.call(everywhere().header(AUTHORIZATION, dead)).await.problem(), "session-ended");
    assert_eq!(fixture.call(everywhere()).await.problem(), "unauthenticated");
    assert_eq!(me(&fixture, &elsewhere).await.status, StatusCode::OK);
    assert_eq!(fixture.call(everywhere().header(AUTHORIZATION, &here)).await.status, StatusCode::OK);
    fixture.clock.advance(Duration::from_secs(1)).await;
    assert_eq!(me(&fixture, &here).await.problem(), "session-ended");
    assert_eq!(me(&fixture, &elsewhere).await.problem(), "session-ended");
    assert_eq!(refresh_with_cookie(&fixture, &elsewhere_cookie).await.problem(), "session-ended");
    assert_eq!(me(&fixture, &bobs).await.status, StatusCode::OK);
}

#[tokio::test]
async fn me_is_the_user_and_no_api_key() {
    let fixture = Fixture::new();
    let root = fixture.admin("root@example.com").await;
    let root = User { profile_ids: vec!["P1".into()], marketplace_ids: vec!["ATVPDKIKX0DER".into()], ..root };
    fixture.store.save_user(&root).await.unwrap();
    let reply = me(&fixture, &fixture.bearer(&root).await).await;
    let want = json!({ "id": root.id, "email": "root@example.com", "name": "root", "is_active": true, "is_admin": true,
        "profile_ids": ["P1"], "marketplace_ids": ["ATVPDKIKX0DER"] });
    assert_eq!(reply.json, want);
    let key = format!("Bearer {}", fixture.key(Scope::ALL).await);
    assert_eq!(me(&fixture, &key).await.problem(), "forbidden");
    assert_eq!(fixture.call(get("/api/auth/me")).await.problem(), "unauthenticated");
}

#[tokio::test]
async fn health_needs_no_credentials() {
    let fixture = Fixture::new();
    let reply = fixture.call(get("/api/health")).await;
    assert_eq!(reply.json, json!({ "status": "healthy", "service": "Evergrant", "version": "1.2.3" }));
}
