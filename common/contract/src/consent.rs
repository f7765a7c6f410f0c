//! How a grant begins: somebody consents at the provider, and a code comes back (RFC 6749, section 4.1).

use crate::secret::Secret;

/// What a person is asked for at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsentRequest<'a> {
    /// Where the answer comes to.
    pub redirect_uri: &'a str,
    /// What comes back unchanged.
    pub state: &'a str,
    /// SHA-256 of the verifier, in base64url (RFC 7636, S256).
    pub code_challenge: &'a str,
}

/// A code to be exchanged for tokens. It works once, and for a few minutes.
pub struct CodeCall<'a> {
    /// The code.
    pub code: &'a Secret,
    /// The redirect URI that the consent was asked for with.
    pub redirect_uri: &'a str,
    /// What the challenge was made of.
    pub code_verifier: &'a Secret,
}

/// Who somebody is at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The account's id there.
    pub account: String,
    /// An e-mail address, if the consent covers it; else empty.
    pub email: String,
    /// A name, if the consent covers it; else empty.
    pub name: String,
}

/// Why it could not be told who somebody is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The provider did not answer, or not sensibly: try again later.
    #[error("the provider does not say whose token this is: {0}")]
    Unavailable(String),
    /// The token was issued to another app: somebody plays tricks.
    #[error("the token was issued to another app")]
    ForeignToken,
    /// The descriptor names no place to ask.
    #[error("the provider has no place to ask whose token this is")]
    Unsupported,
}
