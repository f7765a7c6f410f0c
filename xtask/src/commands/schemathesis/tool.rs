//! The tool: schemathesis, in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{screen, workspace};

/// Every package with its version and its hashes: what is installed is what was looked at.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Installs it into the folder, unless just these packages are there already.
pub(super) fn install(folder: &Path) -> Result<PathBuf> {
    let installed = folder.join("installed.txt");
    let tool = folder.join("bin/st");
    if fs::read_to_string(&installed).is_ok_and(|text| text == REQUIREMENTS) && tool.exists() {
        return Ok(tool);
    }
    screen::step(&format!("installing schemathesis into {}", folder.display()));
    workspace::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).with_context(|| format!("cannot write {}", requirements.display()))?;
    workspace::run(&mut pip(folder, &requirements))?;
    fs::rename(requirements, &installed).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(tool)
}

/// Nothing that is not listed, nothing with another content, and nothing that runs code to be installed.
fn pip(folder: &Path, requirements: &Path) -> Command {
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    pip.args(["--require-hashes", "--only-binary", ":all:", "--requirement"]).arg(requirements);
    pip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_one_version_and_hashes() {
        // A line that ends with a backslash goes on.
        let text = REQUIREMENTS.replace("\\\n", " ");
        let packages: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        assert!(packages.iter().any(|line| line.starts_with("schemathesis==")));
        for line in packages {
            assert!(line.contains("==") && line.contains("--hash=sha256:"), "{line}");
        }
        let pip = workspace::shown(&pip(Path::new("venv"), Path::new("requirements.txt")));
        assert!(pip.contains("--require-hashes"), "{pip}");
    }
}
