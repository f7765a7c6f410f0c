//! What stands in deploy/ and docker-compose.yml and has to agree with other files: metrics, settings, sections, names, times.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const BASE: &str = "deploy/kubernetes/base";
const SCALING: &str = "deploy/kubernetes/components/autoscaling/scaled-object.yaml";

fn read(path: &str) -> String {
    fs::read_to_string(workspace::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Words that begin so, as far as they are made of these characters.
fn words(text: &str, beginning: &str, is_part: fn(char) -> bool) -> BTreeSet<String> {
    let starts = text.match_indices(beginning).map(|(at, _)| at);
    let free = starts.filter(|at| !text[..*at].ends_with(is_part));
    free.map(|at| text[at..].chars().take_while(|c| is_part(*c)).collect()).collect()
}

/// The metrics that a text names. What the recording rules make has a colon in its name.
fn metrics(text: &str) -> BTreeSet<String> {
    let named = words(text, "evergrant_", |c| c.is_ascii_alphanumeric() || c == '_');
    let whole = |name: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name).to_owned()
    };
    named.iter().map(|name| whole(name)).collect()
}

fn told_metrics() -> BTreeSet<String> {
    let page = read("docs/TELEMETRY.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `evergrant_"));
    rows.filter_map(|row| Some(format!("evergrant_{}", row.split_once('`')?.0))).collect()
}

/// The values of a key, each line by itself.
fn values(text: &str, key: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches("- "));
    lines
        .filter_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim().trim_matches('"').to_owned()))
        .collect()
}

/// What a link to a heading of a page ends in.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim()));
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_metric_that_is_looked_at_is_told_in_the_contract() {
    let told = told_metrics();
    assert!(told.len() > 20, "docs/TELEMETRY.md is no longer read as it is written");
    let files = ["deploy/prometheus/alerts.yml", "deploy/prometheus/alerts_test.yml", dashboard::DASHBOARD, SCALING];
    for file in files {
        let unknown: Vec<_> = metrics(&read(file)).difference(&told).cloned().collect();
        assert!(unknown.is_empty(), "{file} names metrics that docs/TELEMETRY.md does not have: {unknown:?}");
    }
}

#[test]
fn what_the_rules_record_is_what_others_look_at() {
    let alerts = read("deploy/prometheus/alerts.yml");
    let recorded: BTreeSet<_> = values(&alerts, "record").into_iter().collect();
    let looked_at = |text: &str| words(text, "evergrant:", |c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    assert_eq!(looked_at(&alerts), recorded);
    let dashboard = looked_at(&read(dashboard::DASHBOARD));
    assert!(dashboard.is_subset(&recorded), "{dashboard:?}");
}

#[test]
fn every_alert_fires_in_one_test_and_stays_quiet_in_another() {
    let alerts: BTreeSet<_> = values(&read("deploy/prometheus/alerts.yml"), "alert").into_iter().collect();
    let tests = read("deploy/prometheus/alerts_test.yml");
    let (mut fires, mut quiet) = (BTreeSet::new(), BTreeSet::new());
    for case in tests.split("- eval_time:").skip(1) {
        let [alert] = &values(case, "alertname")[..] else { panic!("a test is of one alert: {case}") };
        if case.contains("exp_alerts:") {
            fires.insert(alert.clone())
        } else {
            quiet.insert(alert.clone())
        };
    }
    assert_eq!((&fires, &quiet), (&alerts, &alerts));
}

#[test]
fn every_alert_says_how_urgent_it_is_and_leads_to_a_section() {
    let alerts = read("deploy/prometheus/alerts.yml");
    let sections = anchors(&read("docs/OPERATIONS.md"));
    let rules: Vec<_> = alerts.split("- alert: ").skip(1).collect();
    assert!(rules.len() > 20, "the alerts are no longer read as they are written");
    for rule in rules {
        let name = rule.lines().next().unwrap();
        let [severity] = &values(rule, "severity")[..] else { panic!("{name} has not one severity") };
        assert!(["page", "ticket"].contains(&severity.as_str()), "{name}: {severity}");
        assert_eq!(values(rule, "summary").len(), 1, "{name}");
        assert_eq!(values(rule, "description").len(), 1, "{name}");
        let [book] = &values(rule, "runbook_url")[..] else { panic!("{name} leads nowhere") };
        let anchor = book.strip_prefix("docs/OPERATIONS.md#").unwrap_or_else(|| panic!("{name}: {book}"));
        assert!(sections.contains(anchor), "{name} leads to {anchor}, which docs/OPERATIONS.md does not have");
    }
}

/// Whoever is paged looks for these four, in every section that is headed by a symptom.
#[test]
fn every_symptom_has_its_reason_what_to_do_and_how_to_check() {
    let page = read("docs/OPERATIONS.md");
    let sections = page.split("\n## ").skip(1);
    let symptoms: Vec<_> = sections.filter(|section| section.contains("**You see**")).collect();
    assert!(symptoms.len() > 12, "docs/OPERATIONS.md is no longer read as it is written");
    for symptom in symptoms {
        let heading = symptom.lines().next().unwrap();
        for part in ["**Why", "hat to do", "**Check"] {
            assert!(symptom.contains(part), "{heading} lacks a part: {part}");
        }
    }
}

#[test]
fn links_inside_the_page_lead_somewhere() {
    let page = read("docs/OPERATIONS.md");
    let sections = anchors(&page);
    // A link may be broken where a line ends.
    let links: Vec<_> = page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 20, "docs/OPERATIONS.md is no longer read as it is written");
    for link in links {
        assert!(sections.contains(link), "there is no section {link}");
    }
}

