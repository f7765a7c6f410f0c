//! What the product is compared with: other ways to refresh the same rows, each a process of its own.
//!
//! They use the product's tables, its ciphertexts and its HTTP client, so that what differs is the way and nothing else.

pub mod floor;
pub mod floor_sqlite;
pub mod naive;

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use evergrant_contract::secret::Secret;
use evergrant_vault::Keyring;
use reqwest::Client;
use serde::Deserialize;
use uuid::Uuid;

use crate::rows::{self, Sealed};

/// Calls of the provider under way at once.
pub(crate) const IN_FLIGHT: usize = 64;

/// Where a baseline works.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// PostgreSQL, or the file of SQLite
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database: String,
    /// RabbitMQ
    #[arg(long, env = "AMQP_URL", hide_env_values = true, default_value = "")]
    pub amqp: String,
    /// The token endpoint
    #[arg(long)]
    pub token_url: String,
    /// Rows that are due
    #[arg(long)]
    pub due: usize,
    /// The key of the rows
    #[arg(long, env = "FERNET_KEY", hide_env_values = true)]
    pub fernet_key: String,
}

/// What every refresh needs.
pub(crate) struct Kit {
    keyring: Keyring,
    client: Client,
    token_url: String,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    refresh_token: String,
    expires_in: u32,
}

/// What a refresh came to.
pub(crate) struct Refreshed {
    pub(crate) id: Uuid,
    pub(crate) sealed: Sealed,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) refresh_at: DateTime<Utc>,
}

impl Kit {
    pub(crate) fn new(place: &Place) -> Result<Self> {
        // Installed once; a second try is refused and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            keyring: Keyring::parse(&Secret::new(place.fernet_key.as_str()))?,
            client: Client::builder().timeout(Duration::from_secs(10)).build()?,
            token_url: place.token_url.clone(),
        })
    }

    /// Decrypts, asks the provider, encrypts.
    #[expect(clippy::disallowed_methods, reason = "a baseline works in real time")]
    pub(crate) async fn refresh(&self, id: Uuid, refresh_token: String) -> Result<Refreshed> {
        let refresh_token = rows::open(&self.keyring, id, refresh_token)?;
        let sent_at = Utc::now();
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose()),
            ("client_id", "amzn1.application-oa2-client.bench"),
            ("client_secret", "a-client-secret-of-the-bench"),
        ];
        let response = self.client.post(&self.token_url).form(&form).send().await?.error_for_status()?;
        let answer: Answer = serde_json::from_slice(&response.bytes().await?).context("no tokens in the answer")?;
        let expires_at = sent_at + TimeDelta::seconds(i64::from(answer.expires_in));
        Ok(Refreshed {
            id,
            sealed: rows::seal(&self.keyring, id, &answer.access_token, &answer.refresh_token),
            expires_at,
            refresh_at: expires_at - TimeDelta::minutes(15),
        })
    }
}
