//! The right to spend refresh tokens: one item in, one item out.

use async_trait::async_trait;
use evergrant_contract::connection::{Grant, Lease, LeaseRequest, Leased, Settled, Settlement};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::{Leases, StoreError};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::Reason;
use evergrant_contract::transition::Standing;
use evergrant_vault::Field;

use super::PgStore;
use super::acquire::Taken;
use super::row::{count, required, word};
use super::seal::Vault;

#[async_trait]
impl Leases for PgStore {
    async fn acquire(&self, request: LeaseRequest) -> Result<Leased, StoreError> {
        let taken = self.acquire.call(request).await?;
        leased(&self.vault, request, taken)
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        self.settle.call(self.vault.seal_settlement(settlement)).await
    }
}

fn leased(vault: &Vault, request: LeaseRequest, taken: Taken) -> Result<Leased, StoreError> {
    let id = request.connection;
    let state = taken.state.as_deref().map(|state| word("schedules", "state", id, state)).transpose()?;
    match (taken.outcome.as_str(), state, taken.version) {
        ("held", Some(state), Some(version)) => {
            let (failures, suspicions) = (count(taken.failures), count(taken.suspicions));
            held(vault, request, Standing { state, failures, suspicions }, Version::new(version), taken)
        }
        ("moved_on", _, Some(version)) => Ok(Leased::MovedOn { version: Version::new(version) }),
        ("paused", ..) => Ok(Leased::Paused),
        ("busy" | "contested", ..) => Ok(Leased::Busy),
        _ => Ok(Leased::NotRefreshable { state }),
    }
}

fn held(
    vault: &Vault,
    request: LeaseRequest,
    standing: Standing,
    version: Version,
    taken: Taken,
) -> Result<Leased, StoreError> {
    let id = request.connection;
    let lease = Lease { connection: id, version, owner: request.owner, is_awaited: request.is_awaited };
    let user = word("connections", "user_id", id, &required("connections", "user_id", id, taken.user_id)?)?;
    let provider = word("connections", "provider", id, &required("connections", "provider", id, taken.provider)?)?;
    let reason = match taken.refresh_token {
        None => Reason::NoRefreshToken,
        Some(ciphertext) => match open(vault, id, ciphertext) {
            None => Reason::Undecryptable,
            Some(refresh_token) => {
                return Ok(Leased::Held(Box::new(Grant {
                    lease,
                    user,
                    provider,
                    standing,
                    refresh_token,
                    expires_at: taken.expires_at,
                    scopes: taken.scopes.unwrap_or_default(),
                    taken_over_from: taken.former_owner.map(Into::into),
                })));
            }
        },
    };
    Ok(Leased::Unspendable { lease, user, provider, standing, reason })
}

fn open(vault: &Vault, id: ConnectionId, ciphertext: String) -> Option<Secret> {
    vault
        .open(id, Field::RefreshToken, ciphertext)
        .inspect_err(|error| tracing::error!(connection = %id, %error, "A refresh token cannot be opened"))
        .ok()
}
