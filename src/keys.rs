//! Where the encryption keys come from: the configuration, or a file that an embedded process generates once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use evergrant_contract::secret::Secret;
use evergrant_vault::{KeyError, Keyring};

use crate::config::{Config, Mode};

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
    #[error("the key file {path} cannot be {action}: {source}")]
    File {
        /// Its path.
        path: PathBuf,
        /// `read` or `written`.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
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
            warn_if_readable_by_others(&path);
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
    let text = fs::read_to_string(path).map_err(|source| file_error(path, "read", source))?;
    parse(&Secret::new(text), format!("the key file {}", path.display()))
}

fn warn_if_readable_by_others(path: &Path) {
    if fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
        tracing::warn!(file = %path.display(), "The key file can be read by other users; run chmod 600 on it");
    }
}

/// Writes a new key aside and links it into place: of two processes that start together one wins, and nobody ever reads
/// half a key.
fn generate(path: &Path) -> Result<(), KeysError> {
    let aside = path.with_extension(format!("key.{}", std::process::id()));
    let written = write_aside(&aside).and_then(|()| match fs::hard_link(&aside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        linked => linked.map(|()| true),
    });
    let removed = fs::remove_file(&aside);
    let is_ours = written.map_err(|source| file_error(path, "written", source))?;
    removed.map_err(|source| file_error(&aside, "written", source))?;
    if is_ours {
        sync_folder(path).map_err(|source| file_error(path, "written", source))?;
        tracing::warn!(
            file = %path.display(),
            "FERNET_KEY is not set: a key was generated. Back this file up; without it no stored token can be read"
        );
    }
    Ok(())
}

fn write_aside(aside: &Path) -> io::Result<()> {
    if let Some(folder) = aside.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(aside)?;
    file.write_all(Keyring::generate_key().expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// A key that a power cut takes away takes all tokens with it.
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn file_error(path: &Path, action: &'static str, source: io::Error) -> KeysError {
    KeysError::File { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests {
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
    fn of_two_keys_made_at_once_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fernet.key");
        generate(&path).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        generate(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
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
