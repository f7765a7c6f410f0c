//! Where the encryption keys come from: the configuration, or a file that an embedded process generates once.

pub mod file;
pub mod reencryption;
pub mod watch;

use std::path::{Path, PathBuf};

use evergrant_contract::secret::Secret;
use evergrant_vault::{KeyError, Keyring};

use crate::config::{Config, Mode};
use crate::key_file::{self, KeyFileError};

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Each process of a cluster must be given the key.
    #[error("a cluster needs FERNET_KEY, the same for every process; `evergrant keys generate` makes one")]
    NotSet,
    /// The text that was given holds no keys.
    #[error("{origin}: {source}")]
    Invalid {
        /// Where the text comes from.
        origin: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// A key file cannot be read or written.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// There are tokens already, and a new key could not read them.
    #[error(
        "the database {database} exists and its key {key_file} does not: a new key could not read the tokens in it. \
         Put the key file back, or set FERNET_KEY to the key that was used; to begin anew, remove the database"
    )]
    Gone {
        /// The database.
        database: PathBuf,
        /// Where its key should be.
        key_file: PathBuf,
    },
}

/// The keyring that this configuration means.
///
/// Without a configured key an embedded process generates one key file, once, and says so without showing it. Call this
/// before the database is opened: a database without a key file is taken for one whose key was lost.
pub fn keyring(config: &Config) -> Result<Keyring, KeysError> {
    if let Some(text) = &config.keys.fernet_key {
        return parse(text, "FERNET_KEY (keys.fernet_key)".to_owned());
    }
    if let Some(path) = &config.keys.fernet_key_file {
        return read(path);
    }
    let path = config.generated_key_path();
    match config.mode {
        Mode::Cluster => Err(KeysError::NotSet),
        Mode::Embedded if path.exists() => {
            key_file::warn_if_readable_by_others(&path);
            read(&path)
        }
        Mode::Embedded if config.sqlite_path().exists() => {
            Err(KeysError::Gone { database: config.sqlite_path(), key_file: path })
        }
        Mode::Embedded => {
            generate(&path)?;
            read(&path)
        }
    }
}

/// Whether [`keyring`] would generate a key now: an embedded process that was given none and has no database yet.
pub fn is_yet_to_be_generated(config: &Config) -> bool {
    let is_given = config.keys.fernet_key.is_some() || config.keys.fernet_key_file.is_some();
    let is_there = config.generated_key_path().exists() || config.sqlite_path().exists();
    config.mode == Mode::Embedded && !is_given && !is_there
}

fn parse(text: &Secret, origin: String) -> Result<Keyring, KeysError> {
    Keyring::parse(text).map_err(|source| KeysError::Invalid { origin, source })
}

fn read(path: &Path) -> Result<Keyring, KeysError> {
    parse(&key_file::read(path)?, format!("the key file {}", path.display()))
}

/// A new key for an embedded process, made once.
fn generate(path: &Path) -> Result<(), KeysError> {
    if key_file::write_once(path, &Keyring::generate_key())? {
        tracing::warn!(
            file = %path.display(),
            "FERNET_KEY is not set: a key was generated. Back this file up; without it no stored token can be read"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn embedded(folder: &Path) -> Config {
        Config { data_dir: folder.join("data"), ..Config::defaults().unwrap() }
    }

    fn primary(config: &Config) -> String {
        keyring(config).unwrap().primary().as_str().to_owned()
    }

    #[test]
    fn an_embedded_process_makes_one_key_once_for_its_eyes_only() {
        let folder = tempfile::tempdir().unwrap();
        let config = embedded(folder.path());
        assert!(is_yet_to_be_generated(&config));
        let first = primary(&config);
        assert!(!is_yet_to_be_generated(&config));
        assert_eq!(primary(&config), first);
        let mode = fs::metadata(config.generated_key_path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files: Vec<_> = fs::read_dir(&config.data_dir).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, ["fernet.key"], "nothing is left aside");
    }

    #[test]
    fn a_lost_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let config = embedded(folder.path());
        fs::create_dir_all(&config.data_dir).unwrap();
        fs::write(config.sqlite_path(), "tokens").unwrap();
        assert!(matches!(keyring(&config), Err(KeysError::Gone { .. })));
        assert!(!config.generated_key_path().exists());
    }

    #[test]
    fn a_cluster_is_never_given_a_key_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { mode: Mode::Cluster, ..embedded(folder.path()) };
        assert!(matches!(keyring(&config), Err(KeysError::NotSet)));
        assert!(!config.data_dir.exists());
    }

    #[test]
    fn a_given_key_comes_from_the_setting_or_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (Keyring::generate_key(), Keyring::generate_key());
        let path = folder.path().join("mounted");
        fs::write(&path, format!("{},\n {}\n", new.expose(), old.expose())).unwrap();
        let mut config = embedded(folder.path());
        config.keys.fernet_key_file = Some(path);
        assert_eq!(keyring(&config).unwrap().fingerprints().count(), 2);
        config.keys.fernet_key_file = None;
        config.keys.fernet_key = Some(old);
        assert_eq!(keyring(&config).unwrap().fingerprints().count(), 1);
        assert!(!config.data_dir.exists(), "no key is generated beside a given one");
    }

    #[test]
    fn errors_show_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = embedded(folder.path());
        config.keys.fernet_key = Some(Secret::new("hush-hush"));
        let told = keyring(&config).err().unwrap().to_string();
        assert!(told.contains("FERNET_KEY") && !told.contains("hush"), "{told}");
        config.keys.fernet_key = None;
        config.keys.fernet_key_file = Some(folder.path().join("nowhere"));
        let told = keyring(&config).err().unwrap().to_string();
        assert!(told.contains("nowhere cannot be read"), "{told}");
    }
}
