//! How grants begin: against recorded answers, and against the simulated Amazon.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use evergrant_contract::consent::{CodeCall, ConsentRequest, Identity, IdentityError};
use evergrant_contract::ports::{Clock, Consents, Provider};
use evergrant_contract::secret::Secret;
use evergrant_contract::verdict::{Answer, RefreshCall, Verdict, VerdictKind};
use evergrant_provider::{Credentials, HttpProvider, Overrides, Registry, Timeouts};
use evergrant_sim::{Fault, FaultKind, Sim, SimOptions, Target};
use evergrant_testkit::ManualClock;
use reqwest::redirect::Policy;
use serde_json::json;
use url::Url;

use crate::server::{App, CLIENT_ID, Endpoint, NEXT_SECRET, SECRET, Seen};

const BACK: &str = "https://app.example/api/auth/amazon/callback";
const STATE: &str = "st+ate&=/ü";
/// The example of RFC 7636.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CODE: &str = "ANbiVEgWuTYzvYpPrIWS";
const TOKEN: &str = "Atza|IQEBLjAsAhRmHjNgHpi0U-Dme37rR6CuUpSR";
const OK: &str = include_str!("../answers/amazon-ok.json");
const REFUSED: &str = include_str!("../answers/amazon-invalid-client.json");

const PERSON: &str = "amzn1.account.ANN";

// ------------------------------------------------------------------------------------------------- recorded answers

fn app(name: &str, address: SocketAddr) -> App {
    let overrides = Overrides {
        token_url: Some(format!("http://{address}/token")),
        identity_url: Some(format!("http://{address}/id/")),
        ..Overrides::default()
    };
    App::made(name, &overrides, Some(NEXT_SECRET), Duration::from_secs(10))
}

async fn exchange(provider: &HttpProvider, code: &str, verifier: &str) -> Answer {
    let (code, code_verifier) = (Secret::new(code), Secret::new(verifier));
    provider.exchange(CodeCall { code: &code, redirect_uri: BACK, code_verifier: &code_verifier }).await
}

async fn exchange_answered(name: &str, status: u16, body: &'static str) -> Answer {
    let status = StatusCode::from_u16(status).expect("a status");
    let endpoint = Endpoint::start(move |_| (status, body).into_response()).await;
    exchange(&app(name, endpoint.address).provider, CODE, VERIFIER).await
}

#[tokio::test]
async fn a_code_is_exchanged_as_amazon_documents_it() {
    let endpoint = Endpoint::start(|_| OK.into_response()).await;
    let app = app("amazon-na", endpoint.address);
    let sent_at = app.clock.now();
    let answer = exchange(&app.provider, CODE, VERIFIER).await;
    let expected = format!(
        "grant_type=authorization_code&code={CODE}&redirect_uri=https%3A%2F%2Fapp.example%2Fapi%2Fauth%2Famazon%2Fcallback\
         &code_verifier={VERIFIER}&client_id={CLIENT_ID}&client_secret={SECRET}"
    );
    assert_eq!(endpoint.seen().pop().expect("a request").body, expected);
    assert_eq!(answer.sent_at, sent_at);
    let Verdict::Refreshed(tokens) = answer.verdict else { unreachable!("{:?}", answer.trace) };
    assert!(tokens.refresh_token.is_some_and(|token| token.expose().starts_with("Atzr|")));
    assert_eq!(tokens.lifetime, Duration::from_hours(1));
}

