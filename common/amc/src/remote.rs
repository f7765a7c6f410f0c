//! Tokens out of Evergrant's HTTP API, for every service that is not Evergrant itself.

mod flights;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::Clock;
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::after;
use reqwest::Client;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use url::{Host, Url};

use crate::call::bearer;
use crate::client::http;
use crate::error::ClientError;
use crate::tokens::{Held, TokenError, Tokens};
use flights::{Flights, Question};
use wire::Reply;

/// Where Evergrant is, and how to be let in.
#[derive(Clone)]
pub struct RemoteSettings {
    /// The address of the API, such as `https://evergrant.example.com/`.
    pub base_url: Url,
    /// An API key with the scopes `tokens:read` and `tokens:refresh`.
    pub api_key: Secret,
    /// Lets the key and the tokens cross a network in the clear. Off: plain http is for this machine only.
    pub allow_plain_http: bool,
    /// How long it may take to reach the API.
    pub connect_timeout: Duration,
    /// How long an answer may take. Longer than the API's own deadline of forced refreshes.
    pub call_timeout: Duration,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl RemoteSettings {
    /// What suits most callers.
    pub fn new(base_url: Url, api_key: Secret, clock: Arc<dyn Clock>) -> Self {
        Self {
            base_url,
            api_key,
            allow_plain_http: false,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_mins(1),
            clock,
        }
    }
}

/// Asks Evergrant's HTTP API for tokens, and keeps them in memory while they are good.
///
/// Cheap to clone; all clones share what is kept. However many ask for the same at once, Evergrant is asked once.
#[derive(Clone)]
pub struct RemoteTokens(Arc<Inner>);

struct Inner {
    http: Client,
    settings: RemoteSettings,
    authorization: HeaderValue,
    flights: Flights,
}

impl RemoteTokens {
    /// Tokens from there. Nothing is sent yet.
    pub fn new(settings: RemoteSettings) -> Result<Self, ClientError> {
        check(&settings.base_url, settings.allow_plain_http)?;
        let authorization = bearer(&settings.api_key).map_err(|error| ClientError::Key(error.to_string()))?;
        let http = http(settings.connect_timeout)?;
        Ok(Self(Arc::new(Inner { http, settings, authorization, flights: Flights::default() })))
    }
}

#[async_trait]
impl Tokens for RemoteTokens {
    async fn token(&self, connection: ConnectionId, min_validity: Duration) -> Result<Held, TokenError> {
        let good_until = after(self.0.settings.clock.now(), min_validity);
        if let Some(held) = self.0.flights.kept(connection).filter(|held| held.expires_at > good_until) {
            return Ok(held);
        }
        let inner = Arc::clone(&self.0);
        let question = Question::Token { min_validity };
        self.0.flights.join((connection, question), || async move { inner.fetch(connection, min_validity).await }).await
    }

    async fn refused(&self, connection: ConnectionId, observed: Version) -> Result<Held, TokenError> {
        let now = self.0.settings.clock.now();
        self.0.flights.forget(connection, observed);
        // Somebody else in this process has got a newer one already.
        if let Some(held) = self.0.flights.kept(connection).filter(|held| held.expires_at > now) {
            return Ok(held);
        }
        let inner = Arc::clone(&self.0);
        let question = Question::Refused { observed };
        self.0.flights.join((connection, question), || async move { inner.force(connection, observed).await }).await
    }
}

impl Inner {
    async fn fetch(&self, connection: ConnectionId, min_validity: Duration) -> Result<Held, TokenError> {
        // Counted from before the question, and from our own clock: no two have to agree.
        let asked_at = self.settings.clock.now();
        let mut url = self.url(connection, "token");
        // Rounded up, since a token that is good for less is not what was asked for.
        let seconds = min_validity.as_millis().div_ceil(1000);
        url.set_query(Some(&format!("min_validity={seconds}")));
        let reply = self.ask(self.http.get(url)).await?;
        let held = reply.token(connection, asked_at)?;
        self.flights.keep(connection, &held, asked_at);
        Ok(held)
    }

    async fn force(&self, connection: ConnectionId, observed: Version) -> Result<Held, TokenError> {
        let body = format!(r#"{{"observed_version":{observed}}}"#);
        let request =
            self.http.post(self.url(connection, "force-refresh")).header(CONTENT_TYPE, "application/json").body(body);
        self.ask(request).await?.done(connection)?;
        // Whatever is left of it: asking for more could cost one more refresh.
        self.fetch(connection, Duration::ZERO).await
    }

    fn url(&self, connection: ConnectionId, verb: &str) -> Url {
        let mut url = self.settings.base_url.clone();
        url.set_path(&format!("{}/api/connections/{connection}/{verb}", url.path().trim_end_matches('/')));
        url
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Reply, TokenError> {
        let request = request.header(AUTHORIZATION, self.authorization.clone()).header(ACCEPT, "application/json");
        tokio::select! {
            biased;
            reply = Reply::receive(request) => reply,
            () = self.settings.clock.sleep(self.settings.call_timeout) => Err(wire::away("it did not answer in time")),
        }
    }
}

fn check(base_url: &Url, allow_plain_http: bool) -> Result<(), ClientError> {
    let is_here = match base_url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_safe = match base_url.scheme() {
        "https" => true,
        "http" => allow_plain_http || is_here,
        _ => false,
    };
    let is_bare = base_url.username().is_empty()
        && base_url.password().is_none()
        && base_url.query().is_none()
        && base_url.fragment().is_none();
    if is_safe && is_bare { Ok(()) } else { Err(ClientError::Address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_crosses_no_network_in_the_clear_unless_it_is_allowed() {
        let fits = |url: &str, allow| check(&url.parse().unwrap(), allow).is_ok();
        for url in ["https://evergrant.example.com", "http://127.0.0.1:8080/", "http://[::1]/x", "http://localhost"] {
            assert!(fits(url, false), "{url}");
        }
        assert!(!fits("http://evergrant-api:8080", false) && fits("http://evergrant-api:8080", true));
        for url in ["ftp://x/", "https://user@x/", "https://x/?a", "https://x/#a", "data:,x"] {
            assert!(!fits(url, true), "{url}");
        }
    }
}
