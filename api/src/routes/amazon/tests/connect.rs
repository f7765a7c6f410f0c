//! Connecting accounts for somebody who is signed in, and mending connections.

use evergrant_contract::ids::Version;
use evergrant_contract::ports::Connections as _;
use evergrant_contract::state::{Reason, State};

use super::bench::{Bench, asked, which};

#[tokio::test]
async fn somebody_who_is_signed_in_connects_a_second_account_and_a_second_region() {
    let bench = Bench::new();
    let ada = bench.user("ada", |_| ()).await;
    bench.connection(&ada.id, "amzn1.account.ada", "ada").await;
    let mut browser = bench.browser_of(&ada).await;
    for (query, code) in [("?redirect_uri=/accounts", "agency"), ("?provider=amazon-eu&connect=true", "ada")] {
        let asked = browser.begin(query).await;
        let done = browser.come_back(&asked, code).await;
        let place = done.location().strip_prefix("https://app.example.com/profile?connected=success");
        assert!(matches!(place, Some("" | "&redirect=%2Faccounts")), "{}", done.location());
    }
    assert!(browser.cookies.is_empty(), "the session is the one that there was");
    assert_eq!(bench.users().await.len(), 1);
    let rows = bench.connections().await;
    let mut held: Vec<_> = rows.iter().map(|row| (row.provider.as_str(), row.account.as_str())).collect();
    held.sort_unstable();
    let expected =
        [("amazon-eu", "amzn1.account.ada"), ("amazon-na", "amzn1.account.ada"), ("amazon-na", "amzn1.account.agency")];
    assert_eq!(held, expected);
    assert!(rows.iter().all(|row| row.user == ada.id));
    // Whoever has the agency's login does not become ada by it.
    let mut agency = bench.browser();
    let asked = agency.begin("").await;
    assert_eq!(agency.come_back(&asked, "agency").await.status, 303);
    assert_eq!(bench.users().await.len(), 2);
}

#[tokio::test]
async fn credentials_that_are_no_good_are_told_and_never_make_a_sign_in_of_a_connection() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    assert_eq!(browser.get("/api/auth/amazon/login?connect=true").await.status, 401);
    browser.bearer = Some("garbage".to_owned());
    assert_eq!(browser.get("/api/auth/amazon/login").await.status, 401);
    assert_eq!(browser.get("/api/auth/amazon/login?connect=false").await.status, 200, "a sign-in asks for none");
    assert_eq!(browser.get("/api/auth/amazon/login?connect=perhaps").await.status, 422);
}

#[tokio::test]
async fn a_user_who_was_deactivated_meanwhile_connects_nothing() {
    let bench = Bench::new();
    let ada = bench.user("ada", |_| ()).await;
    let mut browser = bench.browser_of(&ada).await;
    let asked = browser.begin("").await;
    bench.user("ada", |user| user.is_active = false).await;
    let done = browser.come_back(&asked, "ada").await;
    assert!(done.location().ends_with("&problem=sign-in-refused"), "{}", done.location());
    assert!(bench.consents.exchanges().is_empty() && bench.connections().await.is_empty());
}

#[tokio::test]
async fn a_connection_is_mended_by_the_same_account_only() {
    let bench = Bench::new();
    let ada = bench.user("ada", |_| ()).await;
    let id = bench.connection(&ada.id, "amzn1.account.ada", "ada/old").await;
    let mut browser = bench.browser_of(&ada).await;
    let reconnect = format!("/api/connections/{id}/reconnect");

    let begun = browser.post(&reconnect, None).await;
    assert_eq!(begun.status, 200);
    let other = browser.come_back(&asked(begun.body["auth_url"].as_str().unwrap()), "bob").await;
    assert!(other.location().starts_with("https://app.example.com/auth/error?message=This%20is%20another%20account"));
    assert!(other.location().ends_with("&problem=other-account"), "{}", other.location());
    let row = bench.store.find(id).await.unwrap().unwrap();
    assert_eq!((row.version, row.account.as_str()), (Version::FIRST, "amzn1.account.ada"));
    assert_eq!(bench.store.refresh_token(id).unwrap().expose(), "Atzr|ada/old");

    assert!(bench.store.disconnect(id).await.unwrap());
    let begun = browser.post(&reconnect, None).await;
    let done = browser.come_back(&asked(begun.body["auth_url"].as_str().unwrap()), "ada/new").await;
    assert_eq!(done.location(), "https://app.example.com/profile?reauth=success");
    let row = bench.store.find(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.version), (State::Active, Version::FIRST.next().next()));
    assert_eq!(bench.store.refresh_token(id).unwrap().expose(), "Atzr|ada/new");
}