#[test]
fn the_dashboard_is_one_that_grafana_takes() {
    let dashboard: Value = serde_json::from_str(&read(dashboard::DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().unwrap();
        assert!(
            panel["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{title} says nothing about itself"
        );
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(targets.iter().all(|target| target["expr"].as_str().is_some_and(|expr| !expr.is_empty())), "{title}");
        let (x, w) = (panel["gridPos"]["x"].as_u64().unwrap(), panel["gridPos"]["w"].as_u64().unwrap());
        assert!(x + w <= 24, "{title} stands beside the page");
    }
}

#[test]
fn every_variable_is_a_setting() {
    let settings = read("config.default.toml");
    let lists = settings.lines().filter_map(|line| line.strip_prefix("# Env: "));
    let known: BTreeSet<_> = lists.flat_map(|list| list.split(", ")).map(str::to_owned).collect();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut used = words(&read(COMPOSE), "EVERGRANT_", is_part);
    let mut files = vec![format!("{BASE}/settings.env")];
    let example = "deploy/kubernetes/overlays/example";
    files.extend(["settings.env", "secrets.example.yaml"].map(|file| format!("{example}/{file}")));
    for file in files {
        let text = read(&file);
        let names = text.lines().map(|line| line.trim().split(['=', ':']).next().unwrap_or_default());
        let is_variable = |name: &&str| name.contains('_') && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        used.extend(names.filter(is_variable).map(str::to_owned));
    }
    // Amazon's regions have the same settings; only those of the first are written out.
    let one_region = |name: &String| name.replace("_AMAZON_EU_", "_AMAZON_NA_").replace("_AMAZON_FE_", "_AMAZON_NA_");
    let unknown: Vec<_> = used.iter().map(one_region).filter(|name| !known.contains(name)).collect();
    assert!(used.len() > 10 && unknown.is_empty(), "no such settings: {unknown:?}");
}

#[test]
fn what_compose_asks_for_stands_in_the_example() {
    let (compose, example) = (read(COMPOSE), read(".env.example"));
    let needed = compose.split("${").skip(1).filter_map(|rest| Some(rest.split_once(":?")?.0));
    let needed: BTreeSet<_> = needed.filter(|name| !name.contains('}')).collect();
    assert!(needed.len() > 5, "docker-compose.yml is no longer read as it is written");
    for name in needed {
        assert!(example.contains(&format!("\n{name}=\n")), "{name} is not in .env.example, or has a value there");
    }
}

/// A process that is killed before its own deadline leaves answers in the spool that it would have stored.
#[test]
fn whoever_stops_a_process_waits_for_longer_than_it_takes() {
    let seconds = |text: &str, key: &str| -> Vec<u64> {
        values(text, key).iter().map(|value| value.trim_end_matches('s').parse().unwrap()).collect()
    };
    let env = read(&format!("{BASE}/settings.env"));
    let (_, deadline) = env.split_once("EVERGRANT_SHUTDOWN_DEADLINE_SECS=").unwrap();
    let deadline: u64 = deadline.lines().next().unwrap().parse().unwrap();
    assert!(read("config.default.toml").contains(&format!("\nshutdown_deadline_secs = {deadline}\n")));
    assert!(seconds(&read(COMPOSE), "stop_grace_period")[0] > deadline);
    for role in ["scheduler", "worker", "api"] {
        let pod = read(&format!("{BASE}/{role}.yaml"));
        let pause: u64 = seconds(&pod, "seconds").iter().sum();
        assert!(seconds(&pod, "terminationGracePeriodSeconds")[0] > deadline + pause, "{role}");
    }
}

#[test]
fn probes_and_queues_are_the_real_ones() {
    let probes = read("api/src/probes.rs");
    for role in ["scheduler", "worker", "api"] {
        let paths = values(&read(&format!("{BASE}/{role}.yaml")), "path");
        assert_eq!(paths, ["/healthz", "/healthz", "/readyz"], "{role}");
        assert!(paths.iter().all(|path| probes.contains(&format!(".route(\"{path}\""))), "{role}");
    }
    let (topology, kinds) = (read("common/cluster/src/topology.rs"), read("common/contract/src/job.rs"));
    for queue in values(&read(SCALING), "queueName") {
        let parts: Vec<_> = queue.split('.').collect();
        let [namespace, version, kind] = parts[..] else { panic!("{queue}") };
        assert!(read("config.default.toml").contains(&format!("\nnamespace = \"{namespace}\"\n")), "{queue}");
        assert!(topology.contains(&format!("const VERSION: &str = \"{version}\";")), "{queue}");
        assert!(kinds.contains(&format!("=> \"{kind}\"")), "{queue}");
    }
}

#[test]
fn every_package_has_one_version_and_hashes() {
    let packages = python::packages(REQUIREMENTS);
    assert!(packages.iter().any(|line| line.starts_with("kubernetes-validate==")));
    for line in packages {
        assert!(line.contains("==") && line.contains("--hash=sha256:"), "{line}");
    }
}

#[test]
fn anchors_are_those_that_pages_make() {
    let page = "# Operations\n\n## A process refuses to start: keys\ntext\n### What's `this`?\n";
    let expected = ["operations", "a-process-refuses-to-start-keys", "whats-this"].map(str::to_owned);
    assert_eq!(anchors(page), BTreeSet::from(expected));
}

#[test]
fn metrics_are_read_without_what_histograms_add() {
    let read = metrics("sum(evergrant_a_seconds_bucket{le=\"1\"}) / evergrant:b:ratio + evergrant_c_total");
    assert_eq!(read, BTreeSet::from(["evergrant_a_seconds", "evergrant_c_total"].map(str::to_owned)));
}
