//! Two guards that keep the ledger honest whatever happens to a request.

use std::sync::Arc;

use crate::{grants::Grants, token::GrantNo};

/// A call to the token endpoint that is under way. Dropping it ends the call, also when the client has left.
pub(crate) struct Visit {
    grants: Arc<Grants>,
    grant: GrantNo,
}

impl Visit {
    /// Begins a call; returns its number too. `None` if there is no such grant.
    pub(crate) fn begin(grants: &Arc<Grants>, grant: GrantNo) -> Option<(Self, u64)> {
        let number = grants.with(grant, crate::grant::Grant::begin_token_call)?;
        Some((Self { grants: Arc::clone(grants), grant }, number))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.grants.with(self.grant, crate::grant::Grant::end_token_call);
    }
}

/// The answer to a refresh that has taken effect. Dropped unsigned, the answer counts as lost.
pub(crate) struct Receipt {
    grants: Arc<Grants>,
    grant: GrantNo,
    /// The refresh token that was spent.
    generation: u32,
    signed: bool,
}

impl Receipt {
    pub(crate) fn new(grants: &Arc<Grants>, grant: GrantNo, generation: u32) -> Self {
        Self { grants: Arc::clone(grants), grant, generation, signed: false }
    }

    /// The answer has been handed to the system, whole.
    pub(crate) fn sign(mut self) {
        self.signed = true;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.grants.with(self.grant, |grant| grant.settle(self.generation, self.signed));
    }
}
