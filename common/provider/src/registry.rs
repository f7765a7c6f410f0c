//! Every provider that is known: those compiled in, and the user's own.

use std::collections::BTreeMap;
use std::time::Duration;

use evergrant_contract::ids::ProviderName;
use evergrant_contract::verdict::{Confirmation, Rotation};
use serde::Deserialize;
use toml::{Table, Value};

use crate::authorize::AuthorizeForm;
use crate::consent::ConsentLifetime;
use crate::descriptor::{AnswerForm, Descriptor, RequestForm};
use crate::endpoint::{self, EndpointError};
use crate::identity::IdentitySpec;
use crate::lifetime::LONGEST;
use crate::table::{Rule, VerdictTable};

const BUILT_IN: [(&str, &str); 6] = [
    ("amazon.toml", include_str!("../descriptors/amazon.toml")),
    ("github.toml", include_str!("../descriptors/github.toml")),
    ("google.toml", include_str!("../descriptors/google.toml")),
    ("hubspot.toml", include_str!("../descriptors/hubspot.toml")),
    ("microsoft.toml", include_str!("../descriptors/microsoft.toml")),
    ("slack.toml", include_str!("../descriptors/slack.toml")),
];
const STANDARD: &str = include_str!("../descriptors/standard.toml");
/// Keys that say what kind of thing a table describes.
const KINDS: [&str; 2] = ["mode", "rule"];
const USER_FILE: &str = "the provider file";

/// Why descriptors could not be used. Says where, what and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// A file is not TOML, or has a section that is neither `[common]` nor `[provider.<name>]`.
    #[error("{file}: {problem}")]
    File {
        /// Which file.
        file: String,
        /// What is wrong, with line and column.
        problem: String,
    },
    /// A key is unknown, missing or has a wrong value.
    #[error("{file}, [provider.{provider}]: {problem}")]
    Provider {
        /// Which file.
        file: String,
        /// Which provider.
        provider: String,
        /// What is wrong, with the key.
        problem: String,
    },
    /// A URL cannot be used.
    #[error("provider {provider}: {key} {problem}")]
    Endpoint {
        /// Which provider.
        provider: String,
        /// Which URL.
        key: &'static str,
        /// What is wrong with it.
        problem: EndpointError,
    },
    /// There is no such provider.
    #[error("there is no provider `{name}`; there are {known}. Describe it in a file of your own (`provider_file`)")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// Every provider that is known.
#[derive(Debug, Clone)]
pub struct Registry {
    descriptors: BTreeMap<ProviderName, Descriptor>,
}

impl Registry {
    /// The providers compiled in, with the user's own TOML put on top: keys of a known provider replace those compiled in,
    /// rules are asked before those compiled in, and `like = "<name>"` begins a new provider as a copy of another.
    pub fn load(user: Option<&str>) -> Result<Self, DescriptorError> {
        let standard: Standard = read_file("standard.toml", STANDARD)?;
        let mut tables = BTreeMap::new();
        for (file, text) in BUILT_IN.into_iter().chain(user.map(|text| (USER_FILE, text))) {
            add_file(&mut tables, file, text)?;
        }
        let descriptors = tables
            .into_iter()
            .map(|(name, entry)| {
                let error = |problem: String| entry.error(&name, &problem);
                let provider: ProviderName = name.parse().map_err(|problem| error(format!("{problem}")))?;
                let spec: Spec =
                    Value::Table(entry.table.clone()).try_into().map_err(|problem| error(one_line(&problem)))?;
                spec.describe(provider.clone(), &standard).map_err(error).map(|descriptor| (provider, descriptor))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { descriptors })
    }

    /// A provider's descriptor.
    pub fn get(&self, name: &ProviderName) -> Result<&Descriptor, DescriptorError> {
        self.descriptors.get(name).ok_or_else(|| DescriptorError::Unknown {
            name: name.to_string(),
            known: self.descriptors.keys().map(ProviderName::as_str).collect::<Vec<_>>().join(", "),
        })
    }

    /// Every descriptor, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = &Descriptor> {
        self.descriptors.values()
    }
}

/// What a descriptor file holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Keys that all providers of the file have in common.
    #[serde(default)]
    common: Table,
    provider: BTreeMap<String, Table>,
}

/// The rules that surround every provider's own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Standard {
    /// Asked first; cannot be overruled.
    always: Vec<Rule>,
    /// Asked last.
    standard: Vec<Rule>,
}

