//! Why a configuration cannot be read. Says where and which key; never the value of a secret.

use std::fmt;
use std::io;

use figment::Figment;
use figment::error::{Actual, Kind};

use super::layers::{KnownKeys, nearest};

/// The configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {file} cannot be read: {source}")]
    Unreadable {
        /// Its path.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{file}, line {line}: {problem}")]
    Syntax {
        /// Its path.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What the parser says, without the line itself: it may hold a secret.
        problem: String,
    },
    /// A key or a value is not what it should be.
    #[error("`{key}` in {origin}: {problem}")]
    Value {
        /// The setting, as `section.key`.
        key: String,
        /// The file, variable or flag that it comes from.
        origin: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl ConfigError {
    pub(super) fn of_syntax(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
        Self::Syntax { file: file.to_owned(), line, problem: error.message().to_owned() }
    }

    pub(super) fn of_value(error: &figment::Error, figment: &Figment, known: &KnownKeys) -> Self {
        let key = error.path.join(".");
        let metadata = figment.find_metadata(&key).or(error.metadata.as_ref());
        let origin = metadata.map_or_else(|| "the configuration".to_owned(), |metadata| metadata.name.to_string());
        let problem = match &error.kind {
            Kind::UnknownField(field, siblings) => {
                let section = key.strip_suffix(field.as_str()).unwrap_or(&key).trim_end_matches('.');
                unknown(field, siblings, section, known)
            }
            _ if is_secret(&key) => "a text is expected, in quotes".to_owned(),
            kind => Expectation(kind).to_string(),
        };
        Self::Value { key, origin, problem }
    }
}

/// Whether a setting's value must never be shown.
fn is_secret(key: &str) -> bool {
    matches!(key, "database.url" | "broker.url" | "keys.fernet_key")
        || key.ends_with(".client_secret")
        || key.ends_with(".client_secret_next")
}

/// Looks for the nearest name among the keys of the section first, then among all settings.
fn unknown(field: &str, siblings: &'static [&'static str], section: &str, known: &KnownKeys) -> String {
    let nearby = nearest(field, siblings.iter().copied()).map(|near| format!("`{near}`"));
    let elsewhere = || {
        let same = known.names().find(|name| name.rsplit('.').next() == Some(field))?;
        Some(format!("`{same}`"))
    };
    let place = if section.is_empty() { "at the top level".to_owned() } else { format!("in [{section}]") };
    match nearby.or_else(elsewhere) {
        Some(near) => format!("there is no such key {place}; did you mean {near}?"),
        None => format!("there is no such key {place}; its keys are {}", siblings.join(", ")),
    }
}

/// What was expected and what was found, in words.
struct Expectation<'a>(&'a Kind);

impl fmt::Display for Expectation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
                let expected = match expected.as_str() {
                    "u64" | "u32" | "usize" => "a whole number",
                    "a boolean" => "true or false",
                    "a string" => "a text, in quotes",
                    section if section.starts_with("struct ") => "a section",
                    other => other,
                };
                match found {
                    Actual::Str(text) => write!(f, "{expected} is expected, found \"{text}\""),
                    Actual::Seq => write!(f, "{expected} is expected, found a list"),
                    Actual::Map => write!(f, "{expected} is expected, found a section"),
                    Actual::Signed(number) => write!(f, "{expected} is expected, found {number}"),
                    Actual::Unsigned(number) => write!(f, "{expected} is expected, found {number}"),
                    other => write!(f, "{expected} is expected, found {other}"),
                }
            }
            // What the standard library says of a socket address does not tell how one looks.
            Kind::Message(message) if message.contains("socket address") => {
                f.write_str("an address and port such as \"127.0.0.1:8080\" is expected")
            }
            Kind::UnknownVariant(found, choices) => {
                write!(f, "one of {} is expected, found \"{found}\"", choices.join(", "))
            }
            Kind::Message(message) => f.write_str(message),
            other => other.fmt(f),
        }
    }
}
