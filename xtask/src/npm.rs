//! The front end: npm installs what it needs and builds it. Nobody else calls npm.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{screen, workspace};

/// The oldest Node.js that everything here runs on: `engines` of frontend/package.json.
const OLDEST_NODE: u32 = 20;
/// Folders that hold nothing that a build reads.
const NOT_READ: [&str; 3] = ["node_modules", "dist", "e2e"];

/// The folder of the front end.
pub(crate) fn folder() -> PathBuf {
    workspace::root().join("frontend")
}

/// A command of the front end's own.
pub(crate) fn npm(args: &[&str]) -> Command {
    let mut npm = workspace::command("npm");
    npm.current_dir(folder()).args(args);
    // Debian's Chromium is what the browser tests run on; another one is not downloaded by anybody.
    npm.env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1").env("npm_config_update_notifier", "false");
    npm
}

/// Builds the page if anything has changed since it was built. Without Node.js it says so: the program then has a
/// placeholder instead.
pub(crate) fn build_where_possible() -> Result<()> {
    match node() {
        Ok(()) => build(),
        Err(problem) => {
            screen::say(&format!("NOT BUILT: the web page, because {problem:#}. A placeholder takes its place."));
            Ok(())
        }
    }
}

/// Builds the page if anything has changed since it was built.
pub(crate) fn build() -> Result<()> {
    node()?;
    let inputs = fingerprint(&folder())?;
    if is_built_from(&inputs) {
        return Ok(());
    }
    install()?;
    screen::step("building the web page");
    workspace::run(&mut npm(&["run", "--silent", "build"]))?;
    remember(&inputs)
}

/// Formats, lints, types, tests, the build and its size.
pub(crate) fn check() -> Result<()> {
    node()?;
    let inputs = fingerprint(&folder())?;
    install()?;
    workspace::run(&mut npm(&["run", "--silent", "check"]))?;
    remember(&inputs)
}

/// Installs exactly what package-lock.json names, unless that is there.
pub(crate) fn install() -> Result<()> {
    node()?;
    let (wanted, found) = (folder().join("package-lock.json"), folder().join("node_modules/.package-lock.json"));
    let wanted = Lock::read(&wanted)?;
    if found.exists() && Lock::read(&found)?.holds(&wanted) {
        return Ok(());
    }
    screen::step("installing what the front end needs");
    workspace::run(&mut npm(&["ci", "--no-audit", "--no-fund"]))
}

/// Whether Node.js and npm are here.
pub(crate) fn is_here() -> bool {
    node().is_ok()
}

/// An error that says what to do unless Node.js and npm are here.
pub(crate) fn node() -> Result<()> {
    let advice = format!("Node.js {OLDEST_NODE} or newer and npm build it: install them from https://nodejs.org");
    let output = Command::new("node").arg("--version").output();
    let output = output.map_err(|_| anyhow::anyhow!("Node.js (node) is not installed. {advice}"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if major(&version).is_none_or(|major| major < OLDEST_NODE) {
        bail!("Node.js {version} is too old. {advice}");
    }
    match Command::new("npm").arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => bail!("npm is not installed. {advice}"),
    }
}

/// Of `v20.19.0`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn stamp() -> PathBuf {
    workspace::target().join("frontend.stamp")
}

fn is_built_from(inputs: &str) -> bool {
    let is_same = fs::read_to_string(stamp()).is_ok_and(|built| built == inputs);
    is_same && folder().join("dist/index.html").exists()
}

fn remember(inputs: &str) -> Result<()> {
    fs::create_dir_all(workspace::target())?;
    fs::write(stamp(), inputs).with_context(|| format!("cannot write {}", stamp().display()))
}

/// A number that differs when any file that a build reads does.
fn fingerprint(folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    list(folder, folder, &mut files)?;
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        let bytes = fs::read(folder.join(&file)).with_context(|| format!("cannot read {}", file.display()))?;
        for part in [file.as_os_str().as_encoded_bytes(), &bytes] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn list(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let own = path.strip_prefix(root)?.to_owned();
        if NOT_READ.iter().any(|not_read| own.ends_with(not_read)) {
            continue;
        }
        if path.is_dir() { list(root, &path, files)? } else { files.push(own) }
    }
    Ok(())
}

/// What npm shall install, or has installed: the same form for both.
#[derive(Debug, Default, Deserialize)]
struct Lock {
    packages: BTreeMap<String, Package>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct Package {
    version: Option<String>,
    integrity: Option<String>,
    resolved: Option<String>,
    /// For other systems than this one, perhaps.
    #[serde(default)]
    optional: bool,
}

impl Lock {
    fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("cannot read {}", file.display()))
    }

    /// Whether this is what `wanted` asks for, and nothing besides.
    fn holds(&self, wanted: &Self) -> bool {
        let is_there = |(path, package): (&String, &Package)| match self.packages.get(path) {
            Some(found) => found == package,
            // The first is the project itself.
            None => package.optional || path.is_empty(),
        };
        wanted.packages.iter().all(is_there) && self.packages.keys().all(|path| wanted.packages.contains_key(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_installed_is_held_to_the_lock_file() {
        let lock = |text: &str| serde_json::from_str::<Lock>(text).unwrap();
        let wanted = r#"{"packages":{"":{"name":"x"},"node_modules/a":{"version":"1.0.0","integrity":"sha512-a"},
            "node_modules/b":{"version":"1.0.0","optional":true}}}"#;
        for (found, holds) in [
            (r#"{"node_modules/a":{"version":"1.0.0","integrity":"sha512-a"}}"#, true),
            (r#"{"node_modules/a":{"version":"1.0.1","integrity":"sha512-b"}}"#, false),
            (r#"{"node_modules/b":{"version":"1.0.0","optional":true}}"#, false),
            (r#"{"node_modules/a":{"version":"1.0.0","integrity":"sha512-a"},"node_modules/c":{}}"#, false),
        ] {
            assert_eq!(lock(&format!("{{\"packages\":{found}}}")).holds(&lock(wanted)), holds, "{found}");
        }
        Lock::read(&folder().join("package-lock.json")).unwrap();
    }

    #[test]
    fn a_change_anywhere_in_the_sources_is_seen_and_one_in_what_is_made_of_them_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
            fingerprint(folder.path()).unwrap()
        };
        let first = write("src/pages/a.tsx", "a");
        for made in ["dist/index.html", "node_modules/a/index.js", "packages/client/dist/a.js", "e2e/a.spec.ts"] {
            assert_eq!(write(made, "made"), first, "{made}");
        }
        let changed = write("src/pages/a.tsx", "b");
        assert_ne!(changed, first);
        assert_ne!(write("index.html", "new"), changed);
        assert_eq!(write("index.html", "new").len(), 16);
    }

    #[test]
    fn the_version_of_node_is_read() {
        assert_eq!(major("v20.19.0"), Some(20));
        assert_eq!(major("20"), None);
        let package = fs::read_to_string(folder().join("package.json")).unwrap();
        assert!(package.contains(&format!("\"node\": \"^{OLDEST_NODE}.")), "engines of frontend/package.json");
    }
}
