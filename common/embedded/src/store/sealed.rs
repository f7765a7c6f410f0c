//! Ciphertexts as the columns hold them.

use evergrant_contract::ids::ConnectionId;
use evergrant_contract::secret::Secret;
use evergrant_vault::{Ciphertext, Field, Keyring, OpenError, Place};

/// Encrypts a secret for its column.
pub(super) fn seal(keyring: &Keyring, connection: ConnectionId, field: Field, secret: &Secret) -> String {
    keyring.seal(Place { connection, field }, secret).into()
}

/// Decrypts a column.
pub(super) fn open(
    keyring: &Keyring,
    connection: ConnectionId,
    field: Field,
    ciphertext: String,
) -> Result<Secret, OpenError> {
    keyring.open(Place { connection, field }, &Ciphertext::from(ciphertext))
}

/// An empty token is a missing token.
pub(super) fn present(secret: Option<&Secret>) -> Option<&Secret> {
    secret.filter(|secret| !secret.expose().trim().is_empty())
}

/// The ciphertexts of a row and the key of both.
#[derive(Clone, Default)]
pub(super) struct Pair {
    pub(super) access_token: Option<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) key: Option<String>,
}

impl Pair {
    /// Encrypts a connection's tokens.
    pub(super) fn seal(
        keyring: &Keyring,
        connection: ConnectionId,
        access_token: Option<&Secret>,
        refresh_token: Option<&Secret>,
    ) -> Self {
        let sealed = |field, secret| present(secret).map(|secret| seal(keyring, connection, field, secret));
        let access_token = sealed(Field::AccessToken, access_token);
        let refresh_token = sealed(Field::RefreshToken, refresh_token);
        let key = (access_token.is_some() || refresh_token.is_some()).then(|| keyring.primary().as_str().to_owned());
        Self { access_token, refresh_token, key }
    }

    /// Puts the newer ciphertexts, encrypted with the primary key, in the place of the older ones.
    ///
    /// What is carried over is encrypted anew, so that one key opens the whole row. What does not open is carried over as
    /// it is, and the row keeps the name of its key: that key must not be thrown away.
    pub(super) fn renewed(self, keyring: &Keyring, connection: ConnectionId, newer: Self) -> Self {
        let primary = keyring.primary().as_str();
        let mut key = Some(primary.to_owned());
        let mut carry = |field, stored: Option<String>| {
            let stored = stored?;
            if self.key.as_deref() == Some(primary) {
                return Some(stored);
            }
            if let Ok(secret) = open(keyring, connection, field, stored.clone()) {
                return Some(seal(keyring, connection, field, &secret));
            }
            key.clone_from(&self.key);
            Some(stored)
        };
        let access_token = newer.access_token.or_else(|| carry(Field::AccessToken, self.access_token.clone()));
        let refresh_token = newer.refresh_token.or_else(|| carry(Field::RefreshToken, self.refresh_token.clone()));
        Self { access_token, refresh_token, key }
    }
}
