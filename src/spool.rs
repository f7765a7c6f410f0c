//! Results that could not be stored before the process had to end, as encrypted files.
//!
//! One file is one settlement; its tokens are sealed with the same keys as the rows. A file is complete or absent: it is
//! written beside its place, flushed and renamed.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::{Lease, Settlement};
use evergrant_contract::failed_job::FailedJob;
use evergrant_contract::ports::{Spool, StoreError};
use evergrant_contract::secret::Secret;
use evergrant_contract::transition::Change;
use evergrant_contract::verdict::{Attempt, Tokens};
use evergrant_vault::{Ciphertext, Field, Keyring, Place};
use serde::{Deserialize, Serialize};
use tracing::error;

const EXTENSION: &str = "settlement";

/// A folder of settlements that wait for the store.
pub struct FileSpool {
    folder: PathBuf,
    keyring: Arc<Keyring>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    lease: Lease,
    change: Option<Change>,
    tokens: Option<SealedTokens>,
    unread_answer: Option<String>,
    attempts: Vec<Attempt>,
    last_error: Option<String>,
    failed_job: Option<FailedJob>,
    decided_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct SealedTokens {
    access_token: String,
    refresh_token: Option<String>,
    lifetime_ms: u64,
    refresh_expires_at: Option<Timestamp>,
    scopes: Option<String>,
    sent_at: Timestamp,
}

impl Record {
    fn ciphertexts(self) -> Vec<String> {
        let tokens = self.tokens.map(|tokens| [Some(tokens.access_token), tokens.refresh_token]);
        tokens.into_iter().flatten().flatten().chain(self.unread_answer).collect()
    }
}

impl FileSpool {
    /// A spool in this folder, which is made when it is first needed.
    pub const fn new(folder: PathBuf, keyring: Arc<Keyring>) -> Self {
        Self { folder, keyring }
    }

    /// The keys that what waits here is under, and how many files no key of the keyring opens.
    pub fn keys(&self) -> Result<(BTreeSet<String>, u64), StoreError> {
        let (mut keys, mut unreadable) = (BTreeSet::new(), 0);
        for path in self.files()? {
            let record = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
            let found = record.map(Record::ciphertexts).unwrap_or_default();
            let known: Vec<_> =
                found.into_iter().map(|text| self.keyring.key_of(&Ciphertext::from(text)).cloned()).collect();
            unreadable += u64::from(known.iter().any(Option::is_none));
            keys.extend(known.into_iter().flatten().map(|key| key.as_str().to_owned()));
        }
        Ok((keys, unreadable))
    }

    fn files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unavailable(error)),
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(unavailable));
        let mut paths = paths.collect::<Result<Vec<_>, _>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
        Ok(paths)
    }

    fn seal(&self, settlement: &Settlement) -> Record {
        let seal = |field, secret: &Secret| {
            let place = Place { connection: settlement.lease.connection, field };
            self.keyring.seal(place, secret).as_str().to_owned()
        };
        let tokens = settlement.tokens.as_ref().map(|(tokens, sent_at)| SealedTokens {
            access_token: seal(Field::AccessToken, &tokens.access_token),
            refresh_token: tokens.refresh_token.as_ref().map(|token| seal(Field::RefreshToken, token)),
            lifetime_ms: u64::try_from(tokens.lifetime.as_millis()).unwrap_or(u64::MAX),
            refresh_expires_at: tokens.refresh_expires_at,
            scopes: tokens.scopes.clone(),
            sent_at: *sent_at,
        });
        Record {
            lease: settlement.lease,
            change: settlement.change,
            tokens,
            unread_answer: settlement.unread_answer.as_ref().map(|body| seal(Field::UnreadAnswer, body)),
            attempts: settlement.attempts.clone(),
            last_error: settlement.last_error.clone(),
            failed_job: settlement.failed_job.clone(),
            decided_at: settlement.decided_at,
        }
    }

    fn open(&self, record: Record) -> Result<Settlement, StoreError> {
        let connection = record.lease.connection;
        let open = |field, text: String| {
            self.keyring.open(Place { connection, field }, &Ciphertext::from(text)).map_err(refused)
        };
        let tokens = match record.tokens {
            None => None,
            Some(sealed) => {
                let refresh_token = sealed.refresh_token.map(|text| open(Field::RefreshToken, text)).transpose()?;
                let tokens = Tokens {
                    access_token: open(Field::AccessToken, sealed.access_token)?,
                    refresh_token,
                    lifetime: Duration::from_millis(sealed.lifetime_ms),
                    refresh_expires_at: sealed.refresh_expires_at,
                    scopes: sealed.scopes,
                };
                Some((tokens, sealed.sent_at))
            }
        };
        Ok(Settlement {
            lease: record.lease,
            change: record.change,
            tokens,
            unread_answer: record.unread_answer.map(|text| open(Field::UnreadAnswer, text)).transpose()?,
            attempts: record.attempts,
            last_error: record.last_error,
            failed_job: record.failed_job,
            decided_at: record.decided_at,
        })
    }

    fn read(&self, path: &Path) -> Result<Settlement, StoreError> {
        let bytes = std::fs::read(path).map_err(unavailable)?;
        self.open(serde_json::from_slice(&bytes).map_err(refused)?)
    }
}

