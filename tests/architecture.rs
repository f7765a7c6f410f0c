//! The edges between crates, and what must be alike in both shapes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Crate -> crates of ours that it may depend on. The root may depend on all.
const EDGES: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("vault", &["contract"]),
    ("embedded", &["contract", "vault"]),
    ("cluster", &["contract", "vault"]),
    ("provider", &["contract"]),
    ("scheduler", &["contract"]),
    ("traces", &["contract"]),
    ("workers", &["contract", "traces"]),
    ("amc", &["contract"]),
    ("webhooks", &["contract"]),
    ("api", &["contract", "amc", "traces", "webhooks"]),
    ("sim", &[]),
    ("testkit", &["contract"]),
    ("model", &["contract", "workers"]),
    ("fuzz", &["contract", "provider", "testkit", "vault", "webhooks"]),
    ("bench", &["contract", "vault"]),
];

/// Third-party crate -> the only crates of ours that may name it.
const NAMED_ONLY_BY: &[(&str, &[&str])] = &[
    ("lapin", &["bench", "cluster"]), // bench: what the product is compared with
    ("apalis", &["embedded"]),
    ("apalis-core", &["embedded"]),
    ("fernet", &["vault"]),
    ("opentelemetry", &["traces"]),
    ("reqwest", &["amc", "bench", "provider", "traces", "webhooks"]), // traces: batches of spans for the collector
    ("sqlx", &["bench", "cluster", "embedded"]),
];

/// Our crates with their dependencies of one kind; `None` is a normal dependency.
fn dependencies(kind: Option<&str>) -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().expect("a list");
        all.iter().filter(|dependency| dependency["kind"].as_str() == kind).map(|one| text(&one["name"])).collect()
    };
    let packages = metadata["packages"].as_array().expect("a list");
    packages.iter().map(|package| (text(&package["name"]), of(package))).collect()
}

fn ours(name: &str) -> Option<&str> {
    name.strip_prefix("evergrant-")
}

#[test]
fn arrows_point_to_the_contract() {
    let edges: BTreeMap<_, _> = EDGES.iter().copied().collect();
    for (package, found) in dependencies(None) {
        let Some(name) = ours(&package) else { continue };
        let allowed = edges.get(name).unwrap_or_else(|| panic!("say in EDGES what {name} may depend on"));
        for dependency in found.iter().filter_map(|dependency| ours(dependency)) {
            assert!(allowed.contains(&dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn a_backend_is_named_by_its_adapter_only() {
    let found = dependencies(None);
    for (library, namers) in NAMED_ONLY_BY {
        for (package, dependencies) in &found {
            let is_namer = ours(package).is_some_and(|name| namers.contains(&name));
            assert!(is_namer || !dependencies.contains(*library), "{package} must not name {library}");
        }
    }
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("Cargo.toml");
    let section = manifest.split("[workspace.dependencies]").nth(1).expect("the section");
    let section = section.split("\n[").next().expect("its lines");
    let unexplained = section.lines().filter(|line| {
        let is_dependency = line.contains(" = ") && !line.starts_with('#') && !line.contains("path = \"");
        is_dependency && !line.contains(" # ")
    });
    assert_eq!(unexplained.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn migrations_have_the_same_numbers_and_names_in_both_databases() {
    let names = |database: &str| -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
        let entries = std::fs::read_dir(folder).expect("the folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names("postgres"), names("sqlite"));
}