#[tokio::test]
async fn a_connection_of_an_unknown_account_takes_the_one_that_consents() {
    let bench = Bench::new();
    let ada = bench.user("ada", |_| ()).await;
    let id = bench.connection(&ada.id, "", "lost").await;
    let mut browser = bench.browser_of(&ada).await;
    let begun = browser.post("/api/auth/amazon/reauth", Some(which(id))).await;
    let done = browser.come_back(&asked(begun.body["authUrl"].as_str().unwrap()), "ada").await;
    assert_eq!(done.location(), "https://app.example.com/profile?reauth=success");
    assert_eq!(bench.store.find(id).await.unwrap().unwrap().account, "amzn1.account.ada");
}

#[tokio::test]
async fn reauthentication_begins_with_the_connection_that_needs_it_most() {
    let bench = Bench::new();
    let ada = bench.user("ada", |_| ()).await;
    bench.connection(&ada.id, "amzn1.account.ada", "ada").await;
    let ended = bench.connection(&ada.id, "amzn1.account.agency", "agency").await;
    bench.end(ended, Reason::GrantInvalid).await;
    let mut browser = bench.browser_of(&ada).await;
    let begun = browser.post("/api/auth/amazon/reauth", None).await;
    assert_eq!(begun.body["message"], "Redirect user to Amazon for re-authentication");
    assert_eq!(begun.body.as_object().unwrap().len(), 2, "{}", begun.text);
    let done = browser.come_back(&asked(begun.body["authUrl"].as_str().unwrap()), "agency").await;
    assert_eq!(done.location(), "https://app.example.com/profile?reauth=success");
    assert_eq!(bench.store.find(ended).await.unwrap().unwrap().state, State::Active);
}

#[tokio::test]
async fn reauthentication_without_any_connection_makes_one() {
    let bench = Bench::new();
    let ada = bench.user("ada", |_| ()).await;
    let mut browser = bench.browser_of(&ada).await;
    let begun = browser.post("/api/auth/amazon/reauth", None).await;
    let done = browser.come_back(&asked(begun.body["authUrl"].as_str().unwrap()), "agency").await;
    assert_eq!(done.location(), "https://app.example.com/profile?connected=success");
    assert_eq!(bench.connections().await[0].account, "amzn1.account.agency");
}

#[tokio::test]
async fn somebody_elses_connection_does_not_exist() {
    let bench = Bench::new();
    let (ada, eve) = (bench.user("ada", |_| ()).await, bench.user("eve", |_| ()).await);
    let id = bench.connection(&ada.id, "amzn1.account.ada", "ada").await;
    let mut browser = bench.browser_of(&eve).await;
    assert_eq!(browser.post(&format!("/api/connections/{id}/reconnect"), None).await.status, 404);
    for route in ["reauth", "disconnect", "refresh"] {
        let answered = browser.post(&format!("/api/auth/amazon/{route}"), Some(which(id))).await;
        assert_eq!(answered.status, 404, "{route}: {}", answered.text);
    }
    assert_eq!(bench.store.find(id).await.unwrap().unwrap().state, State::Active);
}

#[tokio::test]
async fn a_consent_that_covers_less_is_stored_and_told() {
    let bench = Bench::new();
    let ada = bench.user("ada", |_| ()).await;
    let id = bench.connection(&ada.id, "amzn1.account.ada", "ada").await;
    let mut browser = bench.browser_of(&ada).await;
    bench.consents.grant("profile");
    let begun = browser.begin("").await;
    let done = browser.come_back(&begun, "ada").await;
    assert_eq!(done.location(), "https://app.example.com/profile?connected=success&scopes=reduced");
    let row = bench.store.find(id).await.unwrap().unwrap();
    assert_eq!((row.scopes.as_str(), row.version), ("profile", Version::FIRST.next()));

    bench.consents.grant("profile advertising::campaign_management more");
    let begun = browser.begin("").await;
    assert_eq!(browser.come_back(&begun, "ada").await.location(), "https://app.example.com/profile?connected=success");
    bench.consents.grant("profile advertising::campaign_management");
    let begun = browser.post("/api/auth/amazon/reauth", Some(which(id))).await;
    let done = browser.come_back(&asked(begun.body["authUrl"].as_str().unwrap()), "ada").await;
    let place = "https://app.example.com/profile?reauth=success&scopes=reduced";
    assert_eq!(done.location(), place, "less than before is less, also if nobody asked for more");
}

#[tokio::test]
async fn scopes_are_those_of_the_answer_else_those_of_the_consent_page_else_those_asked_for() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    let begun = browser.begin("").await;
    let query = [("code", "ada"), ("scope", "profile"), ("state", begun["state"].as_str())];
    let done = browser.follow(&super::bench::callback(&query)).await;
    assert_eq!(done.location(), "https://app.example.com/auth/success?scopes=reduced");
    assert_eq!(bench.connections().await[0].scopes, "profile");
    bench.consents.grant("advertising::campaign_management profile");
    let begun = browser.begin("").await;
    let query = [("code", "ada"), ("scope", "profile"), ("state", begun["state"].as_str())];
    browser.follow(&super::bench::callback(&query)).await;
    assert_eq!(bench.connections().await[0].scopes, "advertising::campaign_management profile");
}
