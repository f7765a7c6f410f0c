//! No secret in anything that a test run wrote.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use evergrant_testkit::secrets;

/// Searches every file of the folder for tokens; the error tells the places and not the secrets.
pub(super) fn refuse(folder: &Path) -> Result<()> {
    let mut places = Vec::new();
    for file in files(folder)? {
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let found = secrets::find(&String::from_utf8_lossy(&bytes), &[]);
        places.extend(found.into_iter().map(|place| format!("{}: {place}", file.display())));
    }
    if places.is_empty() {
        return Ok(());
    }
    bail!("secrets stand in what the tests wrote:\n  {}", places.join("\n  "))
}

/// Every file below a folder.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_anywhere_below_is_told_by_its_place_only() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("e2e")).unwrap();
        fs::write(folder.path().join("e2e/worker.log"), "all well\nAtzr|IwEBIabcdefghijklmnop\n").unwrap();
        let told = refuse(folder.path()).unwrap_err().to_string();
        assert!(told.contains("worker.log: line 2, column 1") && !told.contains("IwEBI"), "{told}");
        fs::write(folder.path().join("e2e/worker.log"), "all well\n").unwrap();
        refuse(folder.path()).unwrap();
    }
}
