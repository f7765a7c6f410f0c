//! Evergrant's answers, read.

use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, ProviderName, Version};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::Reason;
use evergrant_contract::timing::after;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use url::Url;

use crate::error::root_cause;
use crate::tokens::{Held, Target, TokenError};

/// The longest answer that is read. They have a few thousand bytes.
const BODY_MAX: usize = 64 * 1024;
/// How long to wait if Evergrant does not say.
const WAIT: Duration = Duration::from_secs(5);

/// A complete answer.
pub(super) struct Reply {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Secret,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: i64,
    version: Version,
    provider: ProviderName,
    api_url: Option<String>,
    client_id: Option<String>,
}

/// A problem of Evergrant's: the end of its type is the word to go by.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    r#type: String,
    detail: String,
    retry_after: Option<u64>,
    reason: Option<Reason>,
}

impl Reply {
    pub(super) async fn receive(request: RequestBuilder) -> Result<Self, TokenError> {
        let mut response = request.send().await.map_err(|error| away(&root_cause(&error)))?;
        let (status, retry_after) = (response.status(), seconds(response.headers()));
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| away(&root_cause(&error)))? {
            if body.len() + piece.len() > BODY_MAX {
                return Err(away("its answer is too long"));
            }
            body.extend_from_slice(&piece);
        }
        // What is not text is none of Evergrant's answers, and read as if it were empty.
        Ok(Self { status, retry_after, body: Secret::new(String::from_utf8(body).unwrap_or_default()) })
    }

    /// Whether what was asked for was done.
    pub(super) fn done(self, connection: ConnectionId) -> Result<(), TokenError> {
        if self.status.is_success() { Ok(()) } else { Err(self.problem(connection)) }
    }

    /// The token.
    pub(super) fn token(self, connection: ConnectionId, asked_at: Timestamp) -> Result<Held, TokenError> {
        if !self.status.is_success() {
            return Err(self.problem(connection));
        }
        let token: Answer = serde_json::from_str(self.body.expose())
            .map_err(|_| away("its answer is not what it is documented to be; is its address right?"))?;
        let (Some(api_url), Some(client_id)) = (token.api_url, token.client_id) else {
            let provider = &token.provider;
            return Err(TokenError::Refused(format!("the descriptor of {provider} does not say where its API is")));
        };
        let api_url = Url::parse(&api_url).map_err(|_| away("its answer names no usable address of the API"))?;
        Ok(Held {
            token: Secret::new(token.access_token),
            version: token.version,
            expires_at: after(asked_at, Duration::from_secs(token.expires_in.try_into().unwrap_or_default())),
            target: Target { provider: token.provider, api_url, client_id },
        })
    }

    fn problem(&self, connection: ConnectionId) -> TokenError {
        let problem: Problem = serde_json::from_str(self.body.expose()).unwrap_or_default();
        let retry_after = problem.retry_after.map(Duration::from_secs).or(self.retry_after).unwrap_or(WAIT);
        let message =
            if problem.detail.is_empty() { format!("Evergrant answered {}", self.status) } else { problem.detail };
        let later = |is_app_fault| TokenError::Unavailable { retry_after, message: message.clone(), is_app_fault };
        match problem.r#type.rsplit('/').next().unwrap_or_default() {
            "not-found" => TokenError::NotFound(connection),
            // A grant that has ended without a reason has ended all the same.
            "provider-reauth-required" => TokenError::NeedsReauth(problem.reason.unwrap_or(Reason::GrantInvalid)),
            "provider-rejected" => TokenError::Rejected,
            "refresh-timeout" => TokenError::Pending { retry_after },
            "refresh-paused" => TokenError::Paused { retry_after, message },
            "app-credentials-invalid" => later(true),
            _ if self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS => later(false),
            _ => TokenError::Refused(message),
        }
    }
}

/// Evergrant did not answer, or something else answered in its place.
pub(super) fn away(what: &str) -> TokenError {
    TokenError::Unavailable {
        retry_after: WAIT,
        message: format!("no answer of Evergrant: {what}"),
        is_app_fault: false,
    }
}

