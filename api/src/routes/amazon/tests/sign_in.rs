//! Signing in: who is let in, and as whom.

use std::time::Duration;

use evergrant_contract::consent::IdentityError;
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::ids::Version;
use evergrant_contract::ports::{Clock as _, Connections as _};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::State;

use super::bench::{Bench, callback};
use crate::auth::{challenge, flow_of};

const SESSION: &str = "__Host-evergrant-session";

#[tokio::test]
async fn somebody_new_becomes_a_user_with_a_connection_and_a_session() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    let asked = browser.begin("?redirect_uri=/instances?a=b%26c").await;
    let done = browser.come_back(&asked, "ada").await;
    assert_eq!(done.status, 303);
    assert_eq!(done.location(), "https://app.example.com/auth/success?redirect=%2Finstances%3Fa%3Db%26c");
    assert_eq!(done.headers["cache-control"], "no-store");
    assert_eq!(done.headers["referrer-policy"], "no-referrer");
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), [SESSION], "the flow's cookie is gone");

    let users = bench.users().await;
    let [user] = users.as_slice() else { panic!("{users:?}") };
    assert_eq!((user.email.as_str(), user.name.as_str()), ("ada@example.com", "ada"));
    assert_eq!((user.account.as_str(), user.is_admin, user.is_active), ("amzn1.account.ada", false, true));

    let rows = bench.connections().await;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    let now = bench.clock.now();
    assert_eq!((&row.user, row.account.as_str(), row.state), (&user.id, "amzn1.account.ada", State::Active));
    assert_eq!(row.label, "ada@example.com");
    assert_eq!(row.scopes, "advertising::campaign_management profile");
    assert_eq!(row.expires_at, Some(now + Duration::from_hours(1)));
    assert_eq!(row.refresh_at, Some(now + Duration::from_mins(45)), "a quarter of the lifetime early");
    assert_eq!(row.consent_at, Some(now));
    assert_eq!(row.refresh_expires_at, Some(now + Duration::from_hours(365 * 24)), "from the consent on");
    assert_eq!(bench.store.refresh_token(row.id).unwrap().expose(), "Atzr|ada");
    let events = bench.events.published();
    let [Event::Connection { connection, version: Version::FIRST, outcome: Outcome::Refreshed, traceparent, .. }] =
        events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(*connection, row.id);
    assert!(traceparent.is_some(), "the trace goes on in the task that ends the consent");
}

#[tokio::test]
async fn no_address_that_a_browser_is_sent_to_holds_a_token() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    let asked = browser.begin("").await;
    let done = browser.come_back(&asked, "ada").await;
    assert_eq!(done.location(), "https://app.example.com/auth/success");
    assert!(done.text.is_empty());
}

#[tokio::test]
async fn the_code_is_exchanged_with_what_the_consent_was_asked_for_with() {
    let mut bench = Bench::new();
    let mut browser = bench.browser();
    let asked = browser.begin("").await;
    let ours = "https://api.example.com/api/auth/amazon/callback";
    assert_eq!(asked["redirect_uri"], ours);
    // Another instance, and another configuration by now.
    bench.settings.auth.redirect_uri = "https://new.example.com/callback".parse().unwrap();
    let cookies = std::mem::take(&mut browser.cookies);
    let mut browser = bench.browser();
    browser.cookies = cookies;
    let done = browser.come_back(&asked, "ada").await;
    assert_eq!(done.status, 303, "any instance answers");
    let exchanges = bench.consents.exchanges();
    assert_eq!((exchanges.len(), exchanges[0].code.as_str(), exchanges[0].redirect_uri.as_str()), (1, "ada", ours));
    assert_eq!(challenge(&Secret::new(exchanges[0].code_verifier.as_str())), asked["code_challenge"]);
}

#[tokio::test]
async fn a_known_account_signs_in_as_its_user_and_renews_its_connection() {
    let bench = Bench::new();
    let ada = bench.user("ada", |user| user.email = "old@example.com".to_owned()).await;
    let id = bench.connection(&ada.id, "amzn1.account.ada", "ada/old").await;
    let mut browser = bench.browser();
    let asked = browser.begin("").await;
    let done = browser.come_back(&asked, "ada/new").await;
    assert_eq!(done.location(), "https://app.example.com/auth/success");
    assert_eq!(bench.users().await, [ada], "nothing about the user changes");
    let rows = bench.connections().await;
    assert_eq!((rows.len(), rows[0].id, rows[0].version), (1, id, Version::FIRST.next()));
    assert_eq!(bench.store.refresh_token(id).unwrap().expose(), "Atzr|ada/new");
}

#[tokio::test]
async fn another_region_of_the_same_app_signs_in_too_and_another_app_does_not() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    let asked = browser.begin("?provider=amazon-eu").await;
    assert_eq!(browser.come_back(&asked, "ada").await.status, 303);
    assert_eq!(bench.connections().await[0].provider.as_str(), "amazon-eu");
    let refused = browser.get("/api/auth/amazon/login?provider=other").await;
    assert_eq!(refused.status, 422, "an account there may be anybody's here");
    let unknown = browser.get("/api/auth/amazon/login?provider=nowhere").await;
    assert_eq!(unknown.status, 422);
}

