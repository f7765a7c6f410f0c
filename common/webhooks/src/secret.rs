//! What messages are signed with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evergrant_contract::secret::Secret;

/// A new random secret, in the form of the specification: `whsec_` and 32 bytes in base64.
pub fn new_secret() -> Secret {
    Secret::new(format!("whsec_{}", STANDARD.encode(rand::random::<[u8; 32]>())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_new_and_the_reference_reads_them() {
        let (one, other) = (new_secret(), new_secret());
        assert!(!one.same_as(&other));
        assert!(standardwebhooks::Webhook::new(one.expose()).is_ok());
        assert_eq!(one.expose().len(), 6 + 44);
    }
}
