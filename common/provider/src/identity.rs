//! Whose token one is.

use std::time::Duration;

use evergrant_contract::consent::{Identity, IdentityError};
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::Clock;
use evergrant_contract::secret::Secret;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::descriptor::Pointer;
use crate::exchange::{self, Received};
use crate::redact::Redactor;

/// The longest account, name or e-mail address that is believed, in characters.
const TEXT_MAX: usize = 320;

/// Where to ask whose token one is. With neither there is no place to ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdentityForm {
    /// Tells whose token it is and which app it was issued to. Asked first.
    pub token_info: Option<TokenInfoForm>,
    /// Tells more about the person. Without `token_info` it has to tell the account too.
    pub profile: Option<ProfileForm>,
}

/// A place that tells whose token it is, by `GET` with the token in the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfoForm {
    /// Where.
    pub url: Url,
    /// The query parameter that the token is sent in.
    pub parameter: String,
    /// Where the client id is that the token was issued to.
    pub audience: Pointer,
    /// Where the account is.
    pub account: Pointer,
}

/// A place that tells who somebody is, by `GET` with the token in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileForm {
    /// Where.
    pub url: Url,
    /// It is asked only if consents ask for this scope.
    pub scope: Option<String>,
    /// Where the account is.
    pub account: Pointer,
    /// Where the e-mail address is, if it is anywhere.
    pub email: Option<Pointer>,
    /// Where the name is, if it is anywhere.
    pub name: Option<Pointer>,
}

impl IdentityForm {
    /// Looks for the paths of those URLs that are meant below another URL.
    pub(crate) fn move_to(&mut self, base: &Url, is_meant: impl Fn(&Url) -> bool) {
        let token_info = self.token_info.as_mut().map(|form| &mut form.url);
        let profile = self.profile.as_mut().map(|form| &mut form.url);
        for url in token_info.into_iter().chain(profile).filter(|url| is_meant(url)) {
            let mut moved = base.clone();
            moved.set_path(&format!("{}{}", base.path().trim_end_matches('/'), url.path()));
            *url = moved;
        }
    }
}

/// An [`IdentityForm`] as TOML has it.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentitySpec {
    token_info: Option<TokenInfoSpec>,
    profile: Option<ProfileSpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenInfoSpec {
    url: String,
    #[serde(default = "access_token")]
    parameter: String,
    audience: Pointer,
    account: Pointer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileSpec {
    url: String,
    scope: Option<String>,
    account: Pointer,
    email: Option<Pointer>,
    name: Option<Pointer>,
}

fn access_token() -> String {
    "access_token".to_owned()
}

impl IdentitySpec {
    /// Reads the URLs.
    pub(crate) fn describe(
        self,
        url: impl Fn(&'static str, &str) -> Result<Url, String>,
    ) -> Result<IdentityForm, String> {
        let token_info = self.token_info.map(|TokenInfoSpec { url: text, parameter, audience, account }| {
            let url = url("identity.token_info.url", &text)?;
            Ok::<_, String>(TokenInfoForm { url, parameter, audience, account })
        });
        let profile = self.profile.map(|ProfileSpec { url: text, scope, account, email, name }| {
            let url = url("identity.profile.url", &text)?;
            Ok::<_, String>(ProfileForm { url, scope, account, email, name })
        });
        Ok(IdentityForm { token_info: token_info.transpose()?, profile: profile.transpose()? })
    }
}

/// Asks whose token one is.
pub(crate) struct Asker<'a> {
    pub(crate) form: &'a IdentityForm,
    /// What consents ask for.
    pub(crate) scopes: &'a [String],
    pub(crate) provider: &'a ProviderName,
    pub(crate) client_id: &'a str,
    pub(crate) client: &'a Client,
    pub(crate) clock: &'a dyn Clock,
}

impl Asker<'_> {
    /// Asks every place that there is, within `patience`.
    pub(crate) async fn identify(&self, token: &Secret, patience: Duration) -> Result<Identity, IdentityError> {
        let give_up_at = self.clock.monotonic().saturating_add(patience);
        let asks = |form: &&ProfileForm| form.scope.as_ref().is_none_or(|scope| self.scopes.contains(scope));
        let profile = self.form.profile.as_ref().filter(asks);
        let Some(token_info) = &self.form.token_info else {
            let form = profile.ok_or(IdentityError::Unsupported)?;
            return self.profile(form, token, patience).await.map_err(IdentityError::Unavailable);
        };
        let account = self.token_info(token_info, token, patience).await?;
        let known = Identity { account, ..Identity::default() };
        let Some(form) = profile else { return Ok(known) };
        let left = give_up_at.saturating_sub(self.clock.monotonic());
        match self.profile(form, token, left).await {
            Ok(identity) if identity.account == known.account => Ok(identity),
            Ok(_) => Ok(known),
            Err(problem) => {
                // The account is what matters; a name is only nice to have.
                tracing::debug!(provider = %self.provider, problem, "The provider tells no name");
                Ok(known)
            }
        }
    }

    async fn token_info(&self, form: &TokenInfoForm, token: &Secret, left: Duration) -> Result<String, IdentityError> {
        let mut url = form.url.clone();
        url.query_pairs_mut().append_pair(&form.parameter, token.expose());
        let answer = self.ask(self.client.get(url), token, left).await.map_err(IdentityError::Unavailable)?;
        let missing = |what: &str| IdentityError::Unavailable(format!("its answer names no {what}"));
        let audience = form.audience.text_of(&answer).ok_or_else(|| missing("app"))?;
        if audience != self.client_id {
            return Err(IdentityError::ForeignToken);
        }
        text(&answer, &form.account).ok_or_else(|| missing("account"))
    }

    async fn profile(&self, form: &ProfileForm, token: &Secret, left: Duration) -> Result<Identity, String> {
        let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| "no header can carry the token".to_owned())?;
        bearer.set_sensitive(true);
        let request = self.client.get(form.url.clone()).header(AUTHORIZATION, bearer);
        let answer = self.ask(request, token, left).await?;
        let optional = |at: &Option<Pointer>| at.as_ref().and_then(|at| text(&answer, at)).unwrap_or_default();
        Ok(Identity {
            account: text(&answer, &form.account).ok_or("its answer names no account")?,
            email: optional(&form.email),
            name: optional(&form.name),
        })
    }

    /// The answer's JSON, or what is wrong, without any piece of the token.
    async fn ask(&self, request: RequestBuilder, token: &Secret, left: Duration) -> Result<Value, String> {
        let redactor = Redactor::new([token.expose()]);
        let Received { status, body, .. } =
            exchange::answer_to(request, left).await.map_err(|broken| redactor.clean(&broken.problem))?;
        let answer = serde_json::from_slice::<Value>(&body).ok().filter(Value::is_object);
        match answer {
            Some(answer) if (200..300).contains(&status) => Ok(answer),
            Some(answer) => {
                let code = answer.get("error").and_then(Value::as_str).unwrap_or_default();
                Err(redactor.clean(&format!("HTTP {status} {code}")))
            }
            None => Err(format!("HTTP {status} without a JSON object")),
        }
    }
}

/// What somebody wrote about themselves, or a provider about them: one line, not endless.
fn text(answer: &Value, at: &Pointer) -> Option<String> {
    let text = at.text_of(answer)?;
    let text = text.trim();
    let fits = text.chars().count() <= TEXT_MAX && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}
