//! The key file that an embedded process generated: a new key goes in, an old one comes out. Nobody sees either.

use std::fs;
use std::path::{Path, PathBuf};

use evergrant_contract::Timestamp;
use evergrant_contract::secret::Secret;
use evergrant_vault::Keyring;

use super::KeysError;
use crate::config::{Config, Mode};
use crate::key_file::{self, KeyFileError};

/// The key file of this configuration, if it is one that was generated here: others are changed where they come from.
pub fn generated(config: &Config) -> Option<PathBuf> {
    let is_given = config.keys.fernet_key.is_some() || config.keys.fernet_key_file.is_some();
    let path = config.generated_key_path();
    (config.mode == Mode::Embedded && !is_given && path.exists()).then_some(path)
}

/// The keys in it.
pub fn keyring(path: &Path) -> Result<Keyring, KeysError> {
    super::read(path)
}

/// Puts a new key behind the first: it decrypts, and does not encrypt yet. Its fingerprint.
pub fn add_second(path: &Path) -> Result<String, KeysError> {
    add(path, 1)
}

/// Puts a new key before all others: it encrypts from the next start on. Its fingerprint.
pub fn add_first(path: &Path) -> Result<String, KeysError> {
    add(path, 0)
}

/// Makes a key that is there the first. `false`: it is not there, or is the first already.
pub fn make_first(path: &Path, fingerprint: &str) -> Result<bool, KeysError> {
    Ok(key_file::change(path, |held| {
        let mut keys = split(held);
        let place = keys.iter().position(|key| names(key, fingerprint)).filter(|place| *place > 0)?;
        let key = keys.remove(place);
        keys.insert(0, key);
        Some(join(&keys))
    })?)
}

/// Takes a key out, unless it is the first. `false`: it is not there. The age of the first key stays what it is.
pub fn remove(path: &Path, fingerprint: &str) -> Result<bool, KeysError> {
    let since = modified(path)?;
    let is_removed = key_file::change(path, |held| {
        let mut keys = split(held);
        let place = keys.iter().position(|key| names(key, fingerprint)).filter(|place| *place > 0)?;
        keys.remove(place);
        Some(join(&keys))
    })?;
    if is_removed {
        let kept = fs::File::options().append(true).open(path).and_then(|file| file.set_modified(since.into()));
        kept.map_err(|source| KeyFileError { path: path.to_owned(), action: "written", source })?;
    }
    Ok(is_removed)
}

/// Since when its first key is the first.
pub fn modified(path: &Path) -> Result<Timestamp, KeyFileError> {
    let found = fs::metadata(path).and_then(|file| file.modified());
    found.map(Timestamp::from).map_err(|source| KeyFileError { path: path.to_owned(), action: "read", source })
}

fn add(path: &Path, place: usize) -> Result<String, KeysError> {
    let key = Keyring::generate_key();
    let fingerprint = fingerprint(&key).unwrap_or_default();
    key_file::change(path, |held| {
        let mut keys = split(held);
        keys.insert(place.min(keys.len()), key);
        Some(join(&keys))
    })?;
    Ok(fingerprint)
}

fn split(held: &Secret) -> Vec<Secret> {
    held.expose().split(',').map(|key| Secret::new(key.trim())).collect()
}

fn join(keys: &[Secret]) -> Secret {
    // Allocated in full at once: a growing buffer would leave copies behind.
    let mut text = String::with_capacity(keys.iter().map(|key| key.expose().len() + 1).sum());
    for (place, key) in keys.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(key.expose());
    }
    Secret::new(text)
}

fn names(key: &Secret, wanted: &str) -> bool {
    fingerprint(key).is_some_and(|fingerprint| fingerprint == wanted)
}

fn fingerprint(key: &Secret) -> Option<String> {
    Keyring::parse(key).ok().map(|keyring| keyring.primary().as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprints(path: &Path) -> Vec<String> {
        keyring(path).unwrap().fingerprints().map(|key| key.as_str().to_owned()).collect()
    }

    #[test]
    fn a_key_comes_in_second_moves_first_and_the_old_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fernet.key");
        key_file::write_once(&path, &Keyring::generate_key()).unwrap();
        let old = fingerprints(&path).remove(0);
        let new = add_second(&path).unwrap();
        assert_eq!(fingerprints(&path), [old.clone(), new.clone()]);
        assert!(make_first(&path, &new).unwrap());
        assert!(!make_first(&path, &new).unwrap(), "it is the first already");
        let newest = add_first(&path).unwrap();
        assert_eq!(fingerprints(&path), [newest.clone(), new.clone(), old.clone()]);
        let since = modified(&path).unwrap();
        assert!(remove(&path, &old).unwrap());
        assert_eq!((fingerprints(&path), modified(&path).unwrap()), (vec![newest.clone(), new], since));
        assert!(!remove(&path, &old).unwrap());
        assert!(!remove(&path, &newest).unwrap(), "without it nothing could be encrypted");
    }
}
