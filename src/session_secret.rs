//! Where the secret comes from that sessions are signed with: the configuration, or a file that an embedded process
//! generates once.

use std::path::Path;

use evergrant_api::{SecretError, SessionSecret};
use evergrant_contract::secret::Secret;
use evergrant_vault::Keyring;

use crate::config::{Config, Mode};
use crate::key_file::{self, KeyFileError};

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SessionSecretError {
    /// Each process of a cluster that serves the API must be given it.
    #[error("a cluster's API needs JWT_SECRET_KEY, the same for every process; `evergrant keys generate` makes one")]
    NotSet,
    /// The text that was given is no secret.
    #[error("{origin}: {source}")]
    Invalid {
        /// Where the text comes from.
        origin: String,
        /// What is wrong with it.
        source: SecretError,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] KeyFileError),
}

/// The secret that this configuration means. Without a configured one an embedded process generates a file, once.
pub fn session_secret(config: &Config) -> Result<SessionSecret, SessionSecretError> {
    if let Some(text) = &config.auth.secret {
        return parse(text, "JWT_SECRET_KEY (auth.secret)".to_owned());
    }
    if let Some(path) = &config.auth.secret_file {
        return read(path);
    }
    if config.mode == Mode::Cluster {
        return Err(SessionSecretError::NotSet);
    }
    let path = config.generated_secret_path();
    // What makes a good key of 256 bits makes a good secret.
    if path.exists() {
        key_file::warn_if_readable_by_others(&path);
    } else if key_file::write_once(&path, &Keyring::generate_key())? {
        tracing::info!(
            file = %path.display(),
            "JWT_SECRET_KEY is not set: a secret for sessions was generated. Without this file everybody has to sign in again"
        );
    }
    read(&path)
}

fn read(path: &Path) -> Result<SessionSecret, SessionSecretError> {
    let text = key_file::read(path)?;
    parse(&Secret::new(text.expose().trim()), format!("the key file {}", path.display()))
}

fn parse(text: &Secret, origin: String) -> Result<SessionSecret, SessionSecretError> {
    SessionSecret::new(text).map_err(|source| SessionSecretError::Invalid { origin, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedded(folder: &Path) -> Config {
        Config { data_dir: folder.join("data"), ..Config::defaults().unwrap() }
    }

    #[test]
    fn an_embedded_process_makes_one_once_and_a_cluster_none() {
        let folder = tempfile::tempdir().unwrap();
        let config = embedded(folder.path());
        session_secret(&config).ok().unwrap();
        let first = std::fs::read(config.generated_secret_path()).unwrap();
        session_secret(&config).ok().unwrap();
        assert_eq!(std::fs::read(config.generated_secret_path()).unwrap(), first);
        let cluster = Config { mode: Mode::Cluster, ..config };
        assert!(matches!(session_secret(&cluster), Err(SessionSecretError::NotSet)));
    }

    #[test]
    fn the_originals_default_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = embedded(folder.path());
        for bad in ["your-jwt-secret-key-here", "short-and-hush-hush"] {
            config.auth.secret = Some(Secret::new(bad));
            let told = session_secret(&config).err().unwrap().to_string();
            assert!(told.starts_with("JWT_SECRET_KEY") && !told.contains("hush"), "{told}");
        }
    }
}
