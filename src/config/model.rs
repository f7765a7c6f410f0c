//! The typed configuration. What each setting means, its unit and its default stand in `config.default.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ::url::Url;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::BackOff;
use serde::{Deserialize, Serialize};

use super::field::{date, list, millis, path, secret, secs, share, text, url};

/// Everything that can be set. Serializing it shows secrets as `<set>`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Embedded or cluster.
    pub mode: Mode,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Folder for what must survive a restart.
    pub data_dir: PathBuf,
    /// Provider descriptors of the user's own.
    #[serde(with = "path")]
    pub provider_file: Option<PathBuf>,
    /// How long a stopping process may finish what is in flight.
    #[serde(rename = "shutdown_deadline_secs", with = "secs")]
    pub shutdown_deadline: Duration,
    /// PostgreSQL.
    pub database: Database,
    /// RabbitMQ.
    pub broker: Broker,
    /// What tokens are encrypted with.
    pub keys: Keys,
    /// Finds what is due.
    pub scheduler: Scheduler,
    /// Does the jobs.
    pub worker: Worker,
    /// Forced refreshes.
    pub force: Force,
    /// The HTTP API.
    pub api: Api,
    /// Sessions of people.
    pub auth: Auth,
    /// Provider apps by their names.
    pub providers: BTreeMap<ProviderName, ProviderApp>,
    /// What is forgotten, and when.
    pub retention: Retention,
    /// What receivers are told.
    pub webhooks: Webhooks,
    /// What is counted for whom, and what follows from it.
    pub usage: Usage,
    /// Traces for a collector.
    pub telemetry: Telemetry,
    /// What is written to standard error.
    pub log: Log,
}

/// The two shapes of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One process on SQLite.
    Embedded,
    /// Many processes on PostgreSQL and RabbitMQ.
    Cluster,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Cluster => "cluster",
        })
    }
}

/// PostgreSQL.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Its URL.
    #[serde(with = "secret")]
    pub url: Option<Secret>,
    /// Connections kept open.
    pub pool_size: u32,
    /// How long a statement waits for a free connection.
    #[serde(rename = "acquire_timeout_ms", with = "millis")]
    pub acquire_timeout: Duration,
}

/// RabbitMQ.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Its URL.
    #[serde(with = "secret")]
    pub url: Option<Secret>,
    /// First part of the name of every queue and exchange.
    pub namespace: String,
    /// How long a publisher waits for a confirm.
    #[serde(rename = "publish_timeout_ms", with = "millis")]
    pub publish_timeout: Duration,
}

/// What tokens are encrypted with; [`crate::keys`] turns it into a keyring.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// One Fernet key or several, separated by commas.
    #[serde(with = "secret")]
    pub fernet_key: Option<Secret>,
    /// A file that holds the same.
    #[serde(with = "path")]
    pub fernet_key_file: Option<PathBuf>,
    /// Rows encrypted again in a second, in the background; 0: none.
    pub reencrypt_per_second: u32,
    /// Days after which an embedded process makes a new key by itself; 0: never.
    pub rotate_every_days: u32,
}

/// Finds what is due.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduler {
    /// How often the whole schedule is looked at.
    #[serde(with = "secs")]
    pub refresh_interval: Duration,
    /// How long before its end a token is refreshed, at most.
    #[serde(with = "secs")]
    pub refresh_buffer: Duration,
    /// How often the earliest refresh is asked for.
    #[serde(rename = "wake_check_ms", with = "millis")]
    pub wake_check: Duration,
    /// Due connections read at once.
    pub page_size: u32,
    /// The most jobs published in a second.
    pub publish_per_second: u32,
    /// When a connection that is still due is published again.
    #[serde(rename = "republish_after_secs", with = "secs")]
    pub republish_after: Duration,
    /// Messages that wait in the queue, at most.
    pub queue_high_water: u64,
    /// How long leadership lasts without being renewed.
    #[serde(rename = "lead_ttl_secs", with = "secs")]
    pub lead_ttl: Duration,
}