async fn refused(bench: &Bench, code: &str) -> String {
    let (users, rows) = (bench.users().await, bench.connections().await);
    let mut browser = bench.browser();
    let asked = browser.begin("").await;
    let done = browser.come_back(&asked, code).await;
    assert_eq!(done.status, 303, "{}", done.text);
    assert!(browser.cookies.is_empty(), "no session, and no flow any more");
    assert_eq!((bench.users().await, bench.connections().await), (users, rows), "nothing is stored");
    assert!(bench.events.published().is_empty());
    done.location().to_owned()
}

#[tokio::test]
async fn somebody_who_is_not_active_is_sent_away() {
    let bench = Bench::new();
    bench.user("ada", |user| user.is_active = false).await;
    let place = refused(&bench, "ada").await;
    assert!(
        place.starts_with("https://app.example.com/auth/error?message=This%20user%20has%20been%20deactivated."),
        "{place}"
    );
    assert!(place.ends_with("&problem=sign-in-refused"), "{place}");
}

#[tokio::test]
async fn where_sign_up_is_closed_nobody_new_comes_in() {
    let mut bench = Bench::new();
    bench.settings.auth.open_sign_up = false;
    assert!(refused(&bench, "ada").await.ends_with("&problem=sign-in-refused"));
    bench.user("bob", |_| ()).await;
    let mut browser = bench.browser();
    let asked = browser.begin("").await;
    assert_eq!(browser.come_back(&asked, "bob").await.location(), "https://app.example.com/auth/success");
}

#[tokio::test]
async fn an_email_address_alone_makes_nobody_somebody_else() {
    let bench = Bench::new();
    // One has an account already, the other has none and a grant of somebody else's account.
    bench.user("ada", |user| user.account = "amzn1.account.another".to_owned()).await;
    let bob = bench.user("bob", |user| user.account = String::new()).await;
    bench.connection(&bob.id, "", "eve").await;
    for name in ["ada", "bob"] {
        assert!(refused(&bench, name).await.ends_with("&problem=sign-in-refused"), "{name}");
    }
}

#[tokio::test]
async fn an_imported_user_without_an_account_is_known_by_the_grant_that_is_theirs() {
    let bench = Bench::new();
    let ada = bench.user("ada", |user| user.account = String::new()).await;
    let id = bench.connection(&ada.id, "", "ada/imported").await;
    let mut browser = bench.browser();
    let asked = browser.begin("").await;
    let done = browser.come_back(&asked, "ada/new").await;
    assert_eq!(done.location(), "https://app.example.com/auth/success");
    let users = bench.users().await;
    assert_eq!((users.len(), &users[0].id, users[0].account.as_str()), (1, &ada.id, "amzn1.account.ada"));
    let row = bench.store.find(id).await.unwrap().unwrap();
    assert_eq!(
        (bench.connections().await.len(), row.account.as_str()),
        (1, "amzn1.account.ada"),
        "none is made beside it"
    );
    assert_eq!(bench.store.refresh_token(id).unwrap().expose(), "Atzr|ada/new");
}

#[tokio::test]
async fn a_provider_that_names_no_account_signs_nobody_in() {
    let bench = Bench::new();
    bench.consents.set_identity_error(Some(IdentityError::Unsupported));
    assert!(refused(&bench, "ada").await.ends_with("?message=Authentication%20failed&problem=not-configured"));
}

#[tokio::test]
async fn two_people_of_whom_only_the_accounts_are_known_are_two_users() {
    let bench = Bench::new();
    bench.consents.say_nothing_of_people();
    for code in ["ada", "bob"] {
        let mut browser = bench.browser();
        let asked = browser.begin("").await;
        assert_eq!(browser.come_back(&asked, code).await.location(), "https://app.example.com/auth/success");
    }
    let users = bench.users().await;
    assert_eq!(users.iter().filter(|user| user.email.is_empty()).count(), 2);
}

#[tokio::test]
async fn the_original_address_of_the_callback_still_works() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    let asked = browser.begin("").await;
    let query = callback(&[("code", "ada"), ("state", &asked["state"])]);
    let moved = browser.follow(&query.replace("/amazon/callback", "/callback")).await;
    assert_eq!((moved.status.as_u16(), moved.location()), (307, query.as_str()));
    assert_eq!(browser.follow(&query).await.location(), "https://app.example.com/auth/success");
}

#[tokio::test]
async fn the_cookie_of_a_flow_is_its_state() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    let answered = browser.get("/api/auth/amazon/login").await;
    let cookie = answered.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with("HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"), "{cookie}");
    let mut headers = axum::http::HeaderMap::new();
    headers.insert("cookie", cookie.split(';').next().unwrap().parse().unwrap());
    assert_eq!(flow_of(&headers).unwrap().expose(), answered.body["state"].as_str().unwrap());
    assert_eq!(answered.headers["cache-control"], "no-store");
}
