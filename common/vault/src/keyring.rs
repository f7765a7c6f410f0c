//! The keys: the first encrypts, all decrypt.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evergrant_contract::secret::Secret;
use fernet::Fernet;
use zeroize::{Zeroize, Zeroizing};

use crate::ciphertext::Ciphertext;
use crate::envelope::{self, Misfit, Place};
use crate::key::{Fingerprint, Key};

/// Why a keyring cannot be made. Tells the position of the key at fault, counted from 1, and never the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no text at all.
    #[error("the encryption key is empty; make one with `evergrant keys generate`")]
    Empty,
    /// One of the keys is not a key.
    #[error(
        "encryption key {position} of {total} is not a Fernet key (32 bytes in URL-safe base64, 44 characters); \
         make one with `evergrant keys generate`"
    )]
    Invalid {
        /// Which, counted from 1.
        position: usize,
        /// How many there are.
        total: usize,
    },
    /// Two of the keys are the same: a slip while rotating them.
    #[error(
        "encryption key {position} of {total} is the same as key {first}; \
         remove one of them, or make a new key with `evergrant keys generate`"
    )]
    Duplicate {
        /// Which, counted from 1.
        position: usize,
        /// The one that it repeats.
        first: usize,
        /// How many there are.
        total: usize,
    },
}

/// Why a ciphertext did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was encrypted with a key that is not in the keyring, or was changed since: the two cannot be told apart.
    #[error("no key of the keyring opens the ciphertext: its key is missing, or it was changed")]
    UnknownKey,
    /// It opens, and belongs to another row or column.
    #[error("the ciphertext belongs to another connection or field")]
    WrongPlace,
    /// It is not a Fernet token, or what is inside is not what we put there.
    #[error("the ciphertext is not one of ours: no Fernet token, or no envelope inside")]
    Malformed,
}

/// The Fernet keys, parsed once.
#[derive(Clone)]
pub struct Keyring {
    first: Key,
    rest: Vec<Key>,
}