/// A provider's keys, merged, and the file that had the last word.
#[derive(Clone)]
struct Entry {
    file: &'static str,
    table: Table,
}

impl Entry {
    fn error(&self, provider: &str, problem: &str) -> DescriptorError {
        DescriptorError::Provider {
            file: self.file.to_owned(),
            provider: provider.to_owned(),
            problem: problem.to_owned(),
        }
    }
}

fn read_file<T: for<'de> Deserialize<'de>>(file: &str, text: &str) -> Result<T, DescriptorError> {
    toml::from_str(text).map_err(|problem| DescriptorError::File {
        file: file.to_owned(),
        problem: problem.to_string().trim_end().to_owned(),
    })
}

fn add_file(tables: &mut BTreeMap<String, Entry>, file: &'static str, text: &str) -> Result<(), DescriptorError> {
    let File { common, provider } = read_file(file, text)?;
    for (name, mut own) in provider {
        let base = match own.remove("like") {
            None => tables.get(&name).cloned(),
            Some(like) => {
                let base = like.as_str().and_then(|like| tables.get(like).cloned());
                Some(base.ok_or_else(|| {
                    let entry = Entry { file, table: Table::new() };
                    entry.error(&name, &format!("like = {like}: there is no such provider in front of this one"))
                })?)
            }
        };
        let mut table = base.map(|base| base.table).unwrap_or_default();
        merge(&mut table, common.clone());
        merge(&mut table, own);
        tables.insert(name, Entry { file, table });
    }
    Ok(())
}

/// Puts one table on top of another. Tables are merged key by key, rules go in front of the rules below, and all else
/// replaces what is below: so does a table that says what kind it is, since the keys of another kind mean nothing to it.
fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) if !KINDS.iter().any(|kind| above.contains_key(*kind)) => {
                merge(below, above);
            }
            (Some(Value::Array(below)), Value::Array(above)) if key == "verdicts" => {
                below.splice(0..0, above);
            }
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

fn one_line(problem: &toml::de::Error) -> String {
    problem.to_string().lines().collect::<Vec<_>>().join(" ")
}

/// A provider's keys as its TOML has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    title: String,
    authorize_url: String,
    token_url: String,
    api_url: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    default_lifetime_secs: u64,
    margin_share_percent: u8,
    rotation: Rotation,
    confirmation: Confirmation,
    consent_lifetime: ConsentLifetime,
    #[serde(default)]
    requests_per_second: u32,
    #[serde(default)]
    authorize: AuthorizeForm,
    #[serde(default)]
    identity: IdentitySpec,
    #[serde(default)]
    request: RequestForm,
    #[serde(default)]
    answer: AnswerForm,
    #[serde(default)]
    verdicts: Vec<Rule>,
}

impl Spec {
    fn describe(self, name: ProviderName, standard: &Standard) -> Result<Descriptor, String> {
        let url = |key, text: &str| endpoint::parse(text, false).map_err(|problem| format!("{key} {problem}"));
        let default_lifetime = Duration::from_secs(self.default_lifetime_secs);
        if default_lifetime.is_zero() || default_lifetime > LONGEST {
            return Err(format!("default_lifetime_secs has to be between 1 and {}", LONGEST.as_secs()));
        }
        if !(1..=50).contains(&self.margin_share_percent) {
            return Err("margin_share_percent has to be between 1 and 50".to_owned());
        }
        if let Some(problem) = self.verdicts.iter().find_map(Rule::problem) {
            return Err(format!("verdicts: {problem}"));
        }
        if let Some(problem) = self.authorize.problem() {
            return Err(format!("authorize.extra: {problem}"));
        }
        Ok(Descriptor {
            name,
            title: self.title,
            authorize_url: url("authorize_url", &self.authorize_url)?,
            token_url: url("token_url", &self.token_url)?,
            api_url: self.api_url.as_deref().map(|text| url("api_url", text)).transpose()?,
            scopes: self.scopes,
            default_lifetime,
            margin_share_percent: self.margin_share_percent,
            rotation: self.rotation,
            confirmation: self.confirmation,
            consent_lifetime: self.consent_lifetime,
            requests_per_second: self.requests_per_second,
            authorize: self.authorize,
            identity: self.identity.describe(url)?,
            request: self.request,
            answer: self.answer,
            verdicts: VerdictTable::new(&standard.always, self.verdicts, &standard.standard),
        })
    }
}

#[cfg(test)]
mod tests;
