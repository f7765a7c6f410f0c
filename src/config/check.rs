//! Values that are fine by themselves and dangerous together: refused at the start, all at once.

use std::fmt;
use std::time::Duration;

use evergrant_contract::secret::Secret;
use url::Url;

use super::headers::headers_of;
use super::{Config, Mode};

/// The longest pause between two tries inside one job.
const TRY_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The pause before an `invalid_grant` is confirmed inside a job, by the descriptors that are compiled in.
pub(super) const CONFIRMATION_PAUSE: Duration = Duration::from_secs(3);

/// A setting, or several together, that the system must not run with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting to look at first.
    pub key: String,
    /// What would go wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.key, self.reason, self.remedy)
    }
}

/// Collects problems.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn refuse(&mut self, dangerous: bool, key: &str, reason: impl Into<String>, remedy: impl Into<String>) {
        if dangerous {
            self.0.push(Problem { key: key.to_owned(), reason: reason.into(), remedy: remedy.into() });
        }
    }
}

impl Config {
    /// Refuses dangerous combinations; every problem is told, not only the first.
    pub fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::default();
        self.check_mode(&mut problems);
        self.check_urls(&mut problems);
        self.check_scheduler(&mut problems);
        self.check_worker(&mut problems);
        self.check_lease(&mut problems);
        self.check_apps(&mut problems);
        self.check_api(&mut problems);
        self.check_auth(&mut problems);
        self.check_webhooks(&mut problems);
        self.check_zeros(&mut problems);
        self.check_telemetry(&mut problems);
        if problems.0.is_empty() { Ok(()) } else { Err(problems.0) }
    }

    /// What a worker may need of its lease when the provider is slow and an `invalid_grant` is confirmed after `pause`.
    pub fn lease_needed(&self, pause: Duration) -> Duration {
        let worker = &self.worker;
        let tries = (worker.call_timeout + TRY_PAUSE_MAX).saturating_mul(worker.tries);
        let confirmation = pause + worker.call_timeout;
        worker.admit_patience.saturating_add(tries).saturating_add(confirmation + worker.commit_budget)
    }

    fn check_mode(&self, problems: &mut Problems) {
        let (database, broker) = (self.database.url.is_some(), self.broker.url.is_some());
        let no_key = self.keys.fernet_key.is_none() && self.keys.fernet_key_file.is_none();
        match self.mode {
            Mode::Cluster => {
                let needed = "A cluster keeps its rows in PostgreSQL.";
                problems.refuse(!database, "database.url", needed, "Set DATABASE_URL.");
                let needed = "A cluster's jobs and events travel through RabbitMQ.";
                problems.refuse(!broker, "broker.url", needed, "Set AMQP_URL.");
                let reason = "Every process of a cluster must have the same key; one that made its own would write rows \
                              that no other can read.";
                let remedy = "Set FERNET_KEY, the same for all; `evergrant keys generate` makes one.";
                problems.refuse(no_key, "keys.fernet_key", reason, remedy);
            }
            Mode::Embedded => {
                let reason = "DATABASE_URL and AMQP_URL are set, and an embedded process would ignore both and start with \
                              an empty database of its own.";
                let remedy = "Set EVERGRANT_MODE=cluster, or unset them.";
                problems.refuse(database && broker, "mode", reason, remedy);
            }
        }
        let both = self.keys.fernet_key.is_some() && self.keys.fernet_key_file.is_some();
        let reason = "fernet_key and fernet_key_file are both set, and it is not clear which one is meant.";
        problems.refuse(both, "keys.fernet_key_file", reason, "Unset one of them.");
    }

    fn check_telemetry(&self, problems: &mut Problems) {
        let telemetry = &self.telemetry;
        let holds_secrets = |url: &Url| !url.username().is_empty() || url.password().is_some() || url.query().is_some();
        let dangerous = telemetry.otlp_endpoint.as_ref().is_some_and(holds_secrets);
        let reason = "A password or a key in the address of the collector would be told in errors.";
        let remedy = "Put it into telemetry.otlp_headers, such as authorization=Bearer%20...";
        problems.refuse(dangerous, "telemetry.otlp_endpoint", reason, remedy);

        let headers = telemetry.otlp_headers.as_ref().map(|headers| headers_of(headers.expose()));
        let reason = "It is not a list of name=value, separated by commas (it is not shown: keys may stand in it).";
        let remedy = "Write authorization=Bearer%20abc,x-tenant=blue, with values percent-encoded.";
        problems.refuse(matches!(headers, Some(None)), "telemetry.otlp_headers", reason, remedy);
    }

    fn check_urls(&self, problems: &mut Problems) {
        let wrong = |url: &Option<Secret>, schemes: &[&str]| {
            url.as_ref().is_some_and(|url| {
                Url::parse(url.expose()).map_or(true, |url| !schemes.contains(&url.scheme()) || !url.has_host())
            })
        };
        let (database, broker) = (&self.database.url, &self.broker.url);
        let reason = "It is not the URL of a PostgreSQL database (the value is not shown: it may hold a password).";
        let remedy = "Write postgres://user:password@host:5432/name, with special characters percent-encoded.";
        problems.refuse(wrong(database, &["postgres", "postgresql"]), "database.url", reason, remedy);
        let reason = "It is not the URL of a RabbitMQ broker (the value is not shown: it may hold a password).";
        let remedy =
            "Write amqp://user:password@host:5672/vhost or amqps://..., with special characters percent-encoded.";
        problems.refuse(wrong(broker, &["amqp", "amqps"]), "broker.url", reason, remedy);
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let namespace = &self.broker.namespace;
        let bad = namespace.is_empty() || namespace.len() > 64 || !namespace.chars().all(allowed);
        let reason = "It begins the names of queues and exchanges.";
        problems.refuse(bad, "broker.namespace", reason, "Use 1 to 64 letters, digits, `-`, `_` or `.`.");
    }

    fn check_scheduler(&self, problems: &mut Problems) {
        let scheduler = &self.scheduler;
        let buffer = scheduler.refresh_buffer;
        let reason = "With 0, a token is refreshed when it has ended already.";
        problems.refuse(buffer.is_zero(), "scheduler.refresh_buffer", reason, "Set it to 900 (seconds).");

        let slow = !buffer.is_zero() && scheduler.wake_check > buffer / 4;
        let reason = format!(
            "With a look every {} ms, a token may come close to its end before it is noticed: the buffer is {} s.",
            scheduler.wake_check.as_millis(),
            buffer.as_secs()
        );
        let remedy = format!("Set it to {} or less (1000 is the default).", (buffer / 4).as_millis());
        problems.refuse(slow, "scheduler.wake_check_ms", reason, remedy);

        let early = scheduler.republish_after < self.worker.lease;
        let lease_secs = self.worker.lease.as_millis().div_ceil(1000);
        let reason = format!(
            "Jobs would be published again after {} s while workers may still be at them: a lease lasts {lease_secs} s.",
            scheduler.republish_after.as_secs()
        );
        problems.refuse(
            early,
            "scheduler.republish_after_secs",
            reason,
            format!("Set it to {lease_secs} or more, or shorten worker.lease_ms."),
        );

        let short = scheduler.lead_ttl < Duration::from_secs(2);
        let reason = "A leader that renews so often loses its office at every hiccup of the store.";
        problems.refuse(short, "scheduler.lead_ttl_secs", reason, "Set it to 2 or more (10 is the default).");
    }

    fn check_worker(&self, problems: &mut Problems) {
        let worker = &self.worker;
        let reason = "Opening a connection is a part of the call, and may not take longer than the whole.";
        let dangerous = worker.connect_timeout > worker.call_timeout;
        problems.refuse(dangerous, "worker.connect_timeout_ms", reason, "Set it below worker.call_timeout_ms.");

        let reason = "The first wait is longer than the longest.";
        let dangerous = worker.back_off_first > worker.back_off_cap;
        problems.refuse(dangerous, "worker.back_off_first_secs", reason, "Set it below worker.back_off_cap_secs.");

        let needed = worker.call_timeout + worker.commit_budget;
        let reason = format!(
            "A call in flight and its write may take {} ms; aborted before, a rotated token could be lost.",
            needed.as_millis()
        );
        let remedy = format!("Set it to {} or more.", needed.as_millis().div_ceil(1000));
        problems.refuse(self.shutdown_deadline < needed, "shutdown_deadline_secs", reason, remedy);
    }

    fn check_lease(&self, problems: &mut Problems) {
        let (lease, needed) = (self.worker.lease, self.lease_needed(CONFIRMATION_PAUSE));
        let reason = format!(
            "A lease of {} ms can end while its holder is still at work, and another worker would spend the same refresh \
             token: {} tries of {} ms with their pauses, a confirmation and the write may take {} ms.",
            lease.as_millis(),
            self.worker.tries,
            self.worker.call_timeout.as_millis(),
            needed.as_millis()
        );
        let remedy = format!("Set it above {}, or lower worker.tries or worker.call_timeout_ms.", needed.as_millis());
        problems.refuse(lease <= needed, "worker.lease_ms", reason, remedy);
    }

    fn check_apps(&self, problems: &mut Problems) {
        for (name, app) in &self.providers {
            let key = |key: &str| format!("providers.{name}.{key}");
            let is_amazon = name.as_str().starts_with("amazon-");
            let naming = |setting: &str| {
                if is_amazon { format!("AMAZON_{}", setting.to_ascii_uppercase()) } else { key(setting) }
            };
            let (id, secret) = (app.client_id.is_some(), app.client_secret.is_some());
            let reason = "The app has a client id and no secret: the provider would refuse every refresh.";
            problems.refuse(id && !secret, &key("client_secret"), reason, format!("Set {}.", naming("client_secret")));
            let reason = "The app has a secret and no client id: it would not be refreshed at all.";
            problems.refuse(secret && !id, &key("client_id"), reason, format!("Set {}.", naming("client_id")));
            let reason = "The next secret is set and the current one is not.";
            let remedy = format!("Set {} too.", naming("client_secret"));
            let dangerous = app.client_secret_next.is_some() && !secret;
            problems.refuse(dangerous && !id, &key("client_secret_next"), reason, remedy);
            for (setting, url) in app.urls() {
                let readable = url.scheme() == "http" && !is_loopback(url) && !app.allow_plain_http;
                let reason = "Plain http to another host lets everybody on the way read refresh tokens and the client \
                              secret.";
                let remedy = format!("Use https; on a test network, set {} = true.", key("allow_plain_http"));
                problems.refuse(readable, &key(setting), reason, remedy);
            }
        }
    }

    fn check_api(&self, problems: &mut Problems) {
        let (api, force) = (&self.api, &self.force);
        let reason = format!(
            "A request that waits for a refresh may take {} ms, and would be cut off before it is answered.",
            force.wait.as_millis()
        );
        let remedy = format!("Set it above {}, or shorten force.wait_ms.", force.wait.as_millis());
        problems.refuse(api.request_timeout <= force.wait, "api.request_timeout_ms", reason, remedy);

        let reason = "Requests that wait for a refresh could fill the process, and nothing else would be answered.";
        let remedy = format!("Set it above force.waiters_max, which is {}.", force.waiters_max);
        problems.refuse(api.in_flight_max <= force.waiters_max, "api.in_flight_max", reason, remedy);

        for origin in &api.allowed_origins {
            let is_origin = Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            let reason = format!("`{origin}` is no origin: browsers send scheme, host and port, and nothing else.");
            let remedy = "Write https://app.example.com, without a path and without `*`.";
            problems.refuse(!is_origin, "api.allowed_origins", reason, remedy);
        }
        let readable = |url: &Option<Url>| url.as_ref().is_some_and(|url| url.scheme() == "http" && !is_loopback(url));
        let reason =
            "Browsers keep the session's cookie on https only (and on this machine): nobody could stay signed in.";
        let remedy = "Put a TLS proxy in front and write its https address.";
        problems.refuse(readable(&api.public_url), "api.public_url", reason, remedy);
    }

    fn check_auth(&self, problems: &mut Problems) {
        let auth = &self.auth;
        let both = auth.secret.is_some() && auth.secret_file.is_some();
        let reason = "secret and secret_file are both set, and it is not clear which one is meant.";
        problems.refuse(both, "auth.secret_file", reason, "Unset one of them.");

        let reason = "A session would end before the time that it may lie idle.";
        let dangerous = auth.session_idle > auth.session_max;
        problems.refuse(dangerous, "auth.session_idle_secs", reason, "Set it to auth.session_max_secs or less.");

        let reason = "A browser could not renew its access token before that ends: a session token is not replaced within \
                      the grace.";
        let remedy = "Set it below auth.access_token_secs (30 is the default).";
        problems.refuse(auth.rotation_grace >= auth.access_token, "auth.rotation_grace_secs", reason, remedy);

        let long = Duration::from_hours(1);
        let reason = "An access token that lives so long outlasts what it was given for.";
        let remedy = format!("Set it to {} or less (900 is the default).", long.as_secs());
        problems.refuse(auth.access_token > long, "auth.access_token_secs", reason, remedy);

        let name = &auth.sign_in_provider;
        let reason = format!("There is no section [providers.{name}]: nobody could sign in.");
        let missing = !self.providers.contains_key(name);
        problems.refuse(missing, "auth.sign_in_provider", reason, "Name a provider app that is configured.");
    }

    fn check_webhooks(&self, problems: &mut Problems) {
        for network in &self.webhooks.allow_networks {
            let is_network = network.parse::<evergrant_webhooks::IpNet>().is_ok();
            let reason = format!("`{network}` is no network.");
            problems.refuse(!is_network, "webhooks.allow_networks", reason, "Write 10.20.0.0/16 or fd12::/16.");
        }
    }

    fn check_zeros(&self, problems: &mut Problems) {
        let (scheduler, worker, api, auth) = (&self.scheduler, &self.worker, &self.api, &self.auth);
        let zeros = [
            ("shutdown_deadline_secs", self.shutdown_deadline.is_zero(), "nothing in flight would be finished"),
            ("database.pool_size", self.database.pool_size == 0, "no statement would ever run"),
            ("database.acquire_timeout_ms", self.database.acquire_timeout.is_zero(), "no statement would ever run"),
            (
                "broker.publish_timeout_ms",
                self.broker.publish_timeout.is_zero(),
                "no job would ever count as published",
            ),
            ("scheduler.refresh_interval", scheduler.refresh_interval.is_zero(), "the scheduler would never rest"),
            ("scheduler.wake_check_ms", scheduler.wake_check.is_zero(), "the scheduler would never rest"),
            ("scheduler.page_size", scheduler.page_size == 0, "nothing due would ever be found"),
            ("scheduler.publish_per_second", scheduler.publish_per_second == 0, "no job would ever be published"),
            ("scheduler.queue_high_water", scheduler.queue_high_water == 0, "no job would ever be published"),
            ("worker.concurrency_due", worker.concurrency_due == 0, "no scheduled refresh would ever be done"),
            ("worker.concurrency_force", worker.concurrency_force == 0, "no forced refresh would ever be done"),
            ("worker.tries", worker.tries == 0, "no token would ever be refreshed"),
            ("worker.connect_timeout_ms", worker.connect_timeout.is_zero(), "no call would ever succeed"),
            ("worker.call_timeout_ms", worker.call_timeout.is_zero(), "no call would ever succeed"),
            ("worker.max_attempts", worker.max_attempts == 0, "connections would be given up untried"),
            ("worker.back_off_first_secs", worker.back_off_first.is_zero(), "a failing provider would be hammered"),
            ("worker.outage_probe_secs", worker.outage_probe.is_zero(), "a provider in an outage would be hammered"),
            ("worker.fault_probe_secs", worker.fault_probe.is_zero(), "a provider that refuses us would be hammered"),
            ("force.wait_ms", self.force.wait.is_zero(), "nobody would ever hear of an outcome"),
            ("force.waiters_max", self.force.waiters_max == 0, "nobody could wait for a refresh"),
            ("api.header_timeout_ms", api.header_timeout.is_zero(), "no request would ever be read"),
            ("api.body_max_bytes", api.body_max == 0, "no request with a body would be taken"),
            ("api.amc_body_max_bytes", api.amc_body_max == 0, "no AMC call with a body would be taken"),
            ("api.amc_timeout_ms", api.amc_timeout.is_zero(), "no AMC call would ever be answered"),
            ("api.streams_max", api.streams_max == 0, "no page would hear of events"),
            ("api.auth_per_minute", api.auth_per_minute == 0, "nobody could sign in"),
            ("api.auth_per_minute_user", api.auth_per_minute_user == 0, "nobody could stay signed in"),
            ("auth.access_token_secs", auth.access_token.is_zero(), "nobody could stay signed in"),
            ("auth.session_idle_secs", auth.session_idle.is_zero(), "nobody could stay signed in"),
            ("auth.session_max_secs", auth.session_max.is_zero(), "nobody could stay signed in"),
            ("usage.keep_days", self.usage.keep_days == 0, "what was counted would be forgotten at once"),
            ("webhooks.timeout_ms", self.webhooks.timeout.is_zero(), "no webhook would ever arrive"),
            ("webhooks.concurrency", self.webhooks.concurrency == 0, "no webhook would ever be sent"),
            ("webhooks.look_every_ms", self.webhooks.look_every.is_zero(), "workers would never rest"),
            (
                "webhooks.disable_after_days",
                self.webhooks.disable_after_days == 0,
                "one failure would disable an endpoint",
            ),
            ("retention.days", self.retention.days == 0, "failed jobs would be forgotten before anybody reads them"),
        ];
        for (key, is_zero, consequence) in zeros {
            problems.refuse(is_zero, key, format!("With 0, {consequence}."), "Set it to 1 or more.");
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
