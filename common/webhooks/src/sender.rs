//! One signed request, and what came of it.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ports::Clock;
use evergrant_contract::webhook::{DeliveryAttempt, EndpointSecrets, Message};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, redirect};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

use crate::resolver::{Guarded, Lookup};
use crate::rules::Rules;
use crate::scrub::scrub;

/// Bytes of an answer that are read.
const ANSWER_MAX: usize = 1024;

/// Why there is no sender.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// The HTTP client could not be made.
    #[error("the HTTP client for webhooks cannot be set up: {0}. Are the system's root certificates installed?")]
    Client(String),
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What may be kept and shown of it.
    pub attempt: DeliveryAttempt,
    /// The endpoint took the message.
    pub is_delivered: bool,
    /// The endpoint says that it is gone for good.
    pub is_gone: bool,
}

/// Sends messages, to addresses that may be called.
pub struct Sender {
    client: Client,
    rules: Rules,
    clock: Arc<dyn Clock>,
}

impl Sender {
    /// A sender with its own pool of connections.
    pub fn new(
        rules: Rules,
        timeout: Duration,
        lookup: Arc<dyn Lookup>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SenderError> {
        // The binary installs ring first of all; a library or a test that did not gets it here instead of a panic.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("Evergrant/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Guarded { rules: rules.clone(), lookup }))
            // A proxy would resolve the name itself, and a redirect would lead past the rules.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .https_only(!rules.allow_http)
            .timeout(timeout)
            .connect_timeout(timeout)
            .pool_max_idle_per_host(2)
            .referer(false)
            .build()
            .map_err(|error| SenderError::Client(story(&error)))?;
        Ok(Self { client, rules, clock })
    }

    /// What may be called.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Sends a message. Never fails: no answer is an answer too.
    pub async fn send(&self, url: &str, secrets: Option<&EndpointSecrets>, message: &Message) -> Answered {
        let (at, began) = (self.clock.now(), self.clock.monotonic());
        let result = match secrets {
            Some(secrets) => self.request(url, secrets, message, at.timestamp()).await,
            None => {
                Err("No key of the keyring opens the endpoint's secret: rotate it, or give the key back".to_owned())
            }
        };
        let duration = self.clock.monotonic().saturating_sub(began);
        let (status, text) = match result {
            Ok((status, text)) => (Some(status), text),
            Err(problem) => (None, problem),
        };
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Answered {
            is_delivered: status.is_some_and(|status| (200..300).contains(&status)),
            is_gone: status == Some(410),
            attempt: DeliveryAttempt { at, status, message: text, duration_ms },
        }
    }

    async fn request(
        &self,
        url: &str,
        secrets: &EndpointSecrets,
        message: &Message,
        timestamp: i64,
    ) -> Result<(u16, String), String> {
        // Looked at anew: the rules may have changed since it was taken.
        let url = self.rules.url(url).map_err(|refusal| format!("The URL is refused: {refusal}"))?;
        let id = message.id.to_string();
        let signature = signature(secrets, &id, timestamp, &message.payload)?;
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(HEADER_WEBHOOK_ID, &id)
            .header(HEADER_WEBHOOK_TIMESTAMP, timestamp)
            .header(HEADER_WEBHOOK_SIGNATURE, signature)
            .body(message.payload.clone());
        let response = request.send().await.map_err(|error| story(&error.without_url()))?;
        let status = response.status().as_u16();
        Ok((status, scrub(&beginning(response).await)))
    }
}

/// The signature by each secret that is good: the former one too, for a while after a rotation. The error names no secret.
pub fn signature(secrets: &EndpointSecrets, id: &str, timestamp: i64, payload: &str) -> Result<String, String> {
    let sign = |secret: &evergrant_contract::secret::Secret| {
        // The error may quote the secret.
        let webhook = Webhook::new(secret.expose()).map_err(|_| "The endpoint's secret cannot be used: rotate it")?;
        webhook.sign(id, timestamp, payload.as_bytes()).map_err(|_| "The message cannot be signed")
    };
    let both = [Some(&secrets.current), secrets.former.as_ref()].into_iter().flatten();
    let signatures: Result<Vec<_>, _> = both.map(sign).collect();
    Ok(signatures?.join(" "))
}

/// The first bytes of an answer. The rest is never read: the connection is given up instead.
async fn beginning(mut response: Response) -> String {
    let mut body = Vec::new();
    while body.len() < ANSWER_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_MAX - body.len())]),
            Ok(None) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// What went wrong, without the URL: its path may be a secret.
fn story(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "No answer in time".to_owned() } else { "No answer".to_owned() };
    let mut cause = error.source();
    while let Some(why) = cause {
        if why.source().is_none() {
            text = format!("{text}: {why}");
        }
        cause = why.source();
    }
    scrub(&text)
}