#[async_trait]
impl Spool for FileSpool {
    async fn keep(&self, settlement: &Settlement) -> Result<(), StoreError> {
        let record = serde_json::to_vec(&self.seal(settlement)).map_err(refused)?;
        let Lease { connection, version, .. } = settlement.lease;
        std::fs::create_dir_all(&self.folder).map_err(unavailable)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(unavailable)?;
        file.write_all(&record).map_err(unavailable)?;
        file.as_file().sync_all().map_err(unavailable)?;
        let path = self.folder.join(format!("{connection}-{version}.{EXTENSION}"));
        file.persist(path).map_err(|error| unavailable(error.error))?;
        std::fs::File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(unavailable)
    }

    async fn kept(&self) -> Result<Vec<(String, Settlement)>, StoreError> {
        let mut kept = Vec::new();
        for path in self.files()? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            match self.read(&path) {
                Ok(settlement) => kept.push((name, settlement)),
                // It stays where it is: another key may open it one day.
                Err(error) => error!(file = name, %error, "A result in the spool cannot be read"),
            }
        }
        Ok(kept)
    }

    async fn forget(&self, name: &str) -> Result<(), StoreError> {
        match std::fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unavailable(error)),
            _ => Ok(()),
        }
    }
}

fn unavailable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("spool: {error}"))
}

fn refused(error: impl std::fmt::Display) -> StoreError {
    StoreError::Refused(format!("spool: {error}"))
}

#[cfg(test)]
mod tests {
    use evergrant_contract::ids::{ConnectionId, ProcessId, Version};

    use super::*;

    fn settlement() -> Settlement {
        let tokens = Tokens {
            access_token: Secret::new("Atza|spooled-access"),
            refresh_token: Some(Secret::new("Atzr|spooled-refresh")),
            lifetime: Duration::from_hours(1),
            refresh_expires_at: None,
            scopes: Some("profile".to_owned()),
        };
        let at = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
        Settlement {
            lease: Lease {
                connection: ConnectionId::generate(),
                version: Version::FIRST,
                owner: ProcessId::generate(),
                is_awaited: false,
            },
            change: None,
            tokens: Some((tokens, at)),
            unread_answer: Some(Secret::new("{\"odd\":true}")),
            attempts: Vec::new(),
            last_error: None,
            failed_job: None,
            decided_at: at,
        }
    }

    fn spool(folder: &Path) -> FileSpool {
        FileSpool::new(folder.join("spool"), Arc::new(Keyring::parse(&Keyring::generate_key()).unwrap()))
    }

    #[tokio::test]
    async fn a_result_comes_back_whole_and_is_forgotten_once_stored() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        assert!(spool.kept().await.unwrap().is_empty());
        let wanted = settlement();
        spool.keep(&wanted).await.unwrap();
        let kept = spool.kept().await.unwrap();
        assert_eq!(spool.keys().unwrap(), (BTreeSet::from([spool.keyring.primary().as_str().to_owned()]), 0));
        let [(name, found)] = kept.as_slice() else { panic!("one settlement expected, got {}", kept.len()) };
        let ((tokens, sent_at), (wanted_tokens, wanted_sent_at)) =
            (found.tokens.as_ref().unwrap(), wanted.tokens.as_ref().unwrap());
        assert_eq!((found.lease, sent_at), (wanted.lease, wanted_sent_at));
        assert!(tokens.access_token.same_as(&wanted_tokens.access_token));
        assert!(tokens.refresh_token.as_ref().unwrap().same_as(wanted_tokens.refresh_token.as_ref().unwrap()));
        assert!(found.unread_answer.as_ref().unwrap().same_as(wanted.unread_answer.as_ref().unwrap()));
        spool.forget(name).await.unwrap();
        assert!(spool.kept().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn no_secret_stands_in_the_file_and_a_file_of_another_key_stays() {
        let folder = tempfile::tempdir().unwrap();
        spool(folder.path()).keep(&settlement()).await.unwrap();
        let path = std::fs::read_dir(folder.path().join("spool")).unwrap().next().unwrap().unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("spooled-access") && !text.contains("spooled-refresh") && !text.contains("odd"));
        assert!(spool(folder.path()).kept().await.unwrap().is_empty(), "another key opens nothing");
        assert_eq!(spool(folder.path()).keys().unwrap(), (BTreeSet::new(), 1));
        assert!(path.exists());
    }
}
