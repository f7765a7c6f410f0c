//! The provider apps that the configuration describes.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use evergrant_amc::Target;
use evergrant_api::ProviderApp;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::{Clock, Provider};
use evergrant_provider::{Credentials, Descriptor, HttpProvider, Overrides, Registry, Timeouts};
use url::Url;

use crate::client_secrets;
use crate::config::{self, Config};

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
pub fn apps(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<BTreeMap<ProviderName, ProviderApp>> {
    let timeouts = Timeouts { connect: config.worker.connect_timeout, call: config.worker.call_timeout };
    let (ends, mut apps) = (client_secrets::ends(config), BTreeMap::new());
    for (descriptor, credentials) in described(config)? {
        let name = descriptor.name.clone();
        let client_id = credentials.client_id.clone();
        let api_url = descriptor.api_url.clone();
        let target = api_url.map(|api_url| Target { provider: name.clone(), api_url, client_id });
        let app = Arc::new(HttpProvider::new(descriptor, credentials, timeouts, Arc::clone(clock))?);
        let client_secret_ends_at = ends.get(&name).copied();
        apps.insert(
            name,
            ProviderApp { consents: Arc::clone(&app) as _, provider: app, target, client_secret_ends_at },
        );
    }
    Ok(apps)
}

/// The same, for those who only refresh.
pub fn configured(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<Arc<dyn Provider>>> {
    Ok(apps(config, clock)?.into_values().map(|app| app.provider).collect())
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

fn credentials(app: &config::ProviderApp) -> Option<Credentials> {
    Some(Credentials {
        client_id: app.client_id.clone()?,
        client_secret: app.client_secret.clone()?,
        next_client_secret: app.client_secret_next.clone(),
    })
}

fn overrides(app: &config::ProviderApp) -> Overrides {
    let text = |url: &Option<Url>| url.as_ref().map(Url::to_string);
    Overrides {
        token_url: text(&app.token_url),
        authorize_url: text(&app.authorize_url),
        api_url: text(&app.api_url),
        identity_url: text(&app.identity_url),
        scopes: app.scope.as_ref().map(|scope| scope.split_whitespace().map(str::to_owned).collect()),
        requests_per_second: (app.requests_per_second > 0).then_some(app.requests_per_second),
        allow_plain_http: app.allow_plain_http,
    }
}