/// Does the jobs.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// Scheduled refreshes in hand at once.
    pub concurrency_due: u32,
    /// Forced refreshes in hand at once.
    pub concurrency_force: u32,
    /// How long a lease is good for.
    #[serde(rename = "lease_ms", with = "millis")]
    pub lease: Duration,
    /// How long a lapsed lease is contested before it is taken over.
    #[serde(rename = "takeover_grace_ms", with = "millis")]
    pub takeover_grace: Duration,
    /// Quick tries inside one job, the first included.
    pub tries: u32,
    /// How long a job waits for the provider's rate limit.
    #[serde(rename = "admit_patience_ms", with = "millis")]
    pub admit_patience: Duration,
    /// How long a connection to the provider may take to open.
    #[serde(rename = "connect_timeout_ms", with = "millis")]
    pub connect_timeout: Duration,
    /// How long one call may take, from connecting to the last byte.
    #[serde(rename = "call_timeout_ms", with = "millis")]
    pub call_timeout: Duration,
    /// What the write of a result may take.
    #[serde(rename = "commit_budget_ms", with = "millis")]
    pub commit_budget: Duration,
    /// Wait after the first job that did not succeed.
    #[serde(rename = "back_off_first_secs", with = "secs")]
    pub back_off_first: Duration,
    /// The longest such wait.
    #[serde(rename = "back_off_cap_secs", with = "secs")]
    pub back_off_cap: Duration,
    /// Jobs in a row that did not succeed until the connection is `failing`.
    pub max_attempts: u32,
    /// Between two probes of a provider app in an outage.
    #[serde(rename = "outage_probe_secs", with = "secs")]
    pub outage_probe: Duration,
    /// Between two probes of a provider app at fault.
    #[serde(rename = "fault_probe_secs", with = "secs")]
    pub fault_probe: Duration,
    /// Folder of the spool, if not `data_dir/spool`.
    #[serde(with = "path")]
    pub spool_dir: Option<PathBuf>,
}

/// Forced refreshes.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Force {
    /// How often a call is repeated, at most, after its token was refused.
    pub max_retries: u32,
    /// How long a request waits for the outcome.
    #[serde(rename = "wait_ms", with = "millis")]
    pub wait: Duration,
    /// Requests that wait at once, at most.
    pub waiters_max: usize,
    /// How long a failure answers everybody who asks.
    #[serde(rename = "cool_down_ms", with = "millis")]
    pub cool_down: Duration,
    /// How long a token counts as just issued.
    #[serde(rename = "fresh_secs", with = "secs")]
    pub fresh: Duration,
}

/// The HTTP API.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// The address that browsers know it by.
    #[serde(with = "url")]
    pub public_url: Option<Url>,
    /// Where the front end is.
    #[serde(with = "url")]
    pub frontend_url: Option<Url>,
    /// Origins whose pages may call it.
    #[serde(with = "list")]
    pub allowed_origins: Vec<String>,
    /// Proxies in front.
    pub trusted_proxies: u32,
    /// The longest request.
    #[serde(rename = "request_timeout_ms", with = "millis")]
    pub request_timeout: Duration,
    /// How long headers may take to arrive.
    #[serde(rename = "header_timeout_ms", with = "millis")]
    pub header_timeout: Duration,
    /// The longest body.
    #[serde(rename = "body_max_bytes")]
    pub body_max: usize,
    /// The longest body of an AMC call.
    #[serde(rename = "amc_body_max_bytes")]
    pub amc_body_max: usize,
    /// How long an AMC call may take until its answer begins.
    #[serde(rename = "amc_timeout_ms", with = "millis")]
    pub amc_timeout: Duration,
    /// How long an AMC call that is throttled waits in all.
    #[serde(rename = "amc_throttle_budget_ms", with = "millis")]
    pub amc_throttle_budget: Duration,
    /// Requests in hand at once.
    pub in_flight_max: usize,
    /// Event streams open at once.
    pub streams_max: usize,
    /// Requests of the sign-in routes in a minute from one address.
    pub auth_per_minute: u32,
    /// Requests of the sign-in and refresh routes in a minute by one user or key.
    pub auth_per_minute_user: u32,
}

/// Sessions of people; [`crate::keys`] makes the secret.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// What sessions are signed with.
    #[serde(with = "secret")]
    pub secret: Option<Secret>,
    /// A file that holds the same.
    #[serde(with = "path")]
    pub secret_file: Option<PathBuf>,
    /// How long an access token of a session lives.
    #[serde(rename = "access_token_secs", with = "secs")]
    pub access_token: Duration,
    /// A session that is not used for so long ends.
    #[serde(rename = "session_idle_secs", with = "secs")]
    pub session_idle: Duration,
    /// A session ends after this in any case.
    #[serde(rename = "session_max_secs", with = "secs")]
    pub session_max: Duration,
    /// How long the former session token is tolerated.
    #[serde(rename = "rotation_grace_secs", with = "secs")]
    pub rotation_grace: Duration,
    /// The provider app that people sign in with.
    pub sign_in_provider: ProviderName,
    /// Whether people who are not known may sign in.
    pub open_sign_up: bool,
    /// Where the provider sends people back to.
    #[serde(with = "url")]
    pub redirect_uri: Option<Url>,
}

