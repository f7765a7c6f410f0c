//! docs/TELEMETRY.md is a contract: these tests compare its tables with the sources, both ways.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use evergrant_contract::verdict::VerdictKind;

use super::metrics::{Kind, METRICS};

/// What ends up in a running process. The simulated Amazon, the test kit and `xtask` make no promises.
const SOURCES: [&str; 12] = [
    "src",
    "scheduler/src",
    "workers/src",
    "api/src",
    "common/amc/src",
    "common/cluster/src",
    "common/contract/src",
    "common/embedded/src",
    "common/provider/src",
    "common/traces/src",
    "common/vault/src",
    "common/webhooks/src",
];

/// Levels whose messages are stable; `debug` is for whoever reads the code beside it.
const LEVELS: [&str; 3] = ["info", "warn", "error"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            into.push(path);
        }
    }
}

/// The sources without comments and tests.
fn sources() -> Vec<String> {
    let mut files = Vec::new();
    for folder in SOURCES {
        rust_files(&root().join(folder), &mut files);
    }
    let code = files.iter().map(|path| fs::read_to_string(path).unwrap()).map(|text| {
        let tested = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = tested.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    });
    // But not this one.
    code.filter(|code| !code.contains("docs/TELEMETRY.md lacks")).collect()
}

/// The arguments of every call of a macro, each as it is written.
fn calls(code: &str, name: &str) -> Vec<Vec<String>> {
    let opening = format!("{name}!(");
    let is_another = |at: usize| code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let starts = code.match_indices(&opening).filter(|(at, _)| !is_another(*at));
    starts.map(|(at, _)| arguments(&code[at + opening.len()..])).collect()
}

/// The text up to the closing parenthesis, cut at its commas.
fn arguments(code: &str) -> Vec<String> {
    let (mut found, mut depth, mut in_text, mut escaped) = (vec![String::new()], 0_u32, false, false);
    for c in code.chars() {
        match c {
            _ if in_text => {
                in_text = c != '"' || escaped;
                escaped = c == '\\' && !escaped;
            }
            '"' => in_text = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        found.last_mut().unwrap().push(c);
    }
    found.into_iter().map(|argument| argument.trim().to_owned()).filter(|argument| !argument.is_empty()).collect()
}

/// A literal as it reads, with `{}` for whatever is put in.
fn literal(argument: &str) -> Option<String> {
    let text = argument.strip_prefix('"')?.strip_suffix('"')?;
    let (first, rest) = text.split_once("\\\n").unwrap_or((text, ""));
    Some(with_gaps(&rest.split("\\\n").map(str::trim_start).fold(first.to_owned(), |told, line| told + line)))
}

fn with_gaps(text: &str) -> String {
    let mut parts = text.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |told, part| told + "{}" + part.split_once('}').map_or("", |(_, rest)| rest))
}

/// The cells of the tables under a heading, without the head of each table.
fn table(heading: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join("docs/TELEMETRY.md")).unwrap();
    let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// The words of a cell that stand in backticks.
