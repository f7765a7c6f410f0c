//! The provider apps that the configuration describes.

use std::sync::Arc;

use anyhow::Context as _;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::{Clock, Provider};
use evergrant_provider::{Credentials, Descriptor, HttpProvider, Overrides, Registry, Timeouts};
use url::Url;

use crate::config::{Config, ProviderApp};

/// Every known provider, the user's own file among them.
pub fn registry(config: &Config) -> anyhow::Result<Registry> {
    let own = match &config.provider_file {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path);
            Some(text.with_context(|| format!("provider_file {} cannot be read", path.display()))?)
        }
    };
    Ok(Registry::load(own.as_deref())?)
}

/// The provider apps that have a client id and a secret, ready to be called.
pub fn configured(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<Arc<dyn Provider>>> {
    let timeouts = Timeouts { connect: config.worker.connect_timeout, call: config.worker.call_timeout };
    let mut providers: Vec<Arc<dyn Provider>> = Vec::new();
    for (descriptor, credentials) in described(config)? {
        providers.push(Arc::new(HttpProvider::new(descriptor, credentials, timeouts, Arc::clone(clock))?));
    }
    Ok(providers)
}

/// Where each configured app's tokens come from.
pub fn token_urls(config: &Config) -> anyhow::Result<Vec<(ProviderName, Url)>> {
    Ok(described(config)?.into_iter().map(|(descriptor, _)| (descriptor.name, descriptor.token_url)).collect())
}

fn described(config: &Config) -> anyhow::Result<Vec<(Descriptor, Credentials)>> {
    let registry = registry(config)?;
    let mut found = Vec::new();
    for (name, app) in &config.providers {
        let Some(credentials) = credentials(app) else { continue };
        let overridden = registry.get(name)?.clone().with_overrides(&overrides(app));
        found.push((overridden.with_context(|| format!("providers.{name}"))?, credentials));
    }
    Ok(found)
}

fn credentials(app: &ProviderApp) -> Option<Credentials> {
    Some(Credentials {
        client_id: app.client_id.clone()?,
        client_secret: app.client_secret.clone()?,
        next_client_secret: app.client_secret_next.clone(),
    })
}

fn overrides(app: &ProviderApp) -> Overrides {
    let text = |url: &Option<Url>| url.as_ref().map(Url::to_string);
    Overrides {
        token_url: text(&app.token_url),
        authorize_url: text(&app.authorize_url),
        api_url: text(&app.api_url),
        requests_per_second: (app.requests_per_second > 0).then_some(app.requests_per_second),
        allow_plain_http: app.allow_plain_http,
    }
}