impl Keyring {
    /// Reads one key, or several separated by commas; white space around them is ignored.
    pub fn parse(text: &Secret) -> Result<Self, KeyError> {
        if text.expose().trim().is_empty() {
            return Err(KeyError::Empty);
        }
        let total = text.expose().split(',').count();
        let mut keys: Vec<Key> = Vec::with_capacity(total);
        for (position, part) in (1..).zip(text.expose().split(',')) {
            let key = Key::parse(part.trim()).ok_or(KeyError::Invalid { position, total })?;
            if let Some(earlier) = keys.iter().position(|earlier| earlier.fingerprint == key.fingerprint) {
                return Err(KeyError::Duplicate { position, first: earlier + 1, total });
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(KeyError::Empty)?;
        Ok(Self { first, rest: keys.collect() })
    }

    /// A new random key, as text for `FERNET_KEY`.
    pub fn generate_key() -> Secret {
        Secret::new(Fernet::generate_key())
    }

    /// The key that encrypts.
    pub fn primary(&self) -> &Fingerprint {
        &self.first.fingerprint
    }

    /// Every key that decrypts, the one that encrypts first.
    pub fn fingerprints(&self) -> impl Iterator<Item = &Fingerprint> {
        self.keys().map(|key| &key.fingerprint)
    }

    /// Encrypts a secret so that it opens in this place only.
    pub fn seal(&self, place: Place, secret: &Secret) -> Ciphertext {
        Ciphertext::from(self.first.cipher.encrypt(envelope::wrap(place, secret).as_bytes()))
    }

    /// Decrypts a secret that was sealed for this place.
    pub fn open(&self, place: Place, ciphertext: &Ciphertext) -> Result<Secret, OpenError> {
        let text = self.decrypt(ciphertext)?;
        envelope::unwrap(place, &text).map_err(|misfit| match misfit {
            Misfit::WrongPlace => OpenError::WrongPlace,
            Misfit::NoEnvelope => OpenError::Malformed,
        })
    }

    /// Decrypts a bare token without an envelope, as rows of the original project hold it. For imports only.
    pub fn open_bare(&self, ciphertext: &Ciphertext) -> Result<Secret, OpenError> {
        self.decrypt(ciphertext).map(|text| Secret::new(text.as_str()))
    }

    /// The key that a ciphertext is under, if it is one of these.
    pub fn key_of(&self, ciphertext: &Ciphertext) -> Option<&Fingerprint> {
        let opens =
            |key: &&Key| key.cipher.decrypt_at_time(ciphertext.as_str(), None, TIMELESS).map(Zeroizing::new).is_ok();
        self.keys().find(opens).map(|key| &key.fingerprint)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    fn decrypt(&self, ciphertext: &Ciphertext) -> Result<Zeroizing<String>, OpenError> {
        let token = ciphertext.as_str();
        let Some(bytes) = self.keys().find_map(|key| key.cipher.decrypt_at_time(token, None, TIMELESS).ok()) else {
            return Err(if looks_like_fernet(token) { OpenError::UnknownKey } else { OpenError::Malformed });
        };
        String::from_utf8(bytes).map(Zeroizing::new).map_err(|error| {
            error.into_bytes().zeroize();
            OpenError::Malformed
        })
    }
}

/// Shows fingerprints only.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fingerprints().map(Fingerprint::as_str)).finish()
    }
}

/// A time that no token is ahead of. The library refuses tokens from more than a minute in the future, which would call a
/// row undecryptable only because the peer that wrote it has a fast clock. The minute is left off: it is added inside.
const TIMELESS: u64 = u64::MAX - 60;

/// Version, time stamp and IV before the blocks; the signature behind them.
const FRAME_LEN: usize = 1 + 8 + 16 + 32;
const BLOCK_LEN: usize = 16;
const FERNET_VERSION: u8 = 0x80;

/// Whether a token that no key opens has at least the shape of one.
fn looks_like_fernet(token: &str) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')) else { return false };
    let blocks = bytes.len().saturating_sub(FRAME_LEN);
    bytes.first() == Some(&FERNET_VERSION) && blocks > 0 && blocks.is_multiple_of(BLOCK_LEN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::envelope::Field;

    const OLD: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

    fn keyring(keys: &[&str]) -> Keyring {
        Keyring::parse(&Secret::new(keys.join(","))).unwrap()
    }

    fn fresh() -> String {
        Keyring::generate_key().expose().to_owned()
    }

    fn place(n: u128, field: Field) -> Place {
        Place { connection: uuid::Uuid::from_u128(n).into(), field }
    }

    fn exposed(opened: Result<Secret, OpenError>) -> Result<String, OpenError> {
        opened.map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn the_vector_of_the_specification_opens_whatever_its_age() {
        let token =
            "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
        for token in [token, token.trim_end_matches('=')] {
            let opened = keyring(&[OLD]).open_bare(&token.to_owned().into());
            assert_eq!(exposed(opened), Ok("hello".to_owned()));
        }
    }

    #[test]
    fn a_row_of_a_peer_whose_clock_runs_ahead_opens() {
        let key = fresh();
        for seconds in [0, 4_102_444_800, u64::MAX] {
            let token = Fernet::new(&key).unwrap().encrypt_at_time(b"Atza|x", seconds);
            assert_eq!(exposed(keyring(&[&key]).open_bare(&token.into())), Ok("Atza|x".to_owned()));
        }
    }

    #[test]
    fn a_ciphertext_moved_to_another_row_or_field_is_refused() {
        let keyring = keyring(&[&fresh()]);
        let sealed = keyring.seal(place(1, Field::RefreshToken), &Secret::new("Atzr|mine"));
        assert_eq!(exposed(keyring.open(place(1, Field::RefreshToken), &sealed)), Ok("Atzr|mine".to_owned()));
        for elsewhere in [place(2, Field::RefreshToken), place(1, Field::AccessToken), place(1, Field::UnreadAnswer)] {
            assert_eq!(exposed(keyring.open(elsewhere, &sealed)), Err(OpenError::WrongPlace));
        }
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let keyring = keyring(&[&fresh()]);
        let place = place(1, Field::AccessToken);
        let sealed = String::from(keyring.seal(place, &Secret::new("Atza|x")));
        for at in 0..sealed.trim_end_matches('=').len() {
            let other = if sealed.as_bytes()[at] == b'A' { "B" } else { "A" };
            let mut changed = sealed.clone();
            changed.replace_range(at..=at, other);
            assert!(keyring.open(place, &changed.into()).is_err(), "character {at}");
        }
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let new = fresh();
        let (before, during, after) = (keyring(&[OLD]), keyring(&[&new, OLD]), keyring(&[&new]));
        let place = place(1, Field::AccessToken);
        let old_row = before.seal(place, &Secret::new("a"));
        let new_row = during.seal(place, &Secret::new("b"));
        assert_eq!(during.key_of(&old_row), Some(before.primary()));
        assert_eq!((during.key_of(&new_row), before.key_of(&new_row)), (Some(after.primary()), None));
        assert_eq!(exposed(during.open(place, &old_row)), Ok("a".to_owned()));
        assert_eq!(exposed(after.open(place, &new_row)), Ok("b".to_owned()));
        assert_eq!(exposed(after.open(place, &old_row)), Err(OpenError::UnknownKey));
        assert_eq!(exposed(before.open(place, &new_row)), Err(OpenError::UnknownKey));
        assert_eq!(during.primary(), after.primary());
        assert_eq!(during.fingerprints().collect::<Vec<_>>(), [after.primary(), before.primary()]);
    }

    #[test]
    fn what_is_not_a_token_is_malformed() {
        let keyring = keyring(&[OLD]);
        let place = place(1, Field::AccessToken);
        let bare = Fernet::new(OLD).unwrap().encrypt(b"Atza|bare");
        let binary = Fernet::new(OLD).unwrap().encrypt(&[0xff, 0xfe]);
        for token in ["", "Atza|plain", "gAAAAA", "====", "\u{0}", &bare, &binary] {
            assert_eq!(exposed(keyring.open(place, &token.to_owned().into())), Err(OpenError::Malformed), "{token}");
        }
    }

    #[test]
    fn key_errors_name_the_position_and_the_remedy_and_never_the_key() {
        let key = fresh();
        let error = |text: &str| Keyring::parse(&Secret::new(text)).unwrap_err();
        assert_eq!(error(" \n"), KeyError::Empty);
        assert_eq!(error(&format!("{key}, hunter2")), KeyError::Invalid { position: 2, total: 2 });
        assert_eq!(error(&format!("{key},")), KeyError::Invalid { position: 2, total: 2 });
        let twice = format!("{key},{OLD},{}", key.trim_end_matches('='));
        assert_eq!(error(&twice), KeyError::Duplicate { position: 3, first: 1, total: 3 });
        for text in ["", "hunter2", &twice] {
            let message = error(text).to_string();
            assert!(message.contains("evergrant keys generate"), "{message}");
            assert!(!message.contains("hunter2") && !message.contains(&key), "{message}");
        }
    }

    #[test]
    fn debug_shows_fingerprints_only() {
        let keyring = keyring(&[OLD]);
        assert_eq!(format!("{keyring:?}"), format!("[\"{}\"]", keyring.primary()));
    }

    proptest! {
        #[test]
        fn whatever_is_sealed_opens(secret: String, connection: u128, which in 0_usize..3) {
            let keyring = keyring(&[OLD]);
            let place = place(connection, Field::ALL[which]);
            let sealed = keyring.seal(place, &Secret::new(secret.clone()));
            prop_assert_eq!(exposed(keyring.open(place, &sealed)), Ok(secret));
        }

        #[test]
        fn arbitrary_text_never_panics(token: String, key: String) {
            let keyring = keyring(&[OLD]);
            let _ = Keyring::parse(&Secret::new(key));
            prop_assert!(keyring.open(place(1, Field::AccessToken), &token.into()).is_err());
        }

        #[test]
        fn arbitrary_bytes_in_a_frame_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let token = URL_SAFE_NO_PAD.encode([&[FERNET_VERSION], bytes.as_slice()].concat());
            prop_assert!(keyring(&[OLD]).open(place(1, Field::AccessToken), &token.into()).is_err());
        }
    }
}