fn words(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_metric_is_described_and_used() {
    let mut used: BTreeMap<String, (Kind, BTreeSet<String>)> = BTreeMap::new();
    for code in sources() {
        for (name, kind) in [("counter", Kind::Counter), ("gauge", Kind::Gauge), ("histogram", Kind::Histogram)] {
            for call in calls(&code, name) {
                let metric = literal(&call[0]).unwrap_or_else(|| panic!("{name}!({}) has no fixed name", call[0]));
                let labels = call[1..].iter().filter_map(|label| literal(label.split(" =>").next()?));
                assert!(metric.starts_with("evergrant_"), "{metric}");
                let known = used.entry(metric.clone()).or_insert((kind, BTreeSet::new()));
                assert_eq!(known.0, kind, "{metric}");
                known.1.extend(labels);
            }
        }
    }
    let described: BTreeMap<_, _> = METRICS.iter().map(|metric| (metric.0, metric.1)).collect();
    let kinds: BTreeMap<_, _> = used.iter().map(|(name, (kind, _))| (name.as_str(), *kind)).collect();
    assert_eq!(kinds, described, "left: what the sources record; right: METRICS");

    let told: BTreeMap<_, _> =
        table("Metrics").into_iter().map(|row| (row[0].trim_matches('`').to_owned(), words(&row[3]))).collect();
    let labels: BTreeMap<_, _> = used.into_iter().map(|(name, (_, labels))| (name, labels)).collect();
    assert_eq!(told, labels, "left: the labels in docs/TELEMETRY.md; right: those in the sources");
}

#[test]
fn the_page_tells_what_metrics_are_described_as() {
    let described = METRICS.iter().map(|(name, kind, unit, help)| {
        let kind = format!("{kind:?}").to_lowercase();
        let unit = if *unit == metrics::Unit::Seconds { "seconds" } else { "count" };
        vec![format!("`{name}`"), kind, unit.to_owned(), (*help).to_owned()]
    });
    let told = table("Metrics").into_iter().map(|mut row| {
        row.remove(3);
        row
    });
    assert_eq!(told.collect::<Vec<_>>(), described.collect::<Vec<_>>(), "left: docs/TELEMETRY.md; right: METRICS");
}

#[test]
fn metrics_are_in_order_and_named_by_their_kind() {
    assert!(METRICS.is_sorted_by_key(|metric| metric.0));
    for (name, kind, unit, help) in METRICS {
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert_eq!(name.contains("seconds"), *unit == metrics::Unit::Seconds, "{name}");
        assert!(help.ends_with('.') && !help.contains('|'), "{name}");
    }
}

#[test]
fn every_verdict_is_told() {
    let page = fs::read_to_string(root().join("docs/TELEMETRY.md")).unwrap();
    let attempts = page.lines().find(|line| line.starts_with("| `evergrant_attempts_total`")).unwrap();
    for verdict in VerdictKind::ALL {
        assert!(attempts.contains(verdict.as_str()), "{verdict}");
    }
}

/// Spans are in traces too, and their fields are all that leaves the process with them.
#[test]
fn every_span_is_told_with_its_fields() {
    let told: BTreeMap<_, _> =
        table("Spans").into_iter().map(|row| (row[0].trim_matches('`').to_owned(), words(&row[2]))).collect();
    let mut made: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for code in sources() {
        for call in calls(&code, "info_span") {
            let (name, fields) = event(&[&call[1..], &call[..1]].concat()).expect("a span has a name");
            made.entry(name).or_default().extend(fields);
        }
    }
    assert_eq!(told, made, "left: docs/TELEMETRY.md; right: the sources");
}

/// The levels at which a message is logged, and all fields that it ever has.
type Message = (BTreeSet<String>, BTreeSet<String>);

/// The fields of an event come before its message: `name = value`, `%name`, `?name` or `name`.
fn event(call: &[String]) -> Option<(String, BTreeSet<String>)> {
    let at = call.iter().position(|argument| argument.starts_with('"'))?;
    let field = |argument: &String| {
        let name = argument.split(" =").next().unwrap_or_default();
        name.trim_start_matches(['%', '?']).to_owned()
    };
    Some((literal(&call[at])?, call[..at].iter().map(field).collect()))
}

fn logged() -> BTreeMap<String, Message> {
    let mut found: BTreeMap<String, Message> = BTreeMap::new();
    for code in sources() {
        for level in LEVELS {
            for call in calls(&code, level) {
                let (message, fields) = event(&call).unwrap_or_else(|| panic!("{level}!({call:?}) has no message"));
                assert!(!fields.contains("message"), "a field of this name would stand beside the message: {message}");
                let known = found.entry(message).or_default();
                known.0.insert(level.to_owned());
                known.1.extend(fields);
            }
        }
    }
    // What the configuration has to say about itself; its words are its own.
    found.remove("{}");
    found
}

#[test]
fn every_message_is_told_and_every_told_one_is_logged() {
    let told: BTreeMap<String, Message> = table("Messages")
        .into_iter()
        .map(|row| {
            (with_gaps(row[0].trim_matches('`')), (row[1].split(", ").map(str::to_owned).collect(), words(&row[2])))
        })
        .collect();
    let logged = logged();
    let row = |(message, (levels, fields)): (&String, &Message)| {
        let levels = levels.iter().cloned().collect::<Vec<_>>().join(", ");
        let fields = fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
        format!("| `{message}` | {levels} | {fields} |")
    };
    let lacking: Vec<_> = logged.iter().filter(|(message, is)| told.get(*message) != Some(*is)).map(row).collect();
    assert!(lacking.is_empty(), "docs/TELEMETRY.md lacks, or tells otherwise:\n{}", lacking.join("\n"));
    let gone: Vec<_> = told.keys().filter(|message| !logged.contains_key(*message)).collect();
    assert!(gone.is_empty(), "docs/TELEMETRY.md tells what is never logged: {gone:#?}");
}

/// A JSON line has one object for the fields and these: a field of the same name would make whoever reads it lose the other.
#[test]
fn no_field_hides_what_every_line_has() {
    for (message, (_, fields)) in logged() {
        for taken in ["timestamp", "level", "message", "target", "span", "spans"] {
            assert!(!fields.contains(taken), "`{message}` has a field `{taken}`: call it otherwise");
        }
    }
}

#[test]
fn the_messages_of_the_source_document_are_kept() {
    let logged = logged();
    for message in [
        "Token refresh service started",
        "Refreshing tokens for {} users",
        "Successfully refreshed token for user {}",
        "Token for user {} expires in {} seconds, refreshing...",
        "Failed to refresh token for user {}",
    ] {
        assert!(logged.contains_key(message), "{message}");
    }
}

#[test]
fn calls_are_read_whatever_is_in_them() {
    let code = r#"warn!(%a, b.c = f(x, "y)"), d, "it {e} \"so\" \
        goes", e); awarn!("no")"#;
    let calls = calls(code, "warn");
    assert_eq!(calls.len(), 1);
    let (message, fields) = event(&calls[0]).unwrap();
    assert_eq!(message, r#"it {} \"so\" goes"#);
    assert_eq!(fields, ["a", "b.c", "d"].map(str::to_owned).into());
}
