//! The search for secrets in everything that a world leaves behind.

use std::fs;
use std::path::Path;

use evergrant_testkit::secrets::{self, Kind};

/// Every file of a folder, logs for one: no token, no ciphertext, no secret by name.
pub(crate) fn search_files(folder: &Path, named: &[&str]) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        secrets::assert_none(&path.display().to_string(), &text, named);
    }
}

/// Rows and database files: ciphertexts belong there, nothing readable does.
pub(crate) fn search_rows(what: &str, text: &str, named: &[&str]) {
    let readable: Vec<String> = secrets::find(text, named)
        .into_iter()
        .filter(|place| place.kind != Kind::FernetToken)
        .map(|place| place.to_string())
        .collect();
    assert!(readable.is_empty(), "{what} holds {} readable secrets, first at {}", readable.len(), readable[0]);
}
