//! Asks the API of a world as browsers and services do.

use std::time::Duration;

use reqwest::header::{COOKIE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use reqwest::{Method, StatusCode, redirect};
use serde_json::Value;

/// Longer than any wait that a test configures.
const PATIENCE: Duration = Duration::from_secs(90);

/// A client that follows no redirect by itself.
pub(super) fn browser() -> reqwest::Client {
    // Whichever test comes first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(PATIENCE).build().unwrap()
}

/// One caller of one process's API, with the cookies that it was given.
#[derive(Clone)]
pub(crate) struct Caller {
    base: String,
    http: reqwest::Client,
    bearer: Option<String>,
    cookies: Vec<(String, String)>,
    headers: HeaderMap,
}

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}: this is no JSON: {}", self.status, self.text))
    }

    /// The last part of the problem's type; empty if it is none.
    pub(crate) fn problem(&self) -> String {
        let json: Value = serde_json::from_str(&self.text).unwrap_or_default();
        json["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default().to_owned()
    }

    /// Where it points to.
    pub(crate) fn location(&self) -> &str {
        self.headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Fails the test unless it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

impl Caller {
    /// Somebody whom nobody knows, at this address.
    pub(crate) fn new(address: &str) -> Self {
        Self {
            base: format!("http://{address}"),
            http: browser(),
            bearer: None,
            cookies: Vec::new(),
            headers: HeaderMap::new(),
        }
    }

    /// With this token or key.
    pub(crate) fn with_bearer(mut self, bearer: &str) -> Self {
        self.bearer = Some(bearer.to_owned());
        self
    }

    /// With this header in every request.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// The same caller at another process.
    pub(crate) fn at(&self, address: &str) -> Self {
        Self { base: format!("http://{address}"), ..self.clone() }
    }

    /// The value of a cookie that it was given.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Asks without keeping what cookies come back.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).headers(self.headers.clone());
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, pairs.join("; ")).header("x-requested-with", "e2e");
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("no answer from {path}: {error:?}"));
        let (status, headers) = (response.status(), response.headers().clone());
        Reply { status, headers, text: response.text().await.unwrap() }
    }

    /// `GET`, keeping cookies.
    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        let reply = self.ask(Method::GET, path, None).await;
        self.keep_cookies(&reply);
        reply
    }

    /// `POST`, keeping cookies.
    pub(crate) async fn post(&mut self, path: &str, body: Option<&Value>) -> Reply {
        let reply = self.ask(Method::POST, path, body).await;
        self.keep_cookies(&reply);
        reply
    }

    /// Keeps the cookies of an answer as a browser does.
    pub(crate) fn keep_cookies(&mut self, reply: &Reply) {
        for cookie in reply.headers.get_all(SET_COOKIE).iter().map(HeaderValue::to_str) {
            let pair = cookie.unwrap().split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}
