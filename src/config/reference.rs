//! `docs/CONFIG.md`, made from `config.default.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::layers::{ALIASES, AMAZON_KEYS, variable_of};
use super::{Config, DEFAULTS};

const COMMAND: &str = "UPDATE_GENERATED=1 cargo test -p evergrant config_reference";

/// A setting as `config.default.toml` documents it.
struct Setting {
    key: String,
    default: String,
    text: String,
    variables: Vec<String>,
}

/// A section of `config.default.toml`.
struct Section {
    name: String,
    text: String,
    settings: Vec<Setting>,
}

fn sections() -> Vec<Section> {
    let mut sections = vec![Section { name: String::new(), text: String::new(), settings: Vec::new() }];
    let mut comment: Vec<&str> = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
        } else if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let text = std::mem::take(&mut comment).join(" ");
            sections.push(Section { name: name.to_owned(), text, settings: Vec::new() });
        } else if let Some((key, default)) = line.split_once(" = ") {
            let section = sections.last_mut().unwrap();
            let lines = std::mem::take(&mut comment);
            let (variables, text): (Vec<&str>, Vec<&str>) = lines.iter().partition(|line| line.starts_with("Env: "));
            let variables = variables.iter().flat_map(|line| line[5..].split(", ")).map(str::to_owned).collect();
            let key = if section.name.is_empty() { key.to_owned() } else { format!("{}.{key}", section.name) };
            section.settings.push(Setting { key, default: default.to_owned(), text: text.join(" "), variables });
        } else {
            assert!(line.is_empty(), "config.default.toml has comments, sections, settings and empty lines: {line}");
            // What stands before the first setting is about the whole file.
            let about = std::mem::take(&mut comment).join(" ").replace("  ", "\n\n");
            let head = sections.last_mut().filter(|section| section.settings.is_empty());
            if let Some(section) = head
                && !about.is_empty()
            {
                let _ = write!(section.text, "{}{about}", if section.text.is_empty() { "" } else { "\n\n" });
            }
        }
    }
    sections
}

fn render() -> String {
    let mut page = "# Configuration\n\n<!-- Made from config.default.toml; change that file and run:\n     ".to_owned();
    let _ = writeln!(page, "{COMMAND} -->");
    for section in sections() {
        if !section.name.is_empty() {
            let _ = write!(page, "\n## [{}]\n", section.name);
        }
        let _ = write!(page, "\n{}\n", section.text);
        if section.settings.is_empty() {
            continue;
        }
        page.push_str("\n| setting | default | environment | what and why |\n| --- | --- | --- | --- |\n");
        for setting in section.settings {
            let key = setting.key.rsplit('.').next().unwrap();
            let variables: Vec<_> = setting.variables.iter().map(|name| format!("`{name}`")).collect();
            let text = setting.text.replace('|', "\\|");
            let _ = writeln!(page, "| `{key}` | `{}` | {} | {text} |", setting.default, variables.join(" "));
        }
    }
    page
}

#[test]
fn config_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIG.md");
    let (current, expected) = (std::fs::read_to_string(&path).unwrap_or_default(), render());
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
        return;
    }
    assert!(current == expected, "docs/CONFIG.md is not what config.default.toml says; run: {COMMAND}");
}

fn flatten(path: &str, value: &serde_json::Value, into: &mut BTreeMap<String, String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, into);
            }
        }
        value => drop(into.insert(path.to_owned(), value.to_string())),
    }
}

#[test]
fn every_typed_setting_is_documented_with_its_default_and_nothing_else_is() {
    let mut typed = BTreeMap::new();
    flatten("", &serde_json::to_value(Config::defaults().unwrap()).unwrap(), &mut typed);
    typed.retain(|key, _| !key.starts_with("providers.amazon-eu.") && !key.starts_with("providers.amazon-fe."));
    let documented: BTreeMap<_, _> = sections()
        .into_iter()
        .flat_map(|section| section.settings)
        .map(|setting| (setting.key, setting.default))
        .collect();
    assert_eq!(typed, documented);
}

#[test]
fn every_setting_says_why_and_names_its_variables() {
    for setting in sections().into_iter().flat_map(|section| section.settings) {
        let key = &setting.key;
        assert!(setting.text.len() > 20, "{key} has a comment that explains it");
        let mut expected: Vec<String> = Vec::new();
        expected.extend(ALIASES.iter().filter(|(_, of)| of == key).map(|(name, _)| (*name).to_owned()));
        if let Some(key) = key.strip_prefix("providers.amazon-na.").filter(|key| AMAZON_KEYS.contains(key)) {
            expected.push(format!("AMAZON_{}", key.to_ascii_uppercase()));
        }
        expected.push(variable_of(key));
        assert_eq!(setting.variables, expected, "the Env line of {key}");
    }
}

#[test]
fn a_provider_app_of_the_users_own_has_the_documented_defaults() {
    let (mut app, mut documented) = (BTreeMap::new(), BTreeMap::new());
    flatten("", &serde_json::to_value(super::ProviderApp::default()).unwrap(), &mut app);
    for setting in sections().into_iter().flat_map(|section| section.settings) {
        if let Some(key) = setting.key.strip_prefix("providers.amazon-na.") {
            documented.insert(key.to_owned(), setting.default);
        }
    }
    assert_eq!(app, documented);
}
