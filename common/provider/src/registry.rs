//! Every provider that is known: those compiled in, and the user's own.

use std::collections::BTreeMap;
use std::time::Duration;

use evergrant_contract::ids::ProviderName;
use evergrant_contract::verdict::{Confirmation, Rotation};
use serde::Deserialize;
use toml::{Table, Value};

use crate::consent::ConsentLifetime;
use crate::descriptor::{AnswerForm, Descriptor, RequestForm};
use crate::endpoint::{self, EndpointError};
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
/// replaces what is below.
fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
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
            request: self.request,
            answer: self.answer,
            verdicts: VerdictTable::new(&standard.always, self.verdicts, &standard.standard),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Overrides;

    fn name(text: &str) -> ProviderName {
        text.parse().unwrap()
    }

    fn problem(user: &str) -> String {
        Registry::load(Some(user)).unwrap_err().to_string()
    }

    #[test]
    fn the_providers_compiled_in_are_sound() {
        let registry = Registry::load(None).unwrap();
        let names: Vec<_> = registry.iter().map(|descriptor| descriptor.name.as_str()).collect();
        assert_eq!(names, ["amazon-eu", "amazon-fe", "amazon-na", "github", "google", "hubspot", "microsoft", "slack"]);
    }

    #[test]
    fn amazon_is_as_amazon_documents_it() {
        let registry = Registry::load(None).unwrap();
        let regions = [
            (
                "amazon-na",
                "https://www.amazon.com/ap/oa",
                "https://api.amazon.com/auth/o2/token",
                "advertising-api.amazon.com",
            ),
            (
                "amazon-eu",
                "https://eu.account.amazon.com/ap/oa",
                "https://api.amazon.co.uk/auth/o2/token",
                "advertising-api-eu.amazon.com",
            ),
            (
                "amazon-fe",
                "https://apac.account.amazon.com/ap/oa",
                "https://api.amazon.co.jp/auth/o2/token",
                "advertising-api-fe.amazon.com",
            ),
        ];
        for (region, authorize_url, token_url, api_host) in regions {
            let amazon = registry.get(&name(region)).unwrap();
            assert_eq!((amazon.authorize_url.as_str(), amazon.token_url.as_str()), (authorize_url, token_url));
            assert_eq!(amazon.api_url.as_ref().and_then(url::Url::host_str), Some(api_host));
            assert_eq!(amazon.default_lifetime, Duration::from_hours(1));
            assert_eq!(amazon.requests_per_second, 200);
            let policy = amazon.policy(Duration::from_secs(10));
            assert_eq!((policy.margin_share_percent, policy.rotation), (25, Rotation::Optional));
            assert_eq!(policy.confirmation, Confirmation::InJob { after_ms: 3000 });
            let consent = |text: &str| amazon.consent_lifetime.refresh_expires_at(text.parse().unwrap());
            assert_eq!(consent("2026-06-29T23:59:59Z"), None);
            assert_eq!(consent("2026-06-30T00:00:00Z"), Some("2027-06-30T00:00:00Z".parse().unwrap()));
        }
    }

    #[test]
    fn a_user_file_changes_copies_and_adds() {
        let user = r#"
            [provider.amazon-na]
            requests_per_second = 5
            confirmation = { mode = "spaced", times = 2, every_ms = 1000 }
            request = { extra = { x = "1" } }

            [provider.amazon-second-app]
            like = "amazon-na"
            title = "The other app"

            [provider.tiktok]
            title = "TikTok"
            authorize_url = "https://www.tiktok.com/v2/auth/authorize/"
            token_url = "https://open.tiktokapis.com/v2/oauth/token/"
            default_lifetime_secs = 7200
            margin_share_percent = 25
            rotation = "strict"
            confirmation = { mode = "in_job", after_ms = 3000 }
            consent_lifetime = { rule = "open" }
            request = { rename = { client_id = "client_key" } }
            answer = { refresh_expires_in = "refresh_expires_in" }
        "#;
        let registry = Registry::load(Some(user)).unwrap();
        let changed = registry.get(&name("amazon-na")).unwrap();
        assert_eq!((changed.title.as_str(), changed.requests_per_second), ("Amazon Ads", 5));
        assert_eq!(changed.request.extra.len(), 1);
        let copy = registry.get(&name("amazon-second-app")).unwrap();
        assert_eq!((copy.title.as_str(), copy.requests_per_second), ("The other app", 5));
        assert_eq!(copy.token_url, changed.token_url);
        assert_eq!(registry.get(&name("tiktok")).unwrap().request.rename["client_id"], "client_key");
        assert_eq!(registry.get(&name("amazon-eu")).unwrap().requests_per_second, 200);
    }

    #[test]
    fn mistakes_are_named_with_key_and_place() {
        let cases = [
            ("[provider.amazon-na]\ntokn_url = \"x\"", ["the provider file, [provider.amazon-na]", "`tokn_url`"]),
            ("[provider.amazon-na.answer]\nrot = \"x\"", ["`rot`", "in `answer`"]),
            ("[provider.amazon-na.confirmation]\nafter = 1", ["`after`", "in `confirmation`"]),
            ("[provider.amazon-na]\ntoken_url = \"http://example.com/\"", ["token_url", "plain http"]),
            ("[provider.amazon-na]\nmargin_share_percent = 51", ["margin_share_percent", "between 1 and 50"]),
            ("[provider.amazon-na]\ndefault_lifetime_secs = 0", ["default_lifetime_secs", "between 1 and"]),
            ("[[provider.amazon-na.verdicts]]\nstatus = \"400\"\nverdict = \"grant_invalid\"", ["verdicts", "`codes`"]),
            ("[[provider.amazon-na.verdicts]]\nstatus = \"40x\"\nverdict = \"transient\"", ["`40x`", "5xx"]),
            ("[provider.mine]\ntitle = \"x\"", ["[provider.mine]", "missing field `authorize_url`"]),
            ("[provider.mine]\nlike = \"amazn\"", ["[provider.mine]", "amazn"]),
            ("[provider.\"My App\"]\nlike = \"google\"", ["a provider name", "My App"]),
            ("[providers.google]", ["line 1", "providers"]),
            ("[provider.google", ["the provider file", "line 1"]),
        ];
        for (user, expected) in cases {
            let problem = problem(user);
            for piece in expected {
                assert!(problem.contains(piece), "{piece} is not in: {problem}");
            }
        }
    }

    #[test]
    fn an_unknown_provider_is_told_with_those_there_are() {
        let error = Registry::load(None).unwrap().get(&name("amazon")).unwrap_err().to_string();
        assert!(error.contains("`amazon`") && error.contains("amazon-na, github"), "{error}");
    }

    #[test]
    fn overrides_replace_what_they_name() {
        let registry = Registry::load(None).unwrap();
        let amazon = || registry.get(&name("amazon-na")).unwrap().clone();
        let unchanged = amazon().with_overrides(&Overrides::default()).unwrap();
        assert_eq!((unchanged.token_url, unchanged.api_url), (amazon().token_url, amazon().api_url));
        let url = |text: &str| Some(text.to_owned());
        let overrides = Overrides {
            token_url: url("http://127.0.0.1:9000/auth/o2/token"),
            api_url: url("http://localhost:9000"),
            requests_per_second: Some(0),
            ..Overrides::default()
        };
        let changed = amazon().with_overrides(&overrides).unwrap();
        assert_eq!(changed.token_url.port(), Some(9000));
        assert_eq!(changed.api_url.unwrap().as_str(), "http://localhost:9000/");
        assert_eq!((changed.authorize_url, changed.requests_per_second), (amazon().authorize_url, 0));

        let plain = Overrides { token_url: url("http://sim:9000/auth/o2/token"), ..Overrides::default() };
        let error = amazon().with_overrides(&plain).unwrap_err().to_string();
        assert!(error.contains("provider amazon-na: token_url is plain http"), "{error}");
        assert!(amazon().with_overrides(&Overrides { allow_plain_http: true, ..plain }).is_ok());
    }
}
