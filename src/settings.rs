//! What the components are told, out of the configuration.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use evergrant_api::{ApiSettings, AuthSettings, ForceSettings};
use evergrant_contract::usage::Present;
use evergrant_scheduler::SchedulerSettings;
use evergrant_webhooks::{DeliverySettings, Rules};
use evergrant_workers::WorkerSettings;
use url::Url;

use crate::config::Config;

const DAY: Duration = Duration::from_hours(24);

/// How long a person may take at the provider's consent page.
const CONSENT_PATIENCE: Duration = Duration::from_mins(10);

/// What workers are told.
pub fn worker(config: &Config) -> WorkerSettings {
    let worker = &config.worker;
    WorkerSettings {
        concurrency_due: worker.concurrency_due,
        concurrency_force: worker.concurrency_force,
        lease: worker.lease,
        takeover_grace: worker.takeover_grace,
        tries: worker.tries,
        commit_budget: worker.commit_budget,
        admit_patience: worker.admit_patience,
        rest_after: config.usage.rest_after(),
        buffer: config.scheduler.refresh_buffer,
        back_off: worker.back_off(),
        max_attempts: worker.max_attempts,
        outage_probe_every: worker.outage_probe,
        fault_probe_every: worker.fault_probe,
    }
}

/// What the scheduler is told.
pub fn scheduler(config: &Config) -> SchedulerSettings {
    let scheduler = &config.scheduler;
    SchedulerSettings {
        refresh_interval: scheduler.refresh_interval,
        wake_check: scheduler.wake_check,
        page_size: scheduler.page_size,
        publish_rate: scheduler.publish_per_second,
        queue_high_water: scheduler.queue_high_water,
        republish_after: scheduler.republish_after,
        lead_ttl: scheduler.lead_ttl,
        retention: DAY * config.retention.days,
    }
}

/// What suggestions are measured against.
pub fn usage(config: &Config) -> Present {
    Present { buffer: config.scheduler.refresh_buffer, rest_after: config.usage.rest_after() }
}

/// Where webhooks may be sent. What is no network was refused when the configuration was checked.
pub fn webhook_rules(config: &Config) -> Rules {
    let webhooks = &config.webhooks;
    let allow_networks = webhooks.allow_networks.iter().filter_map(|network| network.parse().ok()).collect();
    Rules { allow_http: webhooks.allow_http, allow_networks }
}

/// What deliverers of webhooks are told.
pub fn deliveries(config: &Config) -> DeliverySettings {
    let webhooks = &config.webhooks;
    DeliverySettings {
        timeout: webhooks.timeout,
        concurrency: webhooks.concurrency,
        look_every: webhooks.look_every,
        disable_after: DAY * webhooks.disable_after_days,
    }
}

/// What the API is told, when it listens on this address.
pub fn api(config: &Config, listens_on: SocketAddr) -> anyhow::Result<ApiSettings> {
    let (api, auth, force) = (&config.api, &config.auth, &config.force);
    let own = || Url::parse(&format!("http://{listens_on}")).context("the address to listen on makes no URL");
    let public_url = api.public_url.clone().map_or_else(own, Ok)?;
    let callback = || public_url.join("api/auth/amazon/callback").context("api.public_url");
    Ok(ApiSettings {
        frontend_url: api.frontend_url.clone().unwrap_or_else(|| public_url.clone()),
        allowed_origins: api.allowed_origins.clone(),
        trusted_proxies: api.trusted_proxies,
        request_timeout: api.request_timeout,
        header_timeout: api.header_timeout,
        body_max: api.body_max,
        amc_body_max: api.amc_body_max,
        in_flight_max: api.in_flight_max,
        streams_max: api.streams_max,
        auth_per_minute: api.auth_per_minute,
        auth_per_minute_user: api.auth_per_minute_user,
        auth: AuthSettings {
            access_token: auth.access_token,
            session_idle: auth.session_idle,
            session_max: auth.session_max,
            rotation_grace: auth.rotation_grace,
            flow: CONSENT_PATIENCE,
            sign_in_provider: auth.sign_in_provider.clone(),
            open_sign_up: auth.open_sign_up,
            redirect_uri: auth.redirect_uri.clone().map_or_else(callback, Ok)?,
        },
        force: ForceSettings {
            deadline: force.wait,
            waiters_max: force.waiters_max,
            cool_down: force.cool_down,
            fresh: force.fresh,
        },
        refresh_buffer: config.scheduler.refresh_buffer,
        refresh_interval: config.scheduler.refresh_interval,
        usage: usage(config),
        public_url,
    })
}
