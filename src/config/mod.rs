//! The configuration: what can be set, where each value came from, and which values cannot be right together.
//!
//! `config.default.toml` documents every setting and is compiled in; [`Config`] is its typed half. Layers are merged in
//! the order defaults, file, environment, flags. This is the only place that reads the environment.

mod check;
mod error;
mod field;
mod headers;
mod layers;
mod model;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::Figment;

pub use check::Problem;
pub use error::ConfigError;
pub use headers::headers_of;
pub use model::{Config, Database, Keys, Log, LogFormat, Mode, ProviderApp, Telemetry, TracesSampler, Worker};

/// `config.default.toml`, as compiled in.
pub const DEFAULTS: &str = include_str!("../../config.default.toml");

/// The file that is read when no other is named and it is there.
pub const DEFAULT_FILE: &str = "evergrant.toml";

/// Where values come from, besides the defaults.
#[derive(Default)]
pub struct Sources {
    /// A configuration file. It must be there.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// Values of command-line flags.
    pub flags: Vec<Flag>,
}

/// A setting that was given as a command-line flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag, such as `--listen`.
    pub flag: &'static str,
    /// The setting, such as `listen`.
    pub key: &'static str,
    /// The value as typed.
    pub value: String,
}

/// A configuration and how it came about.
pub struct Loaded {
    /// The configuration, not yet checked: see [`Config::check`].
    pub config: Config,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Sentences for the log about what looks like a mistake and is none for certain. Values are never named.
    pub notes: Vec<String>,
}

impl Sources {
    /// This process's environment, the named file or else `./evergrant.toml` if it is there, and these flags.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let present = || Path::new(DEFAULT_FILE).exists().then(|| PathBuf::from(DEFAULT_FILE));
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self {
            file: file.or_else(present),
            env: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            flags,
        }
    }

    /// Reads and merges everything.
    pub fn load(self) -> Result<Loaded, ConfigError> {
        let defaults = layers::Table::defaults()?;
        let known = layers::KnownKeys::of(&defaults);
        let mut figment = Figment::from(defaults);
        if let Some(path) = &self.file {
            figment = figment.merge(layers::Table::file(path)?);
        }
        let environment = known.read(&self.env);
        let flags = self.flags.iter().map(|flag| known.flag(flag));
        for single in environment.settings.into_iter().chain(flags) {
            figment = figment.merge(single);
        }
        let config = figment.extract().map_err(|error| ConfigError::of_value(&error, &figment, &known))?;
        Ok(Loaded { config, file: self.file, notes: environment.notes })
    }
}

impl Config {
    /// The defaults alone.
    pub fn defaults() -> Result<Self, ConfigError> {
        Ok(Sources::default().load()?.config)
    }
}
