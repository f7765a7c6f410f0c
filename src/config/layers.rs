//! Where values come from: tables (the defaults, a file) and single settings (the environment, flags).

use std::collections::BTreeMap;
use std::path::Path;

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

use super::error::ConfigError;
use super::{DEFAULTS, Flag};

/// Every environment variable of ours starts so, but for the names that the original project gave.
const PREFIX: &str = "EVERGRANT_";

/// Variables with our prefix that are no settings: the file to read, switches of the test suite, and what callers of the API
/// keep in their shells (docs/API.md).
const NO_SETTINGS: &[&str] = &["EVERGRANT_API_KEY", "EVERGRANT_CONFIG", "EVERGRANT_REQUIRE_SERVICES", "EVERGRANT_URL"];
const NO_SETTINGS_PREFIX: &str = "EVERGRANT_TEST_";

/// Provider apps that the `AMAZON_` names stand for, together.
const AMAZON: &[&str] = &["amazon-na", "amazon-eu", "amazon-fe"];

/// The keys of a provider app are documented once, here.
const DOCUMENTED_APP: &str = "amazon-na";

/// Names that other software gave to settings of ours, used as they are.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("ALLOWED_ORIGINS", "api.allowed_origins"),
    ("AMAZON_OAUTH_REDIRECT_URI", "auth.redirect_uri"),
    ("AMQP_URL", "broker.url"),
    ("DATABASE_URL", "database.url"),
    ("FERNET_KEY", "keys.fernet_key"),
    ("FERNET_KEY_FILE", "keys.fernet_key_file"),
    ("FRONTEND_URL", "api.frontend_url"),
    ("JWT_SECRET_KEY", "auth.secret"),
    ("JWT_SECRET_KEY_FILE", "auth.secret_file"),
    ("MAX_RETRIES", "force.max_retries"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "telemetry.otlp_headers"),
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
    ("OTEL_TRACES_SAMPLER", "telemetry.traces_sampler"),
    ("OTEL_TRACES_SAMPLER_ARG", "telemetry.traces_sampler_arg"),
    ("REFRESH_BUFFER", "scheduler.refresh_buffer"),
    ("REFRESH_INTERVAL", "scheduler.refresh_interval"),
    ("RUST_LOG", "log.level"),
];

/// The keys of a provider app that `AMAZON_<KEY>` sets for all regions.
pub(super) const AMAZON_KEYS: &[&str] = &[
    "client_id",
    "client_secret",
    "client_secret_next",
    "client_secret_expires_at",
    "token_url",
    "authorize_url",
    "api_url",
    "identity_url",
    "scope",
];

/// A TOML text.
pub(super) struct Table {
    metadata: Metadata,
    dict: Dict,
}

impl Table {
    pub(super) fn defaults() -> Result<Self, ConfigError> {
        Self::parse("the defaults", DEFAULTS)
    }

    pub(super) fn file(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { file: name.clone(), source })?;
        Self::parse(&name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let dict = toml::from_str(text).map_err(|error| ConfigError::of_syntax(name, text, &error))?;
        Ok(Self { metadata: Metadata::named(name.to_owned()), dict })
    }
}

impl Provider for Table {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

/// One setting with its origin.
pub(super) struct Single {
    origin: String,
    path: Vec<String>,
    value: Value,
}

impl Provider for Single {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let mut value = self.value.clone();
        for key in self.path.iter().rev() {
            value = Value::from(Dict::from([(key.clone(), value)]));
        }
        Ok(Map::from([(Profile::Default, value.into_dict().unwrap_or_default())]))
    }
}

/// What an environment says.
pub(super) struct Environment {
    pub(super) settings: Vec<Single>,
    pub(super) notes: Vec<String>,
}

/// Every setting that can be named, with its default: tells how the text of a variable is to be read.
pub(super) struct KnownKeys {
    defaults: BTreeMap<String, Value>,
}

impl KnownKeys {
    pub(super) fn of(defaults: &Table) -> Self {
        let mut flat = BTreeMap::new();
        flatten("", &Value::from(defaults.dict.clone()), &mut flat);
        Self { defaults: flat }
    }

