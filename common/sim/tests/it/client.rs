//! A client of the simulator, as plain as can be.

use std::time::Duration;

use evergrant_sim::{LedgerEntry, Rotation, Sim, SimOptions};
use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

/// Far longer than any test needs: only a bug gets here.
const PATIENCE: Duration = Duration::from_secs(20);

/// A simulator and a connection pool of its own.
pub(crate) struct Bench {
    pub(crate) sim: Sim,
    pub(crate) http: Client,
    client_id: String,
    client_secret: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }

    /// A member that is text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.body)).to_owned()
    }

    pub(crate) fn error(&self) -> String {
        self.text("error")
    }
}

impl Bench {
    pub(crate) async fn start(options: SimOptions) -> Self {
        // Fails only when another test has installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE).build().unwrap();
        let client_id = options.client_id.clone();
        let client_secret = options.client_secrets[0].clone();
        Self { sim: Sim::start(options).await.unwrap(), http, client_id, client_secret }
    }

    pub(crate) async fn with(rotation: Rotation) -> Self {
        Self::start(SimOptions { rotation, ..SimOptions::default() }).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.sim.url().join(path).unwrap().to_string()
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Reply { status, headers, body: response.text().await? })
    }

    pub(crate) fn refresh_request(&self, refresh_token: &str) -> reqwest::RequestBuilder {
        self.http.post(self.sim.token_url()).form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
        ])
    }

    pub(crate) async fn try_refresh(&self, refresh_token: &str) -> Result<Reply, reqwest::Error> {
        self.send(self.refresh_request(refresh_token)).await
    }

    /// Refreshes; the network is expected to work.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Reply {
        self.try_refresh(refresh_token).await.unwrap()
    }

    /// Refreshes with success; returns the new refresh token.
    pub(crate) async fn rotate(&self, refresh_token: &str) -> String {
        let reply = self.refresh(refresh_token).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.text("refresh_token")
    }

    /// Refreshes and expects `invalid_grant`.
    pub(crate) async fn refuse(&self, refresh_token: &str) {
        let reply = self.refresh(refresh_token).await;
        assert_eq!((reply.status.as_u16(), reply.error().as_str()), (400, "invalid_grant"), "{reply:?}");
    }

    /// Calls `/v2/profiles`.
    pub(crate) async fn profiles(&self, access_token: &str) -> Reply {
        self.get("/v2/profiles", access_token, &[]).await
    }

    pub(crate) async fn get(&self, path: &str, access_token: &str, headers: &[(&str, &str)]) -> Reply {
        let request = self.http.get(self.url(path));
        self.send(self.authorize(request, access_token, headers)).await.unwrap()
    }

    pub(crate) fn authorize(
        &self,
        request: reqwest::RequestBuilder,
        access_token: &str,
        headers: &[(&str, &str)],
    ) -> reqwest::RequestBuilder {
        let request =
            request.bearer_auth(access_token).header("Amazon-Advertising-API-ClientId", self.client_id.as_str());
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    }

    /// Uses the simulator's own interface.
    pub(crate) async fn control(&self, method: Method, path: &str, body: Value) -> Reply {
        let request = self.http.request(method, self.url(path)).header("content-type", "application/json");
        self.send(request.body(body.to_string())).await.unwrap()
    }

    /// Sets a fault over HTTP.
    pub(crate) async fn fault(&self, fault: Value) {
        let reply = self.control(Method::PUT, "/sim/faults", fault).await;
        assert_eq!(reply.status, 204, "{reply:?}");
    }

    pub(crate) async fn clear(&self) {
        assert_eq!(self.control(Method::DELETE, "/sim/faults", json!(null)).await.status, 204);
    }

    pub(crate) fn entry(&self, user: &str) -> LedgerEntry {
        self.sim.ledger().into_iter().find(|entry| entry.user_id == user).unwrap()
    }

    /// Waits for the simulator to have noticed something.
    pub(crate) async fn until(&self, noticed: impl Fn(&Sim) -> bool) {
        let watch = async {
            while !noticed(&self.sim) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, watch).await.expect("the simulator never noticed");
    }
}
