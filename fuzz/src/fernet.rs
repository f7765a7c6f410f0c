//! Ciphertexts and keys.

use std::sync::LazyLock;

use evergrant_contract::secret::Secret;
use evergrant_vault::{Ciphertext, Field, KeyError, Keyring, OpenError, Place};
use uuid::Uuid;

const KEYS: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=,QUJDREVGMDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODk=";

static KEYRING: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::parse(&Secret::new(KEYS)).unwrap_or_else(|error| panic!("{error}")));

fn place(field: Field) -> Place {
    Place { connection: Uuid::from_u128(7).into(), field }
}

/// The first byte chooses what the rest is: a ciphertext, a secret, or keys.
pub(crate) fn fernet(data: &[u8]) {
    let [what, rest @ ..] = data else { return };
    let text = String::from_utf8_lossy(rest);
    match what % 3 {
        0 => ciphertext(&text),
        1 => secret(&text),
        _ => keys(&text),
    }
}

fn ciphertext(text: &str) {
    let ciphertext = Ciphertext::from(text.to_owned());
    let (bare, known) = (KEYRING.open_bare(&ciphertext).is_ok(), KEYRING.key_of(&ciphertext).is_some());
    assert!(known || !bare, "it opens with a key that is not there");
    let opened: Vec<_> = Field::ALL.iter().filter(|field| KEYRING.open(place(**field), &ciphertext).is_ok()).collect();
    assert!(opened.len() <= 1, "it opens in more places than one: {opened:?}");
}

fn secret(text: &str) {
    let (here, there) = (place(Field::RefreshToken), place(Field::AccessToken));
    let sealed = KEYRING.seal(here, &Secret::new(text));
    let opened = KEYRING.open(here, &sealed).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(opened.expose(), text, "what was sealed is not what is opened");
    assert_eq!(KEYRING.open(there, &sealed).err(), Some(OpenError::WrongPlace));
    // One damaged character, at a place that the input chooses.
    let at = text.len().wrapping_mul(31) % sealed.as_str().len();
    let mut damaged = sealed.as_str().as_bytes().to_vec();
    damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
    let damaged = Ciphertext::from(String::from_utf8_lossy(&damaged).into_owned());
    if let Ok(opened) = KEYRING.open(here, &damaged) {
        // The last character of base64 may have bits that mean nothing.
        assert_eq!(opened.expose(), text, "a damaged ciphertext opens as something else");
    }
}

fn keys(text: &str) {
    match Keyring::parse(&Secret::new(text)) {
        Ok(keyring) => {
            let sealed = keyring.seal(place(Field::AccessToken), &Secret::new("Atza|a"));
            assert!(keyring.open(place(Field::AccessToken), &sealed).is_ok(), "a keyring opens what it sealed");
            assert_eq!(keyring.key_of(&sealed), Some(keyring.primary()));
        }
        Err(error) => {
            // A fuzzer learns our sentences and sends them as keys: so all of the error has to be ours, but for numbers.
            let without_numbers = |text: String| text.replace(|c: char| c.is_ascii_digit(), "");
            let ours = [
                KeyError::Empty,
                KeyError::Invalid { position: 1, total: 1 },
                KeyError::Duplicate { position: 1, first: 1, total: 1 },
            ];
            let told = without_numbers(error.to_string());
            let is_ours = ours.iter().any(|error| without_numbers(error.to_string()) == told);
            assert!(is_ours, "an error tells more than numbers: {told}");
        }
    }
}
