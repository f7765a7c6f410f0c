//! A request to the token endpoint, read.

use axum::http::{HeaderMap, StatusCode, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::answer::Answer;

/// What a client asks of the token endpoint.
#[derive(Default)]
pub(crate) struct TokenRequest {
    grant_type: Option<String>,
    pub(crate) refresh_token: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) code_verifier: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<String>,
}

/// The two grants that Amazon knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrantType {
    RefreshToken,
    AuthorizationCode,
}

/// Why a request is refused, in Amazon's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    InvalidRefreshToken,
    InvalidCode,
    InvalidClient,
    MissingParameter(&'static str),
    UnsupportedGrantType,
}

impl TokenError {
    /// The `error` of the answer.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::InvalidRefreshToken | Self::InvalidCode => "invalid_grant",
            Self::InvalidClient => "invalid_client",
            Self::MissingParameter(_) => "invalid_request",
            Self::UnsupportedGrantType => "unsupported_grant_type",
        }
    }

    pub(crate) fn answer(self) -> Answer {
        let description = match self {
            Self::InvalidRefreshToken => "The request has an invalid grant parameter : refresh_token. \
                 User may have revoked or didn't grant the permission."
                .to_owned(),
            Self::InvalidCode => "The request has an invalid grant parameter : code".to_owned(),
            Self::InvalidClient => "Client authentication failed".to_owned(),
            Self::MissingParameter(name) => format!("The request is missing a required parameter : {name}"),
            Self::UnsupportedGrantType => {
                "The authorization grant type is not supported by the authorization server".to_owned()
            }
        };
        let status = if self == Self::InvalidClient { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        Answer::oauth_error(status, self.code(), &description)
    }
}

impl TokenRequest {
    /// Reads a form, or JSON, which Amazon takes in practice. Of any other body nothing is read, so that the grant type is
    /// missing, which is how Amazon answers it.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut request = Self::default();
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if content_type.starts_with("application/x-www-form-urlencoded") {
            form_urlencoded::parse(body).for_each(|(name, value)| request.set(&name, value.into_owned()));
        } else if content_type.starts_with("application/json") {
            let fields: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
            for (name, value) in fields {
                if let Value::String(value) = value {
                    request.set(&name, value);
                }
            }
        }
        if let Some((id, secret)) = basic_credentials(headers) {
            request.client_id = Some(id);
            request.client_secret = Some(secret);
        }
        request
    }

    fn set(&mut self, name: &str, value: String) {
        let field = match name {
            "grant_type" => &mut self.grant_type,
            "refresh_token" => &mut self.refresh_token,
            "code" => &mut self.code,
            "redirect_uri" => &mut self.redirect_uri,
            "code_verifier" => &mut self.code_verifier,
            "client_id" => &mut self.client_id,
            "client_secret" => &mut self.client_secret,
            _ => return,
        };
        *field = Some(value);
    }

    pub(crate) fn grant_type(&self) -> Option<GrantType> {
        match self.grant_type.as_deref() {
            Some("refresh_token") => Some(GrantType::RefreshToken),
            Some("authorization_code") => Some(GrantType::AuthorizationCode),
            _ => None,
        }
    }
}

fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
