//! Tokens as exports hold them: in the clear or encrypted, or not at all.

use evergrant_contract::secret::Secret;
use evergrant_vault::{Ciphertext, Keyring};
use serde_json::Value;

use super::records::Fields;

/// How every Fernet token begins: its version, and a time stamp before the year 2100.
const FERNET_PREFIX: &str = "gAAAAA";

/// No token is longer, in bytes.
const MAX_TOKEN: usize = 16_384;

/// The tokens of a row.
pub(super) struct Pair {
    pub(super) access: Option<Secret>,
    pub(super) refresh: Option<Secret>,
}

/// Takes both tokens out of the fields of a row.
///
/// An access token that cannot be read is given up if the refresh token can: a new one is a call away.
pub(super) fn take(fields: &mut Fields, keyring: &Keyring) -> Result<Pair, String> {
    let access = take_one(fields, "access_token", keyring);
    let refresh = take_one(fields, "refresh_token", keyring)?;
    let access = if refresh.is_some() { access.unwrap_or_default() } else { access? };
    Ok(Pair { access, refresh })
}

fn take_one(fields: &mut Fields, key: &str, keyring: &Keyring) -> Result<Option<Secret>, String> {
    let text = match fields.remove(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => Secret::new(text),
        Some(_) => return Err(format!("`{key}` is not a text")),
    };
    let text = Secret::new(text.expose().trim());
    let token = if text.expose().starts_with(FERNET_PREFIX) {
        let ciphertext = Ciphertext::from(text.expose().to_owned());
        let opened = keyring.open_bare(&ciphertext);
        opened.map_err(|_| format!("`{key}` is encrypted with a key that is not in FERNET_KEY, or damaged"))?
    } else {
        text
    };
    let token = token.expose().trim();
    if token.len() > MAX_TOKEN {
        return Err(format!("`{key}` is longer than {MAX_TOKEN} bytes"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("`{key}` has characters that no token has"));
    }
    Ok(Secret::non_empty(token))
}
