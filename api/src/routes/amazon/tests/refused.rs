//! What is not let in, and that nothing is left behind.

use std::time::Duration;

use evergrant_contract::consent::IdentityError;
use evergrant_contract::secret::Secret;
use evergrant_contract::verdict::{Tokens, Verdict};

use super::bench::{Bench, callback};

/// The original's answer to a state that is none, whatever is wrong with it.
async fn is_invalid_state(browser: &mut super::bench::Browser, path: &str) {
    let answered = browser.follow(path).await;
    assert_eq!(answered.status, 400, "{path}: {}", answered.text);
    assert_eq!(answered.headers["content-type"], "application/problem+json");
    assert_eq!(answered.body["detail"], "Invalid state parameter");
    assert_eq!(answered.body["type"], "https://evergrant.dev/problems/invalid-state");
    assert_eq!(answered.headers["cache-control"], "no-store");
    assert_eq!(answered.headers["referrer-policy"], "no-referrer");
    assert!(!answered.headers.contains_key("set-cookie"));
}

async fn nothing_is_stored(bench: &Bench) {
    assert!(bench.users().await.is_empty());
    assert!(bench.connections().await.is_empty());
    assert!(bench.events.published().is_empty());
}

#[tokio::test]
async fn a_state_that_was_never_given_out_is_refused() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    for path in [
        "",
        "?code=ada",
        "?code=ada&state=",
        "?code=ada&state=%00",
        "?code=ada&state=made-up",
        "?state=x&error=access_denied",
    ] {
        is_invalid_state(&mut browser, &format!("/api/auth/amazon/callback{path}")).await;
    }
    browser.cookies.insert("__Host-evergrant-flow".to_owned(), "made-up".to_owned());
    is_invalid_state(&mut browser, "/api/auth/amazon/callback?code=ada&state=made-up").await;
    assert!(bench.consents.exchanges().is_empty());
    nothing_is_stored(&bench).await;
}

#[tokio::test]
async fn a_state_works_once() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    let asked = browser.begin("").await;
    let cookies = browser.cookies.clone();
    assert_eq!(browser.come_back(&asked, "ada").await.status, 303);
    browser.cookies = cookies;
    is_invalid_state(&mut browser, &callback(&[("code", "bob"), ("state", &asked["state"])])).await;
    assert_eq!((bench.users().await.len(), bench.consents.exchanges().len()), (1, 1));
}

#[tokio::test]
async fn a_link_that_somebody_else_began_signs_nobody_in() {
    let bench = Bench::new();
    let (mut eve, mut ada) = (bench.browser(), bench.browser());
    let of_eve = eve.begin("").await;
    let link = callback(&[("code", "eve"), ("state", &of_eve["state"])]);
    is_invalid_state(&mut ada, &link).await;
    let of_ada = ada.begin("").await;
    is_invalid_state(&mut ada, &link).await;
    assert!(bench.consents.exchanges().is_empty());
    nothing_is_stored(&bench).await;
    assert_eq!(ada.come_back(&of_ada, "ada").await.status, 303, "her own sign-in is not disturbed");
}

#[tokio::test]
async fn a_consent_that_takes_longer_than_ten_minutes_is_refused() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    let asked = browser.begin("").await;
    bench.clock.advance(Duration::from_mins(10)).await;
    is_invalid_state(&mut browser, &callback(&[("code", "ada"), ("state", &asked["state"])])).await;
    nothing_is_stored(&bench).await;
}

#[tokio::test]
async fn a_store_that_is_away_is_told_as_such() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    bench.store.fail_next(1);
    assert_eq!(browser.get("/api/auth/amazon/login").await.status, 503);
    let asked = browser.begin("").await;
    bench.store.fail_next(1);
    let answered = browser.come_back(&asked, "ada").await;
    assert_eq!(
        (answered.status.as_u16(), answered.body["type"].as_str()),
        (503, Some("https://evergrant.dev/problems/unavailable"))
    );
    assert_eq!(browser.come_back(&asked, "ada").await.status, 303, "the flow is still good");
}

