//! The tool: schemathesis, in an environment of its own.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::python;

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Installs it into the folder, unless it is there already.
pub(super) fn install(folder: &Path) -> Result<PathBuf> {
    Ok(python::install("schemathesis", REQUIREMENTS, folder)?.join("st"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_one_version_and_hashes() {
        let packages = python::packages(REQUIREMENTS);
        assert!(packages.iter().any(|line| line.starts_with("schemathesis==")));
        for line in packages {
            assert!(line.contains("==") && line.contains("--hash=sha256:"), "{line}");
        }
    }
}