/// One provider app. Its defaults are those of `[providers.amazon-na]` in `config.default.toml`; a test compares them.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderApp {
    /// The client id.
    #[serde(with = "text")]
    pub client_id: Option<String>,
    /// The client secret.
    #[serde(with = "secret")]
    pub client_secret: Option<Secret>,
    /// The client secret that comes next.
    #[serde(with = "secret")]
    pub client_secret_next: Option<Secret>,
    /// The last day of the client secret, if it ends.
    #[serde(with = "date")]
    pub client_secret_expires_at: Option<chrono::NaiveDate>,
    /// Replaces the descriptor's token endpoint.
    #[serde(with = "url")]
    pub token_url: Option<Url>,
    /// Replaces the descriptor's consent page.
    #[serde(with = "url")]
    pub authorize_url: Option<Url>,
    /// Replaces the descriptor's API host.
    #[serde(with = "url")]
    pub api_url: Option<Url>,
    /// Replaces the host that is asked who has signed in.
    #[serde(with = "url")]
    pub identity_url: Option<Url>,
    /// Replaces the descriptor's scopes.
    #[serde(with = "text")]
    pub scope: Option<String>,
    /// The most calls in a second; 0: what the descriptor says.
    pub requests_per_second: u32,
    /// Lets the URLs be plain http on other hosts than this one.
    pub allow_plain_http: bool,
}

/// What receivers are told.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Receivers may be called by plain http.
    pub allow_http: bool,
    /// Networks inside that may be called.
    #[serde(with = "list")]
    pub allow_networks: Vec<String>,
    /// How long one try may take.
    #[serde(rename = "timeout_ms", with = "millis")]
    pub timeout: Duration,
    /// Tries under way at once.
    pub concurrency: u32,
    /// How often there is a look for something to deliver.
    #[serde(rename = "look_every_ms", with = "millis")]
    pub look_every: Duration,
    /// An endpoint with nothing but failures for so many days is disabled.
    pub disable_after_days: u32,
}

/// What is forgotten, and when.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Failed jobs that were dealt with, and attempts, are kept for so many days.
    pub days: u32,
}

/// What is counted for whom, and what follows from it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Days that are kept.
    pub keep_days: u32,
    /// Days without use after which a connection rests; 0: none rests.
    pub rest_after_days: u32,
}

impl Usage {
    /// After how long without use a connection rests.
    pub fn rest_after(&self) -> Option<Duration> {
        (self.rest_after_days > 0).then(|| Duration::from_hours(24) * self.rest_after_days)
    }
}

/// Traces for a collector of OpenTelemetry.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// The collector.
    #[serde(with = "url")]
    pub otlp_endpoint: Option<Url>,
    /// Headers of every request to it.
    #[serde(with = "secret")]
    pub otlp_headers: Option<Secret>,
    /// The name of the service.
    pub service_name: String,
    /// Which traces are made.
    pub traces_sampler: TracesSampler,
    /// The share that a `traceidratio` sampler makes.
    #[serde(with = "share")]
    pub traces_sampler_arg: f64,
}

/// Which traces are made, by the names that OpenTelemetry gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TracesSampler {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// A share.
    #[serde(rename = "traceidratio")]
    TraceIdRatio,
    /// All, or as the caller has decided.
    #[serde(rename = "parentbased_always_on")]
    ParentBasedAlwaysOn,
    /// None, or as the caller has decided.
    #[serde(rename = "parentbased_always_off")]
    ParentBasedAlwaysOff,
    /// A share, or as the caller has decided.
    #[serde(rename = "parentbased_traceidratio")]
    ParentBasedTraceIdRatio,
}

/// What is written to standard error.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// The least level written, or directives for single targets.
    pub level: String,
}

/// The two forms of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Human,
    /// For machines: one JSON object a line.
    Json,
}

impl Config {
    /// The SQLite database of an embedded process.
    pub fn sqlite_path(&self) -> PathBuf {
        self.data_dir.join("evergrant.db")
    }

    /// The key file that an embedded process generates when no key is given.
    pub fn generated_key_path(&self) -> PathBuf {
        self.data_dir.join("fernet.key")
    }

    /// The file with what sessions are signed with, that an embedded process generates when none is given.
    pub fn generated_secret_path(&self) -> PathBuf {
        self.data_dir.join("session.key")
    }

    /// Where answers wait that could not be stored before the end.
    pub fn spool_path(&self) -> PathBuf {
        self.worker.spool_dir.clone().unwrap_or_else(|| self.data_dir.join("spool"))
    }
}

impl Worker {
    /// The waits between jobs of one connection that did not succeed.
    pub const fn back_off(&self) -> BackOff {
        BackOff { first: self.back_off_first, cap: self.back_off_cap }
    }
}

impl ProviderApp {
    /// The URLs that replace those of the descriptor, with the names of their settings.
    pub fn urls(&self) -> impl Iterator<Item = (&'static str, &Url)> {
        let urls = [
            ("token_url", &self.token_url),
            ("authorize_url", &self.authorize_url),
            ("api_url", &self.api_url),
            ("identity_url", &self.identity_url),
        ];
        urls.into_iter().filter_map(|(name, url)| Some((name, url.as_ref()?)))
    }
}
