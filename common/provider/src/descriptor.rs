//! A provider's ways, as data.

use std::collections::BTreeMap;
use std::time::Duration;

use evergrant_contract::ids::ProviderName;
use evergrant_contract::verdict::{Confirmation, ProviderPolicy, Rotation};
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::authorize::AuthorizeForm;
use crate::consent::ConsentLifetime;
use crate::endpoint;
use crate::identity::IdentityForm;
use crate::lifetime::ExpiryUnit;
use crate::registry::DescriptorError;
use crate::table::VerdictTable;

/// Everything that sets one provider apart from another. Made by [`Registry::load`](crate::Registry::load) out of TOML.
#[derive(Debug, Clone)]
pub struct Descriptor {
    /// The name of the provider app, such as `amazon-na`.
    pub name: ProviderName,
    /// The provider's name for people.
    pub title: String,
    /// The consent page.
    pub authorize_url: Url,
    /// The token endpoint.
    pub token_url: Url,
    /// The host of the API that the tokens are for.
    pub api_url: Option<Url>,
    /// Scopes that a consent asks for.
    pub scopes: Vec<String>,
    /// How long an access token lives if the answer does not say.
    pub default_lifetime: Duration,
    /// No more than this share of a lifetime is given up by refreshing early, in percent.
    pub margin_share_percent: u8,
    /// How spent refresh tokens are treated.
    pub rotation: Rotation,
    /// How an `invalid_grant` is confirmed.
    pub confirmation: Confirmation,
    /// How long a consent lasts.
    pub consent_lifetime: ConsentLifetime,
    /// The most calls of the token endpoint in a second, by each process; 0 is no limit.
    pub requests_per_second: u32,
    /// How a consent is asked for.
    pub authorize: AuthorizeForm,
    /// How tokens are asked for.
    pub request: RequestForm,
    /// Where things are in an answer.
    pub answer: AnswerForm,
    /// Where to ask whose token one is.
    pub identity: IdentityForm,
    pub(crate) verdicts: VerdictTable,
}

/// Values that replace those of a descriptor; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The token endpoint.
    pub token_url: Option<String>,
    /// The consent page.
    pub authorize_url: Option<String>,
    /// The host of the API.
    pub api_url: Option<String>,
    /// Where the paths of the descriptor's identity URLs are found, such as `/user/profile`. Without it those that are on
    /// the token endpoint's host move with it: what a test server issues is shown to nobody else.
    pub identity_url: Option<String>,
    /// The scopes that a consent asks for.
    pub scopes: Option<Vec<String>>,
    /// The most calls in a second; 0 is no limit.
    pub requests_per_second: Option<u32>,
    /// Lets these URLs be plain http on other hosts than this one.
    pub allow_plain_http: bool,
}

impl Descriptor {
    /// The descriptor with some of its values replaced.
    pub fn with_overrides(mut self, overrides: &Overrides) -> Result<Self, DescriptorError> {
        let url = |key: &'static str, text: &Option<String>| {
            text.as_deref()
                .map(|text| endpoint::parse(text, overrides.allow_plain_http))
                .transpose()
                .map_err(|problem| DescriptorError::Endpoint { provider: self.name.to_string(), key, problem })
        };
        let token_url = url("token_url", &overrides.token_url)?;
        let authorize_url = url("authorize_url", &overrides.authorize_url)?;
        let api_url = url("api_url", &overrides.api_url)?;
        let identity_url = url("identity_url", &overrides.identity_url)?;
        match (identity_url, &token_url) {
            (Some(base), _) => self.identity.move_to(&base, |_| true),
            (None, Some(to)) => self.identity.move_to(&origin(to), |url| url.origin() == self.token_url.origin()),
            (None, None) => {}
        }
        self.token_url = token_url.unwrap_or(self.token_url);
        self.authorize_url = authorize_url.unwrap_or(self.authorize_url);
        self.api_url = api_url.or(self.api_url);
        if let Some(scopes) = &overrides.scopes {
            self.scopes.clone_from(scopes);
        }
        self.requests_per_second = overrides.requests_per_second.unwrap_or(self.requests_per_second);
        Ok(self)
    }

    /// What the engine needs to know, with the time that it gives one call.
    pub fn policy(&self, call_timeout: Duration) -> ProviderPolicy {
        ProviderPolicy {
            name: self.name.clone(),
            rotation: self.rotation,
            confirmation: self.confirmation,
            margin_share_percent: self.margin_share_percent,
            call_timeout,
        }
    }
}