#[tokio::test]
async fn what_answers_to_a_code_mean() {
    use VerdictKind::{AppFault, GrantInvalid, Throttled, Transient};
    const BAD_CODE: &str =
        r#"{"error":"invalid_grant","error_description":"The request has an invalid grant parameter : code"}"#;
    const MISTYPED: &str =
        r#"{"error":"invalid_request","error_description":"The request has an invalid parameter : code"}"#;
    let cases = [
        ("amazon-na", 400, BAD_CODE, GrantInvalid, "the provider does not take the code (HTTP 400 invalid_grant)"),
        ("amazon-na", 400, MISTYPED, GrantInvalid, "the provider does not take the code (HTTP 400 invalid_request)"),
        ("amazon-na", 400, include_str!("../answers/amazon-invalid-request.json"), AppFault, "the provider refuses"),
        ("amazon-na", 401, REFUSED, AppFault, "the provider refuses the app's credentials"),
        ("amazon-na", 500, BAD_CODE, Transient, "the code was not exchanged (HTTP 500 invalid_grant)"),
        ("amazon-na", 200, include_str!("../answers/maintenance.html"), Transient, "the code was not exchanged"),
        ("amazon-na", 429, "", Throttled, "the provider asks for a pause"),
        ("github", 200, r#"{"error":"bad_verification_code"}"#, GrantInvalid, "bad_verification_code"),
        ("github", 200, r#"{"error":"redirect_uri_mismatch"}"#, AppFault, "redirect_uri_mismatch"),
        ("slack", 200, r#"{"ok":false,"error":"code_already_used"}"#, GrantInvalid, "code_already_used"),
        ("slack", 200, r#"{"ok":false,"error":"bad_redirect_uri"}"#, AppFault, "bad_redirect_uri"),
    ];
    for (name, status, body, verdict, message) in cases {
        let answer = exchange_answered(name, status, body).await;
        assert_eq!(answer.verdict.kind(), verdict, "{name} {status} {body}: {:?}", answer.trace);
        assert!(answer.trace.message.contains(message), "{:?}", answer.trace);
    }
}

#[tokio::test]
async fn the_code_and_its_verifier_are_in_no_trace_and_both_client_secrets_are_tried() {
    let tells = |seen: &Seen| {
        let right = seen.body.ends_with(NEXT_SECRET);
        let told = format!("code {CODE} verifier {VERIFIER} secret {SECRET}");
        let body = json!({"error": "invalid_grant", "error_description": told}).to_string();
        if right { (StatusCode::BAD_REQUEST, body) } else { (StatusCode::UNAUTHORIZED, REFUSED.to_owned()) }
            .into_response()
    };
    let endpoint = Endpoint::start(tells).await;
    let answer = exchange(&app("amazon-na", endpoint.address).provider, CODE, VERIFIER).await;
    assert_eq!((endpoint.seen().len(), answer.verdict.kind()), (2, VerdictKind::GrantInvalid));
    assert!(answer.trace.message.contains("[removed]"), "{:?}", answer.trace);
    for secret in [CODE, VERIFIER, SECRET] {
        assert!(!format!("{:?}", answer.trace).contains(secret), "{:?}", answer.trace);
    }
}

#[tokio::test]
async fn a_pause_that_is_longer_than_a_person_waits_is_told_and_costs_no_code() {
    let answer = |_: &Seen| (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "120")]).into_response();
    let endpoint = Endpoint::start(answer).await;
    let app = app("amazon-na", endpoint.address);
    assert_eq!(exchange(&app.provider, CODE, VERIFIER).await.verdict.kind(), VerdictKind::Throttled);
    let held = exchange(&app.provider, CODE, VERIFIER).await;
    assert!(matches!(held.verdict, Verdict::Throttled(Some(wait)) if wait == Duration::from_mins(2)));
    assert_eq!((endpoint.seen().len(), held.trace.status, held.trace.ambiguous), (1, None, false));
}

// ------------------------------------------------------------------------------------------------------------ identity

fn people(token_info: serde_json::Value, profile: (u16, serde_json::Value)) -> impl Fn(&Seen) -> Response {
    move |seen| match seen.path.as_str() {
        "/id/auth/o2/tokeninfo" => token_info.to_string().into_response(),
        "/id/user/profile" => {
            (StatusCode::from_u16(profile.0).expect("a status"), profile.1.to_string()).into_response()
        }
        other => (StatusCode::NOT_FOUND, other.to_owned()).into_response(),
    }
}

fn ours() -> serde_json::Value {
    json!({"iss": "https://www.amazon.com", "user_id": PERSON, "aud": CLIENT_ID, "exp": 2370})
}

fn profile() -> (u16, serde_json::Value) {
    (200, json!({"user_id": PERSON, "name": " Ann Lee ", "email": "ann@example.com"}))
}

async fn identify(name: &str, answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> (Asked, Endpoint) {
    let endpoint = Endpoint::start(answer).await;
    let asked = app(name, endpoint.address).provider.identify(&Secret::new(TOKEN)).await;
    (asked, endpoint)
}

type Asked = Result<Identity, IdentityError>;

fn person(name: &str, email: &str) -> Identity {
    Identity { account: PERSON.to_owned(), email: email.to_owned(), name: name.to_owned() }
}

#[tokio::test]
async fn amazon_tells_the_account_to_the_query_and_the_rest_to_the_header() {
    let (asked, endpoint) = identify("amazon-na", people(ours(), profile())).await;
    assert_eq!(asked, Ok(person("Ann Lee", "ann@example.com")));
    let [info, profile] = &endpoint.seen()[..] else { unreachable!("two requests") };
    assert_eq!(info.query, format!("access_token={}", TOKEN.replace('|', "%7C")));
    assert!(!info.headers.contains_key("authorization"));
    assert_eq!(profile.query, "");
    assert_eq!(profile.headers["authorization"], format!("Bearer {TOKEN}"));
}

#[tokio::test]
async fn a_token_of_another_app_is_foreign_and_its_owner_nobody() {
    let mut foreign = ours();
    foreign["aud"] = "amzn1.application-oa2-client.2".into();
    let (asked, endpoint) = identify("amazon-na", people(foreign, profile())).await;
    assert_eq!((asked, endpoint.seen().len()), (Err(IdentityError::ForeignToken), 1));
}

#[tokio::test]
async fn a_profile_that_does_not_come_or_is_another_persons_leaves_name_and_address_empty() {
    let other = (200, json!({"user_id": "amzn1.account.EVE", "name": "Eve", "email": "eve@example.com"}));
    for profile in [(403, json!({"error": "insufficient_scope"})), (500, json!({})), (200, json!([])), other] {
        assert_eq!(identify("amazon-na", people(ours(), profile)).await.0, Ok(person("", "")));
    }
    let odd = (200, json!({"user_id": PERSON, "name": "Ann\r\nX: y", "email": "a".repeat(321)}));
    assert_eq!(identify("amazon-na", people(ours(), odd)).await.0, Ok(person("", "")), "one line, and not endless");
}

#[tokio::test]
async fn without_an_account_or_an_app_nobody_is_believed() {
    for missing in ["user_id", "aud"] {
        let mut info = ours();
        info[missing].take();
        let asked = identify("amazon-na", people(info, profile())).await.0;
        assert!(matches!(&asked, Err(IdentityError::Unavailable(why)) if why.contains("names no")), "{asked:?}");
    }
    let refuses = |_: &Seen| {
        let body = json!({"error": "invalid_token", "error_description": format!("{TOKEN} is bad")});
        (StatusCode::BAD_REQUEST, body.to_string()).into_response()
    };
    let asked = identify("amazon-na", refuses).await.0;
    assert_eq!(asked, Err(IdentityError::Unavailable("HTTP 400 invalid_token".to_owned())));
}

#[tokio::test]
async fn a_broken_connection_tells_no_piece_of_the_token() {
    use crate::server::{After, raw};
    for (bytes, after) in [(&b""[..], After::Close), (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", After::Close)] {
        let asked = app("amazon-na", raw(bytes, after).await).provider.identify(&Secret::new(TOKEN)).await;
        let Err(IdentityError::Unavailable(why)) = asked else { unreachable!("{asked:?}") };
        assert!(!why.contains("Atza") && !why.contains("access_token") && !why.contains("http"), "{why}");
    }
    let elsewhere = Endpoint::start(|_| ours().to_string().into_response()).await;
    let to = format!("http://{}/stolen", elsewhere.address);
    let redirect = move |_: &Seen| (StatusCode::FOUND, [(header::LOCATION, to.clone())]).into_response();
    assert!(identify("amazon-na", redirect).await.0.is_err());
    assert_eq!(elsewhere.seen().len(), 0, "redirects are not followed");
}

#[tokio::test]
async fn other_providers_tell_what_they_document() {
    let github =
        |_: &Seen| json!({"id": 583_231, "login": "octocat", "name": "Ann", "email": null}).to_string().into_response();
    let (asked, endpoint) = identify("github", github).await;
    assert_eq!(asked, Ok(Identity { account: "583231".into(), email: String::new(), name: "Ann".into() }));
    assert_eq!(endpoint.seen()[0].path, "/id/user");
    let slack =
        |_: &Seen| json!({"ok": true, "team": "Acme", "team_id": "T1", "user_id": "U1"}).to_string().into_response();
    let (asked, _) = identify("slack", slack).await;
    assert_eq!(asked, Ok(Identity { account: "T1".into(), email: String::new(), name: "Acme".into() }));
    let (asked, _) = identify("slack", |_| r#"{"ok":false,"error":"invalid_auth"}"#.into_response()).await;
    assert!(matches!(asked, Err(IdentityError::Unavailable(_))));
    for unsupported in ["google", "microsoft", "hubspot"] {
        let (asked, endpoint) = identify(unsupported, |_| "{}".into_response()).await;
        assert_eq!((asked, endpoint.seen().len()), (Err(IdentityError::Unsupported), 0), "{unsupported}");
    }
}

#[tokio::test]
async fn google_tells_who_somebody_is_if_consents_ask_for_it() {
    let endpoint = Endpoint::start(|_| json!({"sub": "7", "email": "a@example.com"}).to_string().into_response()).await;
    let overrides = Overrides {
        identity_url: Some(format!("http://{}", endpoint.address)),
        scopes: Some(vec!["openid".to_owned(), "email".to_owned()]),
        ..Overrides::default()
    };
    let app = App::made("google", &overrides, None, Duration::from_secs(10));
    let asked = app.provider.identify(&Secret::new(TOKEN)).await;
    assert_eq!(asked, Ok(Identity { account: "7".into(), email: "a@example.com".into(), name: String::new() }));
    assert_eq!(endpoint.seen()[0].path, "/v1/userinfo");
}

// ---------------------------------------------------------------------------------------------------- simulated Amazon

async fn simulated(scopes: Option<&[&str]>) -> (Sim, HttpProvider) {
    let sim =
        Sim::start(SimOptions { redirect_uris: vec![BACK.to_owned()], ..SimOptions::default() }).await.expect("a sim");
    let page = sim.url().join("ap/oa").expect("a URL");
    // Only the token endpoint and the page are told: what is asked about tokens follows the token endpoint.
    let overrides = Overrides {
        token_url: Some(sim.token_url().into()),
        authorize_url: Some(page.into()),
        // The clock stands still, so nobody's turn would come.
        requests_per_second: Some(0),
        scopes: scopes.map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect()),
        ..Overrides::default()
    };
    let registry = Registry::load(None).expect("sound descriptors");
    let descriptor = registry.get(&"amazon-na".parse().expect("a name")).expect("a descriptor").clone();
    let options = SimOptions::default();
    let credentials = Credentials {
        client_id: options.client_id,
        client_secret: Secret::new(&*options.client_secrets[0]),
        next_client_secret: None,
    };
    let timeouts = Timeouts { connect: Duration::from_secs(3), call: Duration::from_secs(10) };
    let descriptor = descriptor.with_overrides(&overrides).expect("loopback URLs");
    (sim, HttpProvider::new(descriptor, credentials, timeouts, ManualClock::new()).expect("a client"))
}

/// What the browser brings back when the person presses a button of the page.
async fn press(provider: &HttpProvider, button: &str) -> Vec<(String, String)> {
    let request = ConsentRequest { redirect_uri: BACK, state: STATE, code_challenge: CHALLENGE };
    let page: Url = provider.consent_url(&request).parse().expect("a URL");
    let browser = reqwest::Client::builder().redirect(Policy::none()).build().expect("a client");
    assert_eq!(browser.get(page.clone()).send().await.expect("a page").status(), 200);
    let mut form: Vec<_> = page.query_pairs().into_owned().collect();
    form.extend([("user".to_owned(), PERSON.to_owned()), ("decision".to_owned(), button.to_owned())]);
    let mut action = page;
    action.set_query(None);
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = browser.post(action).header("content-type", "application/x-www-form-urlencoded").body(body);
    let answer = request.send().await.expect("an answer");
    let back: Url = answer.headers()["location"].to_str().expect("text").parse().expect("a URL");
    assert!(back.as_str().starts_with(BACK), "{back}");
    back.query_pairs().into_owned().collect()
}

fn value(back: &[(String, String)], name: &str) -> String {
    back.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

#[tokio::test]
async fn from_the_consent_page_to_a_person_with_tokens() {
    let (sim, provider) = simulated(None).await;
    let back = press(&provider, "allow").await;
    assert_eq!(value(&back, "state"), STATE);
    assert_eq!(value(&back, "scope"), "advertising::campaign_management profile");
    let code = value(&back, "code");
    let Verdict::Refreshed(tokens) = exchange(&provider, &code, VERIFIER).await.verdict else { unreachable!() };
    let who = provider.identify(&tokens.access_token).await;
    assert_eq!(who, Ok(person("ANN", "ANN@example.com")));
    let refresh_token = tokens.refresh_token.expect("a refresh token");
    let refreshed = provider.refresh(RefreshCall { refresh_token: &refresh_token, scopes: None }).await;
    assert_eq!(refreshed.verdict.kind(), VerdictKind::Refreshed);
    let again = exchange(&provider, &code, VERIFIER).await;
    assert_eq!(again.verdict.kind(), VerdictKind::GrantInvalid, "a code is good once");
    assert_eq!(sim.stats().grants, 1);
}

#[tokio::test]
async fn a_code_is_worthless_without_its_verifier() {
    let (sim, provider) = simulated(None).await;
    let code = value(&press(&provider, "allow").await, "code");
    let answer = exchange(&provider, &code, &VERIFIER.replace('d', "e")).await;
    assert_eq!((answer.verdict.kind(), sim.stats().grants), (VerdictKind::GrantInvalid, 0));
    let back = press(&provider, "deny").await;
    assert_eq!((value(&back, "error").as_str(), value(&back, "state").as_str()), ("access_denied", STATE));
}

#[tokio::test]
async fn without_the_profile_scope_there_is_an_account_and_no_name() {
    let (_sim, provider) = simulated(Some(&["advertising::campaign_management"])).await;
    assert_eq!(provider.scopes(), ["advertising::campaign_management"]);
    let code = value(&press(&provider, "allow").await, "code");
    let Verdict::Refreshed(tokens) = exchange(&provider, &code, VERIFIER).await.verdict else { unreachable!() };
    assert_eq!(provider.identify(&tokens.access_token).await, Ok(person("", "")));
}

#[tokio::test]
async fn an_outage_between_code_and_name_is_told_as_one() {
    let (sim, provider) = simulated(None).await;
    let code = value(&press(&provider, "allow").await, "code");
    let Verdict::Refreshed(tokens) = exchange(&provider, &code, VERIFIER).await.verdict else { unreachable!() };
    sim.set_faults([Fault::new(FaultKind::HtmlOk {}).on(Target::Api)]);
    let asked = provider.identify(&tokens.access_token).await;
    assert_eq!(asked, Err(IdentityError::Unavailable("HTTP 200 without a JSON object".to_owned())));
}

#[tokio::test]
async fn a_consent_ends_when_the_descriptor_says() {
    let (_sim, provider) = simulated(None).await;
    let at = |text: &str| text.parse().expect("a time");
    assert_eq!(provider.consent_ends(at("2026-06-29T12:00:00Z")), None);
    assert_eq!(provider.consent_ends(at("2026-11-23T12:00:00Z")), Some(at("2027-11-23T12:00:00Z")));
}