    /// Every setting, as `section.key`.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.defaults.keys().map(String::as_str)
    }

    /// Reads the variables that are settings. An empty one is not set. Own names come after those of others, and so win.
    pub(super) fn read(&self, env: &BTreeMap<String, String>) -> Environment {
        let mut found = Environment { settings: Vec::new(), notes: Vec::new() };
        let set = |name: &str| env.get(name).filter(|value| !value.is_empty());
        for (name, key) in ALIASES {
            found.settings.extend(set(name).map(|value| self.variable(name, key, value)));
        }
        for key in AMAZON_KEYS {
            let name = format!("AMAZON_{}", key.to_ascii_uppercase());
            for app in AMAZON {
                let key = format!("providers.{app}.{key}");
                found.settings.extend(set(&name).map(|value| self.variable(&name, &key, value)));
            }
        }
        for name in env.keys().filter(|name| name.starts_with(PREFIX) && !is_no_setting(name)) {
            match (self.key_of(name), set(name)) {
                (Some(key), Some(value)) => found.settings.push(self.variable(name, &key, value)),
                (Some(_), None) => {}
                (None, _) => found.notes.push(self.unknown_variable(name)),
            }
        }
        found
    }

    /// A setting given as a flag.
    pub(super) fn flag(&self, flag: &Flag) -> Single {
        self.single(format!("the flag {}", flag.flag), flag.key, &flag.value)
    }

    fn variable(&self, name: &str, key: &str, value: &str) -> Single {
        self.single(format!("the environment variable {name}"), key, value)
    }

    /// The text becomes what the default is, if it can; a text that cannot is left for the typed half to complain about.
    fn single(&self, origin: String, key: &str, text: &str) -> Single {
        let value = match self.default_of(key) {
            Some(Value::Num(..)) => text.trim().parse::<u64>().ok().map(Value::from),
            Some(Value::Bool(..)) => text.trim().parse::<bool>().ok().map(Value::from),
            _ => None,
        };
        let path = key.split('.').map(str::to_owned).collect();
        Single { origin, path, value: value.unwrap_or_else(|| Value::from(text)) }
    }

    fn default_of(&self, key: &str) -> Option<&Value> {
        let documented = || {
            let (_, key) = key.strip_prefix("providers.")?.split_once('.')?;
            self.defaults.get(&format!("providers.{DOCUMENTED_APP}.{key}"))
        };
        self.defaults.get(key).or_else(documented)
    }

    /// The setting that a variable with our prefix names.
    fn key_of(&self, name: &str) -> Option<String> {
        let known = self.names().find(|key| variable_of(key) == name);
        known.map(str::to_owned).or_else(|| self.app_key_of(name))
    }

    /// `EVERGRANT_PROVIDERS_MY_APP_CLIENT_ID` is `providers.my-app.client_id`, for any app.
    fn app_key_of(&self, name: &str) -> Option<String> {
        let rest = name.strip_prefix(PREFIX)?.strip_prefix("PROVIDERS_")?.to_ascii_lowercase();
        let documented = format!("providers.{DOCUMENTED_APP}.");
        let mut keys = self.names().filter_map(|key| key.strip_prefix(&documented));
        let (app, key) = keys.find_map(|key| Some((rest.strip_suffix(key)?.strip_suffix('_')?, key)))?;
        (!app.is_empty()).then(|| format!("providers.{}.{key}", app.replace('_', "-")))
    }

    fn unknown_variable(&self, name: &str) -> String {
        let suffixes = self.names().map(|key| variable_of(key).split_off(PREFIX.len()));
        let hint = nearest(&name[PREFIX.len()..], suffixes).map(|near| format!(" Did you mean {PREFIX}{near}?"));
        format!("the environment variable {name} is no setting and is ignored.{}", hint.unwrap_or_default())
    }
}

/// The name in the environment of a setting.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace(['.', '-'], "_").to_ascii_uppercase())
}

/// The candidate that looks most like a misspelt name, if any does.
pub(super) fn nearest<T: AsRef<str>>(name: &str, candidates: impl Iterator<Item = T>) -> Option<T> {
    let likeness = |candidate: &T| strsim::normalized_damerau_levenshtein(name, candidate.as_ref());
    let best = candidates.map(|candidate| (likeness(&candidate), candidate)).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score > 0.7).map(|(_, candidate)| candidate)
}

fn is_no_setting(name: &str) -> bool {
    NO_SETTINGS.contains(&name) || name.starts_with(NO_SETTINGS_PREFIX)
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Dict(_, dict) => {
            for (key, value) in dict {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, into);
            }
        }
        value => drop(into.insert(path.to_owned(), value.clone())),
    }
}