/// The URL without its path and query.
fn origin(url: &Url) -> Url {
    let mut origin = url.clone();
    origin.set_path("");
    origin.set_query(None);
    origin
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyForm {
    /// `application/x-www-form-urlencoded`, as the standard has it.
    #[default]
    Form,
    /// A JSON object.
    Json,
}

/// How the app proves who it is. Never in the URL, where proxies write it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the body.
    #[default]
    Body,
    /// The `Authorization` header.
    Basic,
}

/// How tokens are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestForm {
    /// How the body is written.
    pub body: BodyForm,
    /// How the app proves who it is.
    pub client_auth: ClientAuth,
    /// Other names for the standard's parameters, such as `client_id` -> `client_key`.
    pub rename: BTreeMap<String, String>,
    /// Parameters on top of the standard's.
    pub extra: BTreeMap<String, String>,
    /// Whether the scopes of the grant are sent along.
    pub send_scopes: bool,
}

impl RequestForm {
    /// What the provider calls one of the standard's parameters.
    pub(crate) fn name<'n>(&'n self, standard: &'n str) -> &'n str {
        self.rename.get(standard).map_or(standard, String::as_str)
    }
}

/// Where things are in an answer. Paths are JSON pointers from the top, such as `/error/code`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerForm {
    /// The object that the tokens are in.
    pub root: Pointer,
    /// What success looks like, for providers that say 200 to everything. Without it, the absence of an error code.
    pub success: Option<SuccessMark>,
    /// The error code: the first of these that is there.
    pub code: Vec<Pointer>,
    /// A finer code.
    pub sub_code: Option<Pointer>,
    /// Words about the error: the first of these that is there.
    pub description: Vec<Pointer>,
    /// The field for the lifetime of the access token, inside `root`.
    pub expires_in: String,
    /// The field for the lifetime of the refresh token, inside `root`.
    pub refresh_expires_in: String,
    /// What both of them count.
    pub expiry_unit: ExpiryUnit,
    /// Codes that refuse the client secret: with these the app's next secret is tried.
    pub secret_refused: Vec<String>,
}

impl Default for AnswerForm {
    fn default() -> Self {
        Self {
            root: Pointer::default(),
            success: None,
            code: vec![Pointer("/error".to_owned())],
            sub_code: None,
            description: vec![Pointer("/error_description".to_owned())],
            expires_in: "expires_in".to_owned(),
            refresh_expires_in: "refresh_token_expires_in".to_owned(),
            expiry_unit: ExpiryUnit::Seconds,
            secret_refused: vec!["invalid_client".to_owned()],
        }
    }
}

/// What success looks like.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuccessMark {
    /// Where to look. If nothing is there the tokens decide.
    pub at: Pointer,
    /// What has to be there.
    pub equals: serde_json::Value,
}

/// A JSON pointer; empty is the top.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pointer(String);

impl Pointer {
    /// The text or number that is there, if it is not empty.
    pub(crate) fn text_of(&self, value: &serde_json::Value) -> Option<String> {
        as_text(self.of(value)?)
    }

    pub(crate) fn of<'v>(&self, value: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        value.pointer(&self.0)
    }

    pub(crate) fn of_mut<'v>(&self, value: &'v mut serde_json::Value) -> Option<&'v mut serde_json::Value> {
        value.pointer_mut(&self.0)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() || text.starts_with('/') {
            return Ok(Self(text));
        }
        Err(serde::de::Error::custom(format!("a JSON pointer such as `/error` expected, got `{text}`")))
    }
}

/// A text or a number, if it is not empty.
pub(crate) fn as_text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => (!text.trim().is_empty()).then(|| text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