/// Where a browser that comes back with these parameters is sent to.
async fn sent_to(bench: &Bench, query: &[(&str, &str)]) -> String {
    let mut browser = bench.browser();
    let asked = browser.begin("").await;
    let query: Vec<_> = query.iter().copied().chain([("state", asked["state"].as_str())]).collect();
    let done = browser.follow(&callback(&query)).await;
    assert_eq!(done.status, 303, "{}", done.text);
    assert!(browser.cookies.is_empty(), "no session, and no flow any more");
    nothing_is_stored(bench).await;
    let place =
        done.location().strip_prefix("https://app.example.com/auth/error?message=Authentication%20failed&problem=");
    place.unwrap_or_else(|| panic!("{}", done.location())).to_owned()
}

#[tokio::test]
async fn a_consent_that_is_not_given_is_told_and_what_the_link_says_is_not_repeated() {
    let bench = Bench::new();
    for (error, problem) in [
        ("access_denied", "consent-denied"),
        ("temporarily_unavailable", "provider-unavailable"),
        ("server_error", "provider-unavailable"),
        ("invalid_scope", "app-credentials-invalid"),
        ("unauthorized_client", "app-credentials-invalid"),
        ("<script>alert(1)</script>", "consent-failed"),
    ] {
        let query = [("error", error), ("error_description", "<b>call 555 and say your password</b>"), ("code", "ada")];
        assert_eq!(sent_to(&bench, &query).await, problem, "{error}");
    }
    assert!(bench.consents.exchanges().is_empty());
    assert_eq!(sent_to(&bench, &[]).await, "consent-failed", "neither a code nor an error");
    assert_eq!(sent_to(&bench, &[("code", "")]).await, "consent-failed");
}

#[tokio::test]
async fn an_exchange_that_does_not_succeed_stores_nothing() {
    let without_refresh_token = Tokens {
        access_token: Secret::new("Atza|ada"),
        refresh_token: None,
        lifetime: Duration::from_hours(1),
        refresh_expires_at: None,
        scopes: None,
    };
    let bench = Bench::new();
    for (verdict, problem) in [
        (Verdict::GrantInvalid, "consent-failed"),
        (Verdict::Unusable(Secret::new("{}")), "consent-failed"),
        (Verdict::Refreshed(without_refresh_token), "consent-failed"),
        (Verdict::Transient, "provider-unavailable"),
        (Verdict::Throttled(Some(Duration::from_secs(9))), "provider-unavailable"),
        (Verdict::AppFault, "app-credentials-invalid"),
    ] {
        bench.consents.then(verdict);
        assert_eq!(sent_to(&bench, &[("code", "ada")]).await, problem);
    }
}

#[tokio::test]
async fn tokens_that_are_not_known_to_be_somebodys_are_not_stored() {
    let bench = Bench::new();
    for (error, problem) in [
        (IdentityError::Unavailable("it answered 503".to_owned()), "provider-unavailable"),
        (IdentityError::ForeignToken, "consent-failed"),
    ] {
        bench.consents.set_identity_error(Some(error));
        assert_eq!(sent_to(&bench, &[("code", "ada")]).await, problem);
    }
}

#[tokio::test]
async fn nobody_is_sent_to_another_site() {
    let bench = Bench::new();
    let mut browser = bench.browser();
    for place in [
        "//evil.example",
        "https://evil.example/",
        "/%5Cevil.example",
        "%2F%2Fevil.example",
        "/%252F%252Fevil.example",
        "javascript:alert(1)",
    ] {
        let answered = browser.get(&format!("/api/auth/amazon/login?redirect_uri={place}")).await;
        assert_eq!(answered.status, 422, "{place}: {}", answered.text);
        assert!(browser.cookies.is_empty());
    }
}

#[tokio::test]
async fn an_app_that_is_not_configured_is_told() {
    let mut bench = Bench::new();
    bench.settings.auth.sign_in_provider = "amazon-fe".parse().unwrap();
    let answered = bench.browser().get("/api/auth/amazon/login").await;
    assert_eq!(
        (answered.status.as_u16(), answered.body["type"].as_str()),
        (503, Some("https://evergrant.dev/problems/not-configured"))
    );
}
