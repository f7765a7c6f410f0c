//! Passwords: argon2id, off the threads that serve requests, and never in a time that tells who exists.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use evergrant_contract::secret::Secret;
use tokio::sync::Semaphore;

use crate::problem::{Problem, ProblemKind};

/// The shortest password, in characters.
const MIN_CHARS: usize = 12;

/// The longest password, in bytes: hashing must not be a way to keep us busy.
const MAX_BYTES: usize = 1024;

/// How many passwords are verified at once; each takes 19 MiB for a while.
const AT_ONCE: usize = 4;

/// How many requests may wait for their turn; more are turned away at once.
const WAITING_MAX: usize = 64;

/// Verified against when there is no user or no password, so that the answer takes as long. Of chance that nobody kept.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$4Z3hbAfEBaAy4YPcNXwfXg$fIQEms7N1HwB6BXArLUkw/iNQ9j+foCUJb9rdNrWaMM";

/// Why a password cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is easily guessed.
    #[error("a password has at least {MIN_CHARS} characters")]
    TooShort,
    /// It is longer than anybody needs.
    #[error("a password has at most {MAX_BYTES} bytes")]
    TooLong,
    /// The library refused.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// The hash to be stored for a password, with a salt of its own. Takes a noticeable time.
pub fn hash_password(password: &Secret) -> Result<Secret, PasswordError> {
    if password.expose().chars().count() < MIN_CHARS {
        return Err(PasswordError::TooShort);
    }
    if password.expose().len() > MAX_BYTES {
        return Err(PasswordError::TooLong);
    }
    let hash = argon2().hash_password(password.expose().as_bytes());
    hash.map(|hash| Secret::new(hash.to_string())).map_err(|error| PasswordError::Hash(error.to_string()))
}

/// Verifies passwords, a few at a time.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), places: Arc::new(Semaphore::new(AT_ONCE + WAITING_MAX)) }
    }

    /// Whether this is the password of that hash. `None`: there is no hash, and it takes as long to say no.
    pub(crate) async fn verify(&self, hash: Option<Secret>, password: Secret) -> Result<bool, Problem> {
        let too_busy = || {
            let problem = Problem::new(ProblemKind::Overloaded, "Too many people sign in at this moment. Try again.");
            problem.retry_after(Duration::from_secs(2))
        };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| too_busy())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| too_busy())?;
        // The permits go along: a caller that gives up does not make room before the work is done.
        let work = move || {
            let _held = (place, turn);
            is_password(hash.as_ref(), &password)
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "A password could not be verified");
            Problem::new(ProblemKind::Internal, "Something went wrong here. The log says what, under the request id.")
        })
    }
}

fn is_password(hash: Option<&Secret>, password: &Secret) -> bool {
    if password.expose().len() > MAX_BYTES {
        return false;
    }
    let text = hash.map_or(NOBODYS, Secret::expose);
    let fits =
        PasswordHash::new(text).is_ok_and(|text| argon2().verify_password(password.expose().as_bytes(), &text).is_ok());
    fits && hash.is_some()
}

/// What OWASP recommends: 19 MiB, two passes. A stored hash says its own numbers and is verified with those.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse battery staple";

    #[test]
    fn a_password_is_neither_short_nor_endless() {
        assert_eq!(hash_password(&Secret::new("eleven char")).err(), Some(PasswordError::TooShort));
        assert_eq!(
            hash_password(&Secret::new("ä".repeat(11))).err(),
            Some(PasswordError::TooShort),
            "characters count"
        );
        assert_eq!(hash_password(&Secret::new("x".repeat(1025))).err(), Some(PasswordError::TooLong));
        let error = PasswordError::TooShort.to_string();
        assert_eq!(error, "a password has at least 12 characters");
    }

    #[tokio::test]
    async fn only_the_password_of_the_hash_is_right() {
        let passwords = Passwords::new();
        let hash = hash_password(&Secret::new(PASSWORD)).unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.expose());
        let verify = |hash: Option<&Secret>, password: &str| passwords.verify(hash.cloned(), Secret::new(password));
        assert!(verify(Some(&hash), PASSWORD).await.unwrap());
        assert!(!verify(Some(&hash), "correct horse battery stapl").await.unwrap());
        assert!(!verify(Some(&Secret::new("not a hash")), PASSWORD).await.unwrap());
        assert!(!verify(None, PASSWORD).await.unwrap());
        assert!(!verify(Some(&hash), &"x".repeat(1025)).await.unwrap());
    }

    #[test]
    fn nobodys_hash_costs_what_a_real_one_costs() {
        let real = hash_password(&Secret::new(PASSWORD)).unwrap();
        let (real, nobodys) = (PasswordHash::new(real.expose()).unwrap(), PasswordHash::new(NOBODYS).unwrap());
        assert_eq!((nobodys.algorithm, nobodys.version, &nobodys.params), (real.algorithm, real.version, &real.params));
        assert_eq!(nobodys.hash.unwrap().len(), real.hash.unwrap().len());
    }

    #[tokio::test]
    async fn more_than_can_wait_are_turned_away_at_once() {
        let passwords = Passwords::new();
        let everybody = Arc::clone(&passwords.places).try_acquire_many_owned(68).unwrap();
        let problem = passwords.verify(None, Secret::new(PASSWORD)).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Overloaded);
        assert_eq!(problem.retry_after, Some(Duration::from_secs(2)));
        drop(everybody);
        assert!(!passwords.verify(None, Secret::new(PASSWORD)).await.unwrap());
    }
}
