//! `/ap/oa`: where the user allows the app or does not.

use std::sync::Arc;

use axum::{
    extract::{Form, Query, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use url::Url;

use crate::{
    answer::Answer,
    codes::{Challenge, Consent},
    world::World,
};

const KNOWN_SCOPES: [&str; 7] = [
    "advertising::campaign_management",
    "advertising::audiences",
    "advertising::test:create_account",
    "cpc_advertising:campaign_management",
    "profile",
    "profile:user_id",
    "postal_code",
];
/// Of a PKCE challenge (RFC 7636).
const CHALLENGE_LENGTH: std::ops::RangeInclusive<usize> = 43..=128;

/// What the app sends along with the user's browser.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct AuthorizeRequest {
    client_id: String,
    scope: String,
    response_type: String,
    redirect_uri: String,
    state: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// The page's form: the request again, and what the user says to it.
#[derive(Deserialize)]
pub(crate) struct Decision {
    #[serde(default)]
    user: String,
    #[serde(rename = "decision")]
    answer: String,
    #[serde(flatten)]
    request: AuthorizeRequest,
}

/// What is wrong with a request.
enum Fault {
    /// The app cannot be told, as its address is not to be trusted: the user sees a page.
    Page(&'static str),
    /// The app is told.
    Callback(Url, &'static str, &'static str),
}

/// A request that may be put before the user.
struct Checked {
    redirect_uri: Url,
    challenge: Option<Challenge>,
}

pub(crate) async fn page(State(world): State<Arc<World>>, Query(request): Query<AuthorizeRequest>) -> Response {
    match check(&world, &request) {
        Ok(_) => Answer::html(StatusCode::OK, consent_page(&request)).plain(),
        Err(fault) => refuse(fault, &request),
    }
}

pub(crate) async fn decide(State(world): State<Arc<World>>, Form(decision): Form<Decision>) -> Response {
    let request = decision.request;
    let Checked { mut redirect_uri, challenge } = match check(&world, &request) {
        Ok(checked) => checked,
        Err(fault) => return refuse(fault, &request),
    };
    let user = decision.user.trim().to_owned();
    if decision.answer != "allow" || user.is_empty() {
        let denied = Fault::Callback(redirect_uri, "access_denied", "The user denied the request.");
        return refuse(denied, &request);
    }
    let scope = request.scope.as_str().into();
    let code = world.codes.issue(Consent { user, scope, redirect_uri: request.redirect_uri.clone(), challenge });
    redirect_uri.query_pairs_mut().append_pair("code", &code).append_pair("scope", &request.scope);
    back_to_app(redirect_uri, &request)
}

fn check(world: &World, request: &AuthorizeRequest) -> Result<Checked, Fault> {
    if !world.knows_client_id(&request.client_id) {
        return Err(Fault::Page("Unknown client_id"));
    }
    let redirect_uri = allowed_redirect(world, &request.redirect_uri)
        .ok_or(Fault::Page("lwa-invalid-parameter-bad-redirect-uri: the redirect_uri is not an Allowed Return URL"))?;
    let tell = |error, description| Fault::Callback(redirect_uri.clone(), error, description);
    if request.response_type != "code" {
        return Err(tell("unsupported_response_type", "The response_type must be code"));
    }
    let mut scopes = request.scope.split_whitespace().peekable();
    if scopes.peek().is_none() || scopes.any(|scope| !KNOWN_SCOPES.contains(&scope)) {
        return Err(tell("invalid_scope", "An unknown scope was requested"));
    }
    let challenge = match (request.code_challenge.clone(), request.code_challenge_method.as_deref()) {
        (None, None) => None,
        (Some(challenge), _) if !CHALLENGE_LENGTH.contains(&challenge.len()) => {
            return Err(tell("invalid_request", "The code_challenge must have 43 to 128 characters"));
        }
        (Some(challenge), Some("S256")) => Some(Challenge::S256(challenge)),
        (Some(challenge), None | Some("plain")) => Some(Challenge::Plain(challenge)),
        _ => return Err(tell("invalid_request", "The request has an invalid parameter : code_challenge_method")),
    };
    Ok(Checked { redirect_uri, challenge })
}

fn allowed_redirect(world: &World, text: &str) -> Option<Url> {
    let allowed = &world.options.redirect_uris;
    let url = Url::parse(text).ok()?;
    let known = if allowed.is_empty() {
        matches!(url.scheme(), "http" | "https")
    } else {
        allowed.iter().any(|known| known == text)
    };
    known.then_some(url)
}

fn refuse(fault: Fault, request: &AuthorizeRequest) -> Response {
    match fault {
        Fault::Page(text) => {
            let page = format!("{PAGE_HEAD}<h1>We are sorry</h1><p>{}</p></main></body></html>", escape(text));
            Answer::html(StatusCode::BAD_REQUEST, page).plain()
        }
        Fault::Callback(mut url, error, description) => {
            url.query_pairs_mut().append_pair("error", error).append_pair("error_description", description);
            back_to_app(url, request)
        }
    }
}

fn back_to_app(mut url: Url, request: &AuthorizeRequest) -> Response {
    if let Some(state) = &request.state {
        url.query_pairs_mut().append_pair("state", state);
    }
    Answer::redirect(url.as_str()).plain()
}

const PAGE_HEAD: &str = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width\"><title>Simulated Amazon</title><style>\
    body{font:16px/1.5 system-ui,sans-serif;background:#f4f4f2;color:#1c1c1a}\
    main{max-width:26rem;margin:12vh auto;padding:2rem;background:#fff;border:1px solid #ddd;border-radius:8px}\
    h1{font-size:1.3rem;margin-top:0}label{display:block;margin:1rem 0}\
    input{font:inherit;width:100%;box-sizing:border-box;padding:.4rem}\
    button{font:inherit;padding:.5rem 1.2rem;margin-right:.5rem;cursor:pointer}\
    </style></head><body><main>";

fn consent_page(request: &AuthorizeRequest) -> String {
    let scopes: Vec<_> = request.scope.split_whitespace().map(escape).collect();
    let scopes = scopes.join("</code></li><li><code>");
    let fields = [
        ("client_id", Some(&request.client_id)),
        ("scope", Some(&request.scope)),
        ("response_type", Some(&request.response_type)),
        ("redirect_uri", Some(&request.redirect_uri)),
        ("state", request.state.as_ref()),
        ("code_challenge", request.code_challenge.as_ref()),
        ("code_challenge_method", request.code_challenge_method.as_ref()),
    ];
    let hidden: String = fields
        .into_iter()
        .filter_map(|(name, value)| {
            Some(format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value?)))
        })
        .collect();
    format!(
        "{PAGE_HEAD}<h1>Allow this app to use your Amazon account?</h1>\
         <p>This is a simulated Amazon: any user name will do.</p><p>The app asks for:</p><ul><li><code>{scopes}</code></li></ul>\
         <form method=\"post\" action=\"/ap/oa\">{hidden}\
         <label>Sign in as <input name=\"user\" value=\"amzn1.account.DEMO\" autocomplete=\"off\" required></label>\
         <button name=\"decision\" value=\"allow\">Allow</button>\
         <button name=\"decision\" value=\"deny\" formnovalidate>Deny</button></form></main></body></html>"
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
