//! Keys of services: `egk_<id>_<43 characters of chance>`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ApiKeyId, UserId};
use evergrant_contract::people::{ApiKey, Scope};
use evergrant_contract::secret::Secret;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// What tells a key from a JWT, and scanners for leaked secrets from anything else.
pub(super) const PREFIX: &str = "egk_";

/// The length of 32 bytes in base64 without padding.
const CHANCE_CHARS: usize = 43;

/// A new key: what the store keeps, and the key itself, which is shown once and kept nowhere.
///
/// `user`: only this user's connections; `None`: everybody's.
pub fn new_api_key(name: &str, mut scopes: Vec<Scope>, user: Option<UserId>, now: Timestamp) -> (ApiKey, Secret) {
    let id = ApiKeyId::generate();
    let chance = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let text = Secret::new(format!("{PREFIX}{}_{chance}", id.uuid().as_simple()));
    scopes.sort_unstable();
    scopes.dedup();
    let key = ApiKey {
        id,
        name: name.to_owned(),
        digest: digest(text.expose()),
        scopes,
        user,
        created_at: now,
        expires_at: None,
        used_at: None,
        revoked_at: None,
    };
    (key, text)
}

/// The id in a text that looks like a key.
pub(super) fn id_of(text: &str) -> Option<ApiKeyId> {
    let (id, chance) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let fits = id.len() == Uuid::nil().as_simple().to_string().len() && chance.len() == CHANCE_CHARS;
    if fits { Uuid::try_parse(id).ok().map(Into::into) } else { None }
}

/// Whether this text is that key, without the time taken telling how much of it is right.
pub(super) fn is_key(text: &str, key: &ApiKey) -> bool {
    digest(text).ct_eq(&key.digest).into()
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_key() -> (ApiKey, Secret) {
        new_api_key("billing", vec![Scope::Ops, Scope::TokensRead, Scope::Ops], None, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_key_is_shown_once_and_only_its_digest_is_kept() {
        let (kept, text) = new_key();
        assert_eq!(text.expose().len(), 4 + 32 + 1 + 43);
        assert_eq!(id_of(text.expose()), Some(kept.id));
        assert!(is_key(text.expose(), &kept));
        assert!(!format!("{kept:?}{}", serde_json::to_string(&kept).unwrap()).contains(&text.expose()[37..]));
        assert_eq!(kept.scopes, [Scope::TokensRead, Scope::Ops], "each once, in their order");
    }

    #[test]
    fn another_key_of_the_same_id_is_not_it() {
        let (kept, text) = new_key();
        let (_, other) = new_key();
        let forged = format!("{}{}", &text.expose()[..37], &other.expose()[37..]);
        assert_eq!(id_of(&forged), Some(kept.id));
        assert!(!is_key(&forged, &kept));
    }

    #[test]
    fn what_does_not_look_like_a_key_is_none() {
        let (_, text) = new_key();
        let text = text.expose();
        for bad in [
            "",
            "egk_",
            "egk_x_y",
            &text[4..],
            &text[..text.len() - 1],
            &format!("{text}x"),
            "eyJhbGciOiJub25lIn0.e30.",
        ] {
            assert_eq!(id_of(bad), None, "{bad}");
        }
    }
}
