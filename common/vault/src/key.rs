//! One key: its text, its cipher, its fingerprint.

use std::fmt;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use fernet::Fernet;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Names a key without telling anything about it: 16 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint as text, for a database column.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Fingerprint {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Keeps these hashes apart from every other use of SHA-256 over the same bytes. Written into stored rows: never change it.
const FINGERPRINT_DOMAIN: &[u8] = b"evergrant key fingerprint 1\0";

/// Bytes of a key: 16 to sign, 16 to encrypt.
const KEY_BYTES: usize = 32;

/// As lenient as Python, which is what existing keys were used with: padding may be missing, and the two bits that a
/// 43-character text has too many are ignored.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A key that is ready for use: parsed once, never again.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) cipher: Fernet,
    pub(crate) fingerprint: Fingerprint,
}

impl Key {
    /// `None`: the text is not 32 bytes in URL-safe base64.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text: Zeroizing<Vec<u8>> = Zeroizing::new(text.bytes().map(url_safe).collect());
        let bytes = Zeroizing::new(LENIENT.decode(text.as_slice()).ok()?);
        if bytes.len() != KEY_BYTES {
            return None;
        }
        let canonical = Zeroizing::new(LENIENT.encode(bytes.as_slice()));
        Some(Self { cipher: Fernet::new(&canonical)?, fingerprint: fingerprint(&bytes) })
    }
}

/// Python reads the standard alphabet too.
const fn url_safe(byte: u8) -> u8 {
    match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    }
}

fn fingerprint(key: &[u8]) -> Fingerprint {
    let hash = Sha256::new().chain_update(FINGERPRINT_DOMAIN).chain_update(key).finalize();
    let first_8_bytes = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    Fingerprint(format!("{first_8_bytes:016x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_key_have_one_fingerprint() {
        let spellings = [
            "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=",
            "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4",
            "cw/0x689RpI+jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=",
            "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e7=",
        ];
        for spelling in spellings {
            assert_eq!(Key::parse(spelling).unwrap().fingerprint.as_str(), "dda60fb653980164", "{spelling}");
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for text in ["", "hunter2", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=A", "AAAA", "ключ", &"A".repeat(44)]
        {
            assert!(Key::parse(text).is_none(), "{text}");
        }
    }
}
