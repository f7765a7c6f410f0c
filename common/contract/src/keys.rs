//! Rows on their way from one encryption key to another.

use std::fmt;

use crate::ids::{ConnectionId, Version};

/// The ciphertexts of a connection as they were read, under a key that does not encrypt any more.
///
/// It goes back to the store that it came from: only there are keys, and only if the row still stands like this is it
/// written. So whatever happens to the connection in between wins.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// Which.
    pub connection: ConnectionId,
    /// The number of its tokens.
    pub version: Version,
    /// Fingerprint of the key that they are under.
    pub key: String,
    /// The access token, encrypted.
    pub access_token: Option<String>,
    /// The refresh token, encrypted.
    pub refresh_token: Option<String>,
    /// A provider's answer that could not be used, encrypted.
    pub unread_answer: Option<String>,
}

/// Shows which row and which key, and no ciphertext.
impl fmt::Debug for SealedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedRow({} v{} under {})", self.connection, self.version, self.key)
    }
}

/// What became of rows that were to be encrypted again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealed {
    /// They are under the key that encrypts.
    pub written: u64,
    /// Something had happened to them, or was happening just then: whoever looks again finds them as they stand.
    pub moved_on: u64,
    /// No key of this process opens them: they were left as they are.
    pub undecryptable: u64,
}

impl Resealed {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            written: self.written + other.written,
            moved_on: self.moved_on + other.moved_on,
            undecryptable: self.undecryptable + other.undecryptable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_no_ciphertext() {
        let row = SealedRow {
            connection: ConnectionId::generate(),
            version: Version::FIRST,
            key: "dda60fb653980164".to_owned(),
            access_token: Some("gAAAAAaccess".to_owned()),
            refresh_token: Some("gAAAAArefresh".to_owned()),
            unread_answer: None,
        };
        let shown = format!("{row:?}");
        assert!(shown.contains("dda60fb653980164") && !shown.contains("gAAAAA"), "{shown}");
    }
}