fn seconds(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn connection() -> ConnectionId {
        "01890000-0000-7000-8000-000000000001".parse().unwrap()
    }

    fn reply(status: u16, body: &str) -> Reply {
        let retry_after = Some(Duration::from_secs(9));
        Reply { status: StatusCode::from_u16(status).unwrap(), retry_after, body: Secret::new(body) }
    }

    fn error(status: u16, body: &str) -> TokenError {
        let Err(error) = reply(status, body).token(connection(), Timestamp::MIN_UTC) else { panic!("{body}") };
        error
    }

    fn problem(status: u16, slug: &str) -> TokenError {
        let kind = format!("https://evergrant.dev/problems/{slug}");
        let body = json!({"type": kind, "detail": "D.", "retry_after": 3, "reason": "undecryptable", "new": 1});
        error(status, &body.to_string())
    }

    #[test]
    fn a_token_is_read_and_its_end_counted_from_our_own_clock() {
        let asked_at: Timestamp = "2027-01-15T08:00:00Z".parse().unwrap();
        let body = json!({
            "access_token": "Atza|a", "token_type": "bearer", "expires_in": 3000, "expires_at": "1999-01-01T00:00:00Z",
            "version": 7, "connection_id": connection(), "provider": "amazon-eu",
            "api_url": "https://advertising-api-eu.amazon.com", "client_id": "c",
        });
        let Ok(held) = reply(200, &body.to_string()).token(connection(), asked_at) else { panic!() };
        assert_eq!((held.token.expose(), held.version.number()), ("Atza|a", 7));
        assert_eq!(held.expires_at.to_rfc3339(), "2027-01-15T08:50:00+00:00");
        assert_eq!(held.target.api_url.as_str(), "https://advertising-api-eu.amazon.com/");
    }

    #[test]
    fn problems_become_what_they_are_in_process() {
        let later = |is_app_fault| TokenError::Unavailable {
            retry_after: Duration::from_secs(3),
            message: "D.".to_owned(),
            is_app_fault,
        };
        let refused = || TokenError::Refused("D.".to_owned());
        let cases = [
            (404, "not-found", TokenError::NotFound(connection())),
            (409, "provider-reauth-required", TokenError::NeedsReauth(Reason::Undecryptable)),
            (409, "provider-rejected", TokenError::Rejected),
            (503, "refresh-timeout", TokenError::Pending { retry_after: Duration::from_secs(3) }),
            (503, "app-credentials-invalid", later(true)),
            (503, "provider-unavailable", later(false)),
            (503, "overloaded", later(false)),
            (503, "unavailable", later(false)),
            (429, "rate-limited", later(false)),
            (500, "internal", later(false)),
            (401, "unauthenticated", refused()),
            (403, "insufficient-scope", refused()),
            (422, "invalid-parameter", refused()),
        ];
        for (status, slug, expected) in cases {
            assert_eq!(problem(status, slug), expected, "{slug}");
        }
    }

    #[test]
    fn what_is_not_evergrant_is_told_by_its_status() {
        let message = |status: &str| format!("Evergrant answered {status}");
        let retry_after = Duration::from_secs(9);
        let later = TokenError::Unavailable { retry_after, message: message("502 Bad Gateway"), is_app_fault: false };
        assert_eq!(error(502, "<html>"), later);
        // No problem of ours: nobody has said that there is no such connection.
        assert_eq!(error(404, "<html>"), TokenError::Refused(message("404 Not Found")));
    }

    #[test]
    fn an_answer_that_cannot_be_read_gives_nothing_away() {
        for body in [
            r#"{"access_token":"Atza|s3cret"}"#,
            "Atza|s3cret",
            r#"{"access_token":"Atza|s3cret","expires_in":"Atza|s3cret""#,
        ] {
            let error = error(200, body);
            assert!(matches!(&error, TokenError::Unavailable { .. }) && !format!("{error:?}").contains("s3cret"));
        }
        let nowhere = json!({"access_token": "a", "expires_in": 1, "version": 1, "provider": "x", "api_url": null});
        assert!(matches!(error(200, &nowhere.to_string()), TokenError::Refused(_)));
    }
}
