//! Tools written in Python, each in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{screen, workspace};

/// Installs a list of packages into the folder, unless just these are there already: the folder of their programs.
///
/// Every package of the list has its version and its hashes: what is installed is what was looked at.
pub(crate) fn install(what: &str, requirements: &str, folder: &Path) -> Result<PathBuf> {
    let installed = folder.join("installed.txt");
    let programs = folder.join("bin");
    if fs::read_to_string(&installed).is_ok_and(|text| text == requirements) && programs.join("python").exists() {
        return Ok(programs);
    }
    screen::step(&format!("installing {what} into {}", folder.display()));
    workspace::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let file = folder.join("requirements.txt");
    fs::write(&file, requirements).with_context(|| format!("cannot write {}", file.display()))?;
    workspace::run(&mut pip(folder, &file))?;
    fs::rename(file, &installed).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(programs)
}

/// Nothing that is not listed, nothing with another content, and nothing that runs code to be installed.
fn pip(folder: &Path, requirements: &Path) -> Command {
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    pip.args(["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement"]).arg(requirements);
    pip
}

/// The packages of a list, each with its version and its hashes.
#[cfg(test)]
pub(crate) fn packages(requirements: &str) -> Vec<String> {
    // A line that ends with a backslash goes on.
    let text = requirements.replace("\\\n", " ");
    text.lines().filter(|line| !line.trim_start().starts_with('#')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_installed() {
        let pip = workspace::shown(&pip(Path::new("venv"), Path::new("requirements.txt")));
        assert!(pip.contains("--require-hashes") && pip.contains("--no-deps"), "{pip}");
    }
}
