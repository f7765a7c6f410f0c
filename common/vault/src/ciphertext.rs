//! What a row holds.

use std::fmt;

/// A Fernet token: an encrypted secret as text for a database column.
///
/// A type of its own, so that a ciphertext is never sent where a plaintext belongs, nor the other way round.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Ciphertext(String);

impl Ciphertext {
    /// The token as text, for a database column.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Ciphertext {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl From<Ciphertext> for String {
    fn from(ciphertext: Ciphertext) -> Self {
        ciphertext.0
    }
}

/// Shows the length only. A column may hold a plaintext by mistake, as rows of the original project do.
impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ciphertext({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_length_only() {
        assert_eq!(format!("{:?}", Ciphertext::from("Atzr|oops".to_owned())), "Ciphertext(9 bytes)");
    }
}
