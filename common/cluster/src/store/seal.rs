//! Secrets on their way into rows and out of them.

use std::sync::Arc;

use evergrant_contract::Timestamp;
use evergrant_contract::connection::{Lease, Settlement};
use evergrant_contract::failed_job::FailedJob;
use evergrant_contract::ids::{ConnectionId, EndpointId};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::{after, to_millis};
use evergrant_contract::transition::Change;
use evergrant_contract::verdict::Attempt;
use evergrant_vault::{Ciphertext, Field, Keyring, OpenError, Place};

/// The keyring, by connection and column.
#[derive(Clone)]
pub(super) struct Vault(Arc<Keyring>);

/// A settlement without a plaintext in it.
pub(super) struct SealedSettlement {
    pub(super) lease: Lease,
    pub(super) change: Option<Change>,
    pub(super) tokens: Option<SealedTokens>,
    pub(super) unread_answer: Option<String>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) last_error: Option<String>,
    pub(super) failed_job: Option<FailedJob>,
    pub(super) decided_at: Timestamp,
}

/// New tokens without a plaintext in them.
pub(super) struct SealedTokens {
    pub(super) access_token: String,
    /// `None` keeps the stored one.
    pub(super) refresh_token: Option<String>,
    pub(super) expires_at: Timestamp,
    pub(super) refreshed_at: Timestamp,
    pub(super) refresh_expires_at: Option<Timestamp>,
    pub(super) scopes: Option<String>,
}

impl Vault {
    pub(super) fn new(keyring: Arc<Keyring>) -> Self {
        Self(keyring)
    }

    /// Fingerprint of the key that encrypts.
    pub(super) fn primary(&self) -> &str {
        self.0.primary().as_str()
    }

    pub(super) fn seal(&self, connection: ConnectionId, field: Field, secret: &Secret) -> String {
        self.0.seal(Place { connection, field }, secret).into()
    }

    pub(super) fn open(&self, connection: ConnectionId, field: Field, ciphertext: String) -> Result<Secret, OpenError> {
        self.0.open(Place { connection, field }, &Ciphertext::from(ciphertext))
    }

    /// The same secret under the key that encrypts now; `None` if it does not open.
    pub(super) fn reseal(&self, connection: ConnectionId, field: Field, ciphertext: String) -> Option<String> {
        self.open(connection, field, ciphertext).ok().map(|secret| self.seal(connection, field, &secret))
    }

    /// The secret of a receiver of webhooks.
    pub(super) fn seal_endpoint(&self, id: EndpointId, secret: &Secret) -> String {
        self.0.seal(Place::of_endpoint(id), secret).into()
    }

    pub(super) fn open_endpoint(&self, id: EndpointId, ciphertext: String) -> Result<Secret, OpenError> {
        self.0.open(Place::of_endpoint(id), &Ciphertext::from(ciphertext))
    }

    /// Seals everything that is secret in a settlement.
    pub(super) fn seal_settlement(&self, settlement: Settlement) -> SealedSettlement {
        let id = settlement.lease.connection;
        let tokens = settlement.tokens.map(|(tokens, sent_at)| SealedTokens {
            access_token: self.seal(id, Field::AccessToken, &tokens.access_token),
            refresh_token: present(tokens.refresh_token.as_ref())
                .map(|token| self.seal(id, Field::RefreshToken, token)),
            expires_at: to_millis(after(sent_at, tokens.lifetime)),
            refreshed_at: to_millis(settlement.decided_at),
            refresh_expires_at: tokens.refresh_expires_at.map(to_millis),
            scopes: tokens.scopes,
        });
        SealedSettlement {
            lease: settlement.lease,
            change: settlement.change,
            tokens,
            unread_answer: settlement.unread_answer.map(|answer| self.seal(id, Field::UnreadAnswer, &answer)),
            attempts: settlement.attempts,
            last_error: settlement.last_error,
            failed_job: settlement.failed_job,
            decided_at: to_millis(settlement.decided_at),
        }
    }
}

/// An empty token is a missing token: it must never take the place of a good one.
pub(super) fn present(token: Option<&Secret>) -> Option<&Secret> {
    token.filter(|token| !token.expose().trim().is_empty())
}
