//! A plaintext that can be neither printed nor serialized.

use zeroize::Zeroizing;

/// An access token, a refresh token, a client secret or a provider's raw answer, in the clear.
///
/// It has no `Debug`, no `Display` and no `Serialize`, and its memory is overwritten when it is dropped: what cannot be
/// written down cannot leak. [`Secret::expose`] is the only way in, and easy to search for.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of a plaintext.
    pub fn new(plaintext: impl Into<String>) -> Self {
        Self(Zeroizing::new(plaintext.into()))
    }

    /// A secret, unless the text is empty or white space: an empty token is a missing token.
    pub fn non_empty(plaintext: impl Into<String>) -> Option<Self> {
        let secret = Self::new(plaintext);
        (!secret.expose().trim().is_empty()).then_some(secret)
    }

    /// The plaintext. Every caller is a place where a leak could start.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether two secrets are the same, without the time taken telling where they differ.
    pub fn same_as(&self, other: &Self) -> bool {
        let (a, b) = (self.expose().as_bytes(), other.expose().as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (x, y)| differs | (x ^ y)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_missing() {
        assert!(Secret::non_empty("").is_none());
        assert!(Secret::non_empty(" \n").is_none());
        assert!(Secret::non_empty("Atzr|x").is_some());
    }

    #[test]
    fn compares_whole() {
        assert!(Secret::new("abc").same_as(&Secret::new("abc")));
        assert!(!Secret::new("abc").same_as(&Secret::new("abd")));
        assert!(!Secret::new("abc").same_as(&Secret::new("ab")));
    }
}
