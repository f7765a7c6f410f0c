//! What recorded answers mean.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use evergrant_contract::verdict::{Verdict, VerdictKind};

use crate::server::{App, Endpoint};
use VerdictKind::{AppFault, GrantInvalid, Refreshed, Throttled, Transient, Unusable};

macro_rules! recorded {
    ($($provider:literal $status:literal $file:literal => $verdict:ident $code:expr),+ $(,)?) => {
        &[$(Recorded {
            provider: $provider,
            status: $status,
            file: $file,
            body: include_str!(concat!("../answers/", $file)),
            verdict: $verdict,
            code: $code,
        }),+]
    };
}

struct Recorded {
    provider: &'static str,
    status: u16,
    file: &'static str,
    body: &'static str,
    verdict: VerdictKind,
    code: Option<&'static str>,
}

const RECORDED: &[Recorded] = recorded![
    "amazon-na" 200 "amazon-ok.json" => Refreshed None,
    "amazon-na" 200 "amazon-ok-text-expiry.json" => Refreshed None,
    "amazon-na" 200 "amazon-ok-no-refresh-token.json" => Refreshed None,
    "amazon-na" 200 "amazon-ok-empty-refresh-token.json" => Refreshed None,
    "amazon-na" 200 "amazon-no-access-token.json" => Unusable None,
    "amazon-na" 200 "cut-short.txt" => Unusable None,
    "amazon-na" 200 "maintenance.html" => Transient None,
    "amazon-na" 400 "amazon-invalid-grant.json" => GrantInvalid Some("invalid_grant"),
    "amazon-na" 401 "amazon-invalid-grant.json" => GrantInvalid Some("invalid_grant"),
    "amazon-na" 500 "amazon-invalid-grant.json" => Transient Some("invalid_grant"),
    "amazon-na" 503 "amazon-invalid-grant.json" => Transient Some("invalid_grant"),
    "amazon-na" 429 "amazon-invalid-grant.json" => Throttled Some("invalid_grant"),
    "amazon-na" 400 "invalid-grant-type.json" => Transient Some("invalid_grant_type"),
    "amazon-na" 401 "amazon-invalid-client.json" => AppFault Some("invalid_client"),
    "amazon-na" 400 "amazon-unauthorized-client.json" => AppFault Some("unauthorized_client"),
    "amazon-na" 400 "amazon-invalid-request.json" => AppFault Some("invalid_request"),
    "amazon-na" 400 "unsupported-grant-type.json" => AppFault Some("unsupported_grant_type"),
    "amazon-na" 400 "invalid-scope.json" => AppFault Some("invalid_scope"),
    "amazon-na" 403 "access-denied.json" => GrantInvalid Some("access_denied"),
    "amazon-na" 400 "amazon-server-error.json" => Transient Some("ServerError"),
    "amazon-na" 400 "temporarily-unavailable.json" => Transient Some("temporarily_unavailable"),
    "amazon-na" 400 "slow-down.json" => Throttled Some("slow_down"),
    "amazon-na" 503 "maintenance.html" => Transient None,
    "amazon-na" 403 "maintenance.html" => Transient None,
    "amazon-na" 400 "maintenance.html" => Transient None,
    "amazon-na" 401 "empty.txt" => Transient None,
    "amazon-na" 404 "empty.txt" => Transient None,
    "amazon-na" 400 "echoes-the-token.json" => GrantInvalid Some("invalid_grant"),
    "amazon-na" 400 "code-is-prose.json" => Transient None,
    "google" 200 "google-ok.json" => Refreshed None,
    "google" 400 "google-invalid-grant.json" => GrantInvalid Some("invalid_grant"),
    "hubspot" 400 "hubspot-bad-refresh-token.json" => GrantInvalid Some("invalid_grant"),
    "microsoft" 400 "microsoft-inactive.json" => GrantInvalid Some("invalid_grant"),
    "microsoft" 400 "microsoft-interaction-required.json" => GrantInvalid Some("interaction_required"),
    "github" 200 "github-ok.json" => Refreshed None,
    "github" 200 "github-bad-refresh-token.json" => GrantInvalid Some("bad_refresh_token"),
    "github" 200 "github-wrong-secret.json" => AppFault Some("incorrect_client_credentials"),
    "github" 200 "unknown-error.json" => Transient Some("something_new"),
    "github" 200 "error-with-tokens.json" => Unusable Some("something_new"),
    "slack" 200 "slack-ok.json" => Refreshed None,
    "slack" 200 "slack-invalid-refresh-token.json" => GrantInvalid Some("invalid_refresh_token"),
    "slack" 200 "slack-wrong-secret.json" => AppFault Some("bad_client_secret"),
    "slack" 200 "slack-internal-error.json" => Transient Some("internal_error"),
];

/// One line: verdict, what is shown, and of success what was found (secrets by their length).
async fn observe(recorded: &'static Recorded) -> String {
    let status = StatusCode::from_u16(recorded.status).expect("a status");
    let endpoint = Endpoint::start(move |_| (status, recorded.body).into_response()).await;
    let answer = App::of(recorded.provider, endpoint.address).refresh().await;
    let name = format!("{} {} {}", recorded.provider, recorded.status, recorded.file);
    assert_eq!(answer.verdict.kind(), recorded.verdict, "{name}: {:?}", answer.trace);
    assert_eq!(answer.trace.code.as_deref(), recorded.code, "{name}");
    assert_eq!((answer.trace.status, answer.trace.ambiguous), (Some(recorded.status), false), "{name}");
    let mut line = format!("{name}\n    {}\n", answer.trace.message);
    match answer.verdict {
        Verdict::Refreshed(tokens) => writeln!(
            line,
            "    access token of {}, refresh token of {:?}, {:?}, consent ends {:?}, scopes {:?}",
            tokens.access_token.expose().len(),
            tokens.refresh_token.map(|token| token.expose().len()),
            tokens.lifetime,
            tokens.refresh_expires_at,
            tokens.scopes,
        )
        .expect("memory"),
        Verdict::Unusable(raw) => assert_eq!(raw.expose(), recorded.body, "{name}: kept whole"),
        _ => {}
    }
    line
}

#[tokio::test]
async fn recorded_answers_mean_what_the_table_says() {
    let mut lines = String::new();
    for recorded in RECORDED {
        lines.push_str(&observe(recorded).await);
    }
    insta::assert_snapshot!("recorded_answers", lines);
}
